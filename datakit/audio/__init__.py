"""Audio."""

from datakit.audio import kaldi
from datakit.audio.kaldi import KaldiData

__all__ = ["KaldiData", "kaldi"]
