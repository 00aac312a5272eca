"""Kaldi's features of whole padded batches, as modules: on any device, differentiable, and the same as one by one."""

from datakit.audio.features.cepstra import Mfcc
from datakit.audio.features.context import Deltas, Splice
from datakit.audio.features.filterbank import Fbank
from datakit.audio.features.normalization import Cmvn, SlidingCmvn, cmvn_stats
from datakit.audio.features.prediction import Plp
from datakit.audio.features.resampling import resample_waveform
from datakit.audio.features.spectrogram import Spectrogram

__all__ = [
    "Cmvn",
    "Deltas",
    "Fbank",
    "Mfcc",
    "Plp",
    "SlidingCmvn",
    "Spectrogram",
    "Splice",
    "cmvn_stats",
    "resample_waveform",
]
