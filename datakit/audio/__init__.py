"""Datasets of sound, and reading and writing sound files."""

from datakit.audio import features, kaldi
from datakit.audio.common_voice import CommonVoice
from datakit.audio.folder import AudioFiles, AudioFolder
from datakit.audio.io import AudioInfo, info, load
from datakit.audio.kaldi import KaldiData
from datakit.audio.librispeech import LibriSpeech
from datakit.audio.saving import save
from datakit.audio.spoken_digits import SpokenDigits
from datakit.audio.vctk import VCTK
from datakit.audio.yesno import YesNo

__all__ = [
    "VCTK",
    "AudioFiles",
    "AudioFolder",
    "AudioInfo",
    "CommonVoice",
    "KaldiData",
    "LibriSpeech",
    "SpokenDigits",
    "YesNo",
    "features",
    "info",
    "kaldi",
    "load",
    "save",
]
