"""Datasets of sound, and reading and writing sound files."""

from datakit.audio.io import AudioInfo, info, load
from datakit.audio.saving import save

__all__ = ["AudioInfo", "info", "load", "save"]
