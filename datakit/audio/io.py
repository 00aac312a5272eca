"""Sound files to tensors: plain WAV is read directly, other kinds by soundfile, and what that cannot by torchcodec."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

import numpy as np
import torch

from datakit.audio import compressed, wav
from datakit.audio.limits import counted
from datakit.audio.wav import Floats
from datakit.errors import CorruptDataError, DatakitError
from datakit.files.opening import Source, opened

T = TypeVar("T")
_SMALL, _LARGE = 2**17, 2**30  # bytes: up to the first all are read at once; one system call reads 2 GiB at most

AUDIO_SUFFIXES: tuple[str, ...] = (
    ".aac", ".aif", ".aiff", ".amr", ".au", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".sph", ".wav", ".webm",
    ".wma",
)  # fmt: skip
"""Suffixes, lower case and with their dots, of the files that `load` reads, some of them by torchcodec; for scans."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a sound file says.

    Attributes:
        sample_rate: Hz.
        frames: samples of each channel.
        channels: how many.
        format: of the file, such as `WAV`.
        encoding: of the samples, such as `PCM_16`, by libsndfile's names.
    """

    sample_rate: int
    frames: int
    channels: int
    format: str
    encoding: str

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.sample_rate


def load(
    source: Source,
    *,
    start: int = 0,
    frames: int | None = None,
    channels_first: bool = True,
    streamed: bool = False,
    max_values: int = 2**27,
) -> tuple[torch.Tensor, int]:
    """Read a sound file, or a part of it.

    WAV, FLAC, MP3, Ogg Vorbis, Opus, AIFF, AU and NIST SPHERE are read, told by their first bytes and never by the
    suffix; M4A and what else FFmpeg knows where torchcodec is installed. A part is looked for in the file, not read up
    to, and costs as much as a short file; only for the first part of an MP3 all of its frame headers are read.

    Args:
        source: a path, the bytes of a file, or a binary file object, which is read from its start and left open.
        start: the first frame to read; a frame is one sample of each channel.
        frames: how many, or None for all; where the file ends before, there are fewer.
        channels_first: (C, T), else (T, C).
        streamed: take a file whose end was never written, as by a pipe, up to where it ends: a WAV that leaves its
            length open, an Ogg without a last page. Else it is an error, since a file that was cut looks the same.
        max_values: samples of all channels above which a compressed file is refused; a small one can hold hours of
            silence. As many as the limit allows take 512 MB.

    Returns:
        The waveform, (C, T) or (T, C), `float32`, contiguous, and the sample rate, Hz. Integers of b bits are divided
        by 2^(b-1), so that they lie in [-1, 1); floats come as they are in the file.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: the file is a folder, empty, in no known format, broken, cut short, holds no frames or more
            than `max_values` allows, or has samples that are not finite.
        DatakitError: torchcodec, which would read the file, is not installed.
        ValueError: `start` is negative or behind the end, or `frames` is negative.

    Examples:
        >>> import torch
        >>> from datakit import audio
        >>> audio.save("tone.wav", torch.sin(torch.arange(16000) / 10)[None] / 2, 16000)
        >>> waveform, rate = audio.load("tone.wav", start=8000, frames=400)
        >>> waveform.shape, waveform.dtype, rate
        (torch.Size([1, 400]), torch.float32, 16000)
        >>> audio.load(b"<html>not found</html>")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        datakit.errors.CorruptDataError: <bytes>: not a sound file in a format that datakit reads ...
    """
    for name, value in (("start", start), ("frames", frames)):
        if not isinstance(value, int | np.integer | None):
            raise TypeError(f"{name} is a whole number of frames, got {name}={value!r}; seconds × sample rate, rounded")
    if start < 0 or (frames is not None and frames < 0):
        raise ValueError(f"start and frames count from 0 on, got start={start}, frames={frames}")

    def read(file: BinaryIO, size: int) -> tuple[Floats, int]:
        header = _wav_header(file, size, streamed)
        if header is None:
            return compressed.read(file, size, start, frames, streamed=streamed, max_values=max_values)
        return wav.read_frames(file, header, start, counted(header.frames, start, frames)), header.sample_rate

    values, rate = _with_file(source, read)
    return _tensor(values, channels_first), rate


def info(source: Source, *, streamed: bool = False) -> AudioInfo:
    """Read the header of a sound file.

    Args:
        source: as for `load`.
        streamed: as for `load`.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: the file is a folder, empty, in no known format, or its header is broken.

    Examples:
        >>> import torch
        >>> from datakit import audio
        >>> audio.save("silence.flac", torch.zeros(2, 8000), 16000)
        >>> audio.info("silence.flac")
        AudioInfo(sample_rate=16000, frames=8000, channels=2, format='FLAC', encoding='PCM_16')
        >>> audio.info("silence.flac").duration
        0.5
    """

    def read(file: BinaryIO, size: int) -> AudioInfo:
        header = _wav_header(file, size, streamed)
        if header is None:
            return AudioInfo(*compressed.describe(file, size, streamed=streamed))
        return AudioInfo(header.sample_rate, header.frames, header.channels, "WAV", header.encoding)

    return _with_file(source, read)


def _with_file(source: Source, turn: Callable[[BinaryIO, int], T]) -> T:
    """What `turn` makes of the file and its size; every error of ours names the file."""
    lean = _lean(source) if isinstance(source, str | os.PathLike) else None
    if lean is not None:
        with lean[0]:
            return _named(os.fspath(source), turn, *lean)  # type: ignore[arg-type]
    with opened(source, "a sound file") as (file, name):
        return _named(name, turn, file, file.seek(0, os.SEEK_END))


def _named(name: str, turn: Callable[[BinaryIO, int], T], file: BinaryIO, size: int) -> T:
    try:
        if not size:
            raise CorruptDataError("empty file")
        return turn(file, size)
    except DatakitError as error:
        raise type(error)(f"{name}: {error}") from error.__cause__


def _lean(path: str | os.PathLike[str]) -> tuple[BinaryIO, int] | None:
    """A regular file and its size, for a third of what `open` costs, a small one read at once; None of others."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe does not wait
    except OSError:
        return None
    keep = False
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGE:
            return None
        keep = about.st_size > _SMALL
        if keep:
            return cast(BinaryIO, io.FileIO(handle)), about.st_size
        data = os.read(handle, _SMALL)
        return io.BytesIO(data), len(data)
    finally:
        if not keep:
            os.close(handle)


def _wav_header(file: BinaryIO, size: int, streamed: bool) -> wav.Wav | None:
    file.seek(0)
    head = file.read(12)
    return wav.read_header(file, size, streamed=streamed) if head[:4] == b"RIFF" and head[8:] == b"WAVE" else None


def _tensor(values: Floats, channels_first: bool) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.T) if channels_first else values)
