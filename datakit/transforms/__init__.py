"""Transforms over sample dicts. Any callable on a sample is one; these also take the sample's generator."""

from datakit.chain import Compose
from datakit.transforms.augment import Dither, PitchShift, SpeedPerturb
from datakit.transforms.base import Random
from datakit.transforms.cepstrum import MFCC
from datakit.transforms.colour import ColorJitter
from datakit.transforms.companding import MuLawDecoding, MuLawEncoding
from datakit.transforms.detection import RandomIoUCrop, RandomZoomOut, ScaleJitter
from datakit.transforms.filters import Equalizer, HighPass, LowPass
from datakit.transforms.masking import FrequencyMasking, TimeMasking
from datakit.transforms.noise import AddNoise, Reverb
from datakit.transforms.spectral import ComputeDeltas, Features, GriffinLim, TimeStretch
from datakit.transforms.spectrogram import AmplitudeToDB, MelScale, MelSpectrogram, Spectrogram
from datakit.transforms.text import AddSpecials, Encode, MaskTokens, NextTokens, Truncate
from datakit.transforms.vision import (
    COCO_PAIRS,
    FACE68_PAIRS,
    CenterCrop,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Rescale,
    ToTensor,
)
from datakit.transforms.waveform import FixLength, Gain, Mono, PeakNormalize, RandomClip, Resample

__all__ = [
    "COCO_PAIRS",
    "FACE68_PAIRS",
    "MFCC",
    "AddNoise",
    "AddSpecials",
    "AmplitudeToDB",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ComputeDeltas",
    "Dither",
    "Encode",
    "Equalizer",
    "Features",
    "FixLength",
    "FrequencyMasking",
    "Gain",
    "GriffinLim",
    "HighPass",
    "LowPass",
    "MaskTokens",
    "MelScale",
    "MelSpectrogram",
    "Mono",
    "MuLawDecoding",
    "MuLawEncoding",
    "NextTokens",
    "Normalize",
    "PeakNormalize",
    "PitchShift",
    "Random",
    "RandomClip",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomIoUCrop",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "RandomZoomOut",
    "Resample",
    "Rescale",
    "Reverb",
    "ScaleJitter",
    "Spectrogram",
    "SpeedPerturb",
    "TimeMasking",
    "TimeStretch",
    "ToTensor",
    "Truncate",
]
