"""Datasets of sound, and reading and writing sound files."""

from datakit.audio import kaldi
from datakit.audio.io import AudioInfo, info, load
from datakit.audio.kaldi import KaldiData
from datakit.audio.saving import save

__all__ = ["AudioInfo", "KaldiData", "info", "kaldi", "load", "save"]
