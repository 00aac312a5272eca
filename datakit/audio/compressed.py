"""Sound files that soundfile (libsndfile) reads, told by their first bytes, their length checked before it decodes."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from datakit.audio import containers, ffmpeg, flac, mpeg, mpeg_parts, ogg
from datakit.audio.limits import check_finite, check_format, check_values, counted
from datakit.audio.wav import Floats
from datakit.errors import CorruptDataError

if TYPE_CHECKING:
    from soundfile import SoundFile

_SIGNATURES = {
    "WAV": re.compile(rb"RIFF....WAVE", re.DOTALL),
    "FLAC": re.compile(rb"fLaC"),
    "OGG": re.compile(rb"OggS"),
    "MP3": re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"),
    "AIFF": re.compile(rb"FORM....AIF[FC]", re.DOTALL),
    "AU": re.compile(rb"\.snd|dns\."),
    "NIST": re.compile(rb"NIST_1A\n"),
    "RF64": re.compile(rb"RF64....WAVE", re.DOTALL),
    "W64": re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"),
}


class Sound(NamedTuple):
    """A file that libsndfile has opened."""

    decoder: SoundFile
    kind: str
    lead: int  # frames at the start that are not the file's
    frames: int


def read(
    file: BinaryIO, size: int, start: int, frames: int | None, *, streamed: bool, max_values: int
) -> tuple[Floats, int]:
    """Frames from `start` on, (frames, channels), `float32`, and the sample rate, Hz; limits are those of `load`.

    Raises:
        CorruptDataError: as `load`.
        ValueError: `start` is behind the end.
    """
    kind, at = _kind(file)
    if kind not in _SIGNATURES:
        return ffmpeg.read(file, kind, start, frames, max_values)
    whole = start == 0 and frames is None
    if kind == "MP3" and not whole and (known := mpeg_parts.table(file, at)) is not None:
        return _part_of_mp3(file, at, known, start, frames, max_values)
    with _opened(kind, file, size, at, whole=whole, streamed=streamed) as sound:
        count = counted(sound.frames, start, frames)
        check_values(count, sound.decoder.channels, max_values)
        values = np.empty((count, sound.decoder.channels), np.float32)
        _check_done(sound, start, count, _decode(sound, start, values))
        check_finite(values, start)
        return values, sound.decoder.samplerate


def describe(file: BinaryIO, size: int, *, streamed: bool) -> tuple[int, int, int, str, str]:
    """Sample rate, frames, channels, format and encoding.

    Raises:
        CorruptDataError: as `info`.
    """
    kind, at = _kind(file)
    if kind not in _SIGNATURES:
        return ffmpeg.describe(file, kind)
    with _opened(kind, file, size, at, whole=False, streamed=streamed) as sound:
        decoder = sound.decoder
        return decoder.samplerate, sound.frames, decoder.channels, kind, decoder.subtype


def _part_of_mp3(
    file: BinaryIO, at: int, known: mpeg_parts.Table, start: int, frames: int | None, max_values: int
) -> tuple[Floats, int]:
    """As `read`, by the table of the file's frames."""
    _check_some("MP3", known.total)
    count = counted(known.total, start, frames)
    check_values(count, known.channels, max_values)
    if not count:
        return np.empty((0, known.channels), np.float32), known.rate
    part = mpeg_parts.part(file, known, start, count)
    if part is None:  # the file was written anew
        known = mpeg_parts.table(file, at) or known
        part = mpeg_parts.part(file, known, start, counted(known.total, start, count))
    if part is None or counted(known.total, start, count) < count:
        raise CorruptDataError("broken MP3: it is written to while it is read")
    with _sound("MP3", io.BytesIO(part.data), part.lead, known.total) as sound:
        values = np.empty((part.lead + count, sound.decoder.channels), np.float32)
        done = _decode(sound._replace(lead=0), 0, values) - part.lead
        _check_done(sound, start, count, done)
        check_finite(values[part.lead :], start)
        return values[part.lead :], sound.decoder.samplerate


def _kind(file: BinaryIO) -> tuple[str, int]:
    """The format, and where the file begins behind ID3 tags, bytes."""
    at, tagged = 0, False
    file.seek(0)
    head = file.read(16)
    while len(head) >= 10 and head[:3] == b"ID3":
        tagged = True
        at += 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        at += 10 if head[5] & 0x10 else 0
        file.seek(at)
        head = file.read(16)
    signatures = _SIGNATURES | ffmpeg.SIGNATURES
    kind = next((known for known, signature in signatures.items() if signature.match(head)), "MP3" if tagged else None)
    if tagged and not head:
        raise CorruptDataError("truncated: ends within its ID3 tag")
    if kind is None:
        raise CorruptDataError(
            f"not a sound file in a format that datakit reads (starts with {head[:11].decode('latin-1')!r}); reads "
            + ", ".join(signatures)
        )
    return kind, at


@contextlib.contextmanager
def _opened(kind: str, file: BinaryIO, size: int, at: int, *, whole: bool, streamed: bool) -> Iterator[Sound]:
    """The file in libsndfile's hands, after the checks of its format."""
    with _buffered(file) as file:
        file, lead, frames = _checked(kind, file, size, at, whole=whole, streamed=streamed)
        with _sound(kind, file, lead, frames) as sound:
            yield sound


@contextlib.contextmanager
def _sound(kind: str, file: BinaryIO, lead: int, frames: int | None) -> Iterator[Sound]:
    """A file in libsndfile's hands; any error of libsndfile's becomes ours."""
    import soundfile

    file.seek(0)
    try:
        with soundfile.SoundFile(calls := _Calls(file)) as decoder:
            if decoder.format not in (kind, f"{kind}EX"):
                raise CorruptDataError(f"broken {kind}: libsndfile takes it for {decoder.format}")
            check_format(decoder.channels, decoder.samplerate)
            decoder.seekable = lambda: False  # else `read` ends with a seek to where it is, as dear as any
            frames = decoder.frames if frames is None else frames
            _check_some(kind, frames)
            yield Sound(decoder, kind, lead, frames)
    except (soundfile.SoundFileError, CorruptDataError) as error:
        if calls.error is not None:
            raise calls.error from error
        if isinstance(error, CorruptDataError):
            raise
        raise CorruptDataError(f"broken {kind}: {_said(error)}") from error


@contextlib.contextmanager
def _buffered(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file behind a buffer, which is given up without closing the file: that is for who opened it."""
    if not isinstance(file, io.FileIO):
        yield file
        return
    reader = io.BufferedReader(file)
    try:
        yield reader
    finally:
        reader.detach()


class _Calls:
    """What libsndfile calls to read the file: out of these functions no error gets, so they keep it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lost = file, False
        self.error: Exception | None = None

    def seek(self, offset: int, whence: int = 0) -> None:
        try:
            self._file.seek(offset, whence)
            self._lost = False
        except (ValueError, OSError):  # a broken header sent it before the start
            self._lost = True

    def tell(self) -> int:
        return -1 if self._lost else self._file.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._file.readinto(buffer))  # type: ignore[attr-defined]
        except Exception as error:
            self.error = error
            return 0


def _checked(
    kind: str, file: BinaryIO, size: int, at: int, *, whole: bool, streamed: bool
) -> tuple[BinaryIO, int, int | None]:
    """What to decode, the frames to leave out at its start, and those behind them, where libsndfile does not know."""
    if kind == "MP3":
        file.seek(0)
        data = file.read()
        data, lead, frames = mpeg.prepared(data, at, whole=whole)
        return io.BytesIO(data), lead, frames
    if at or not isinstance(file, io.BufferedReader | io.BytesIO):  # a slow seek, or errors that a callback would lose
        file.seek(at)
        file, size = io.BytesIO(file.read()), size - at
    if kind == "FLAC":
        total, known = flac.check(file, size, streamed=streamed)
        if not known:  # libsndfile cannot read such a file
            file.seek(0)
            file = io.BytesIO(flac.with_total(file.read(), total))
    if kind == "OGG":
        ogg.check(file, size, whole=whole, streamed=streamed)
    else:
        containers.check(kind, file, size, streamed=streamed)
    return file, 0, None


def _decode(sound: Sound, start: int, values: Floats) -> int:
    """Fill `values`; how many frames there were."""
    sound.decoder.seek(sound.lead + start)  # also to 0: without a seek libsndfile reads an MP3 from elsewhere
    return len(sound.decoder.read(out=values)) if len(values) else 0


def _check_some(kind: str, frames: int) -> None:
    if frames <= 0:
        raise CorruptDataError(f"this {kind} holds no frames")


def _check_done(sound: Sound, start: int, count: int, done: int) -> None:
    if done < count:
        raise CorruptDataError(
            f"broken {sound.kind}: decodes up to frame {start + done:,}, and the header says {sound.frames:,}"
        )


def _said(error: Any) -> str:
    text = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(".")
    return f"libsndfile says: {text}" if text else "libsndfile cannot decode it"
