"""Tensors to sound files: samples are rounded here, and a file is there whole or not at all."""

from __future__ import annotations

import io
import os
import struct
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from datakit.audio.limits import MAX_CHANNELS, MAX_RATE
from datakit.errors import UnknownNameError
from datakit.files.writing import write_whole

Values: TypeAlias = "npt.NDArray[np.float32] | npt.NDArray[np.float64]"
Format = Literal["wav", "flac", "mp3", "ogg", "opus"]
Encoding = Literal["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "MPEG_LAYER_III", "VORBIS", "OPUS"]

_ENCODINGS: dict[str, tuple[str, ...]] = {  # the first is the default
    "wav": ("PCM_16", "PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    "flac": ("PCM_16", "PCM_24"),
    "mp3": ("MPEG_LAYER_III",),
    "ogg": ("VORBIS",),
    "opus": ("OPUS",),
}
_FILES = {"flac": "FLAC", "mp3": "MP3", "ogg": "OGG", "opus": "OGG"}  # libsndfile's names
_SUFFIXES = {".oga": "ogg", ".wave": "wav"} | {f".{name}": name for name in _ENCODINGS}
_BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}
_BLOCK = 2**16  # frames written at a time: libvorbis takes a whole block onto its stack


def save(
    target: str | os.PathLike[str] | BinaryIO,
    waveform: Any,
    sample_rate: int,
    *,
    channels_first: bool = True,
    format: Format | None = None,
    encoding: Encoding | None = None,
    clip: bool = False,
) -> None:
    """Write a sound file.

    | format | encodings, the first by default |
    | --- | --- |
    | `wav` | `PCM_16`, `PCM_U8`, `PCM_24`, `PCM_32`, `FLOAT`, `DOUBLE` |
    | `flac` | `PCM_16`, `PCM_24` |
    | `mp3` | `MPEG_LAYER_III` |
    | `ogg` | `VORBIS` |
    | `opus` | `OPUS`, at 8, 12, 16, 24 or 48 kHz |

    Integers of b bits are round(x 2^(b-1)), 1.0 becoming the greatest: what `load` gives is written back bit for bit. A
    file is written beside its place and moved there when it is whole.

    Args:
        target: a path, or a binary file object.
        waveform: (C, T) or (T, C), floats in [-1, 1], a tensor or an array; (T,) is one channel.
        sample_rate: Hz.
        channels_first: whether it is (C, T).
        format: of the file; by default as the suffix says.
        encoding: of the samples.
        clip: cut what lies beyond [-1, 1] off, instead of raising.

    Raises:
        UnknownNameError: there is no such format, or it has no such encoding.
        ValueError: no samples, not finite, or beyond [-1, 1] where the encoding holds no more; a shape, dtype or sample
            rate that cannot be written.

    Examples:
        >>> import torch
        >>> from datakit import audio
        >>> wave = torch.sin(torch.arange(8000) / 5).expand(2, -1) / 2
        >>> audio.save("tone.flac", wave, 8000)
        >>> audio.info("tone.flac").encoding
        'PCM_16'
        >>> audio.save("loud.wav", 3 * wave, 8000)
        Traceback (most recent call last):
        ValueError: the peak is 1.5, PCM_16 holds [-1, 1]: scale it, pass clip=True, or encoding="FLOAT" of wav
    """
    kind, coding = _chosen(target, format, encoding)
    values = _checked(_array(waveform, channels_first), coding, clip)
    if int(sample_rate) != sample_rate or not 1 <= sample_rate <= MAX_RATE or values.shape[1] > MAX_CHANNELS:
        raise ValueError(f"cannot write {values.shape[1]:,} channels at {sample_rate:,} Hz; is channels_first right?")
    data = _wav(values, int(sample_rate), coding) if kind == "wav" else _encoded(values, int(sample_rate), kind, coding)
    if isinstance(target, str | os.PathLike):
        write_whole(os.fspath(target), data)
    else:
        target.write(data)


def _chosen(target: object, format: str | None, encoding: str | None) -> tuple[str, str]:
    if format is None:
        name = os.fspath(target) if isinstance(target, str | os.PathLike) else getattr(target, "name", "")
        suffix = os.path.splitext(str(name))[1].lower()
        format = _SUFFIXES.get(suffix)
        if format is None:
            raise UnknownNameError(
                f"no format is known by the suffix {suffix!r}; pass format=, one of {', '.join(_ENCODINGS)}"
            )
    if format not in _ENCODINGS:
        raise UnknownNameError.of("format", format, _ENCODINGS)
    known = _ENCODINGS[format]
    if encoding is not None and encoding not in known:
        raise UnknownNameError.of(f"encoding of {format}", encoding, known)
    return format, encoding or known[0]


def _array(waveform: Any, channels_first: bool) -> Values:
    """(frames, channels), `float32` or `float64`."""
    values = waveform.detach().cpu() if hasattr(waveform, "detach") else waveform
    values = np.asarray(values.float() if str(getattr(values, "dtype", "")) == "torch.bfloat16" else values)
    if values.dtype.kind != "f":
        raise ValueError(f"waveform holds floats in [-1, 1], not {values.dtype}; divide integers of b bits by 2^(b-1)")
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"waveform is (C, T), (T, C) or (T,) with samples, not {values.shape}")
    if values.ndim == 1:
        values = values[:, None]
    elif channels_first:
        values = values.T
    return values if values.dtype == np.float64 else values.astype(np.float32, copy=False)


def _checked(values: Values, encoding: str, clip: bool) -> Values:
    """As the encoding can hold them."""
    peak = float(np.abs(values).max())
    if not np.isfinite(peak):
        frame, channel = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"the sample in frame {frame:,} of channel {channel} is {values[frame, channel]}")
    if peak <= 1 or encoding in ("FLOAT", "DOUBLE"):
        return values
    if not clip:
        raise ValueError(
            f'the peak is {peak:.6g}, {encoding} holds [-1, 1]: scale it, pass clip=True, or encoding="FLOAT" of wav'
        )
    return np.minimum(np.maximum(values, -1), 1)


def _integers(values: Values, bits: int) -> npt.NDArray[np.int32]:
    """round(x 2^(bits-1)), of which 1.0 becomes the greatest."""
    scale = 2 ** (bits - 1)
    scaled = np.rint(values * np.array(scale, np.float32 if bits <= 16 and values.dtype == np.float32 else np.float64))
    whole: npt.NDArray[np.int32] = np.minimum(scaled, scale - 1, out=scaled).astype(np.int32)
    return whole


def _samples(values: Values, encoding: str) -> bytes:
    """Little-endian, as they stand in a WAV."""
    if encoding in ("FLOAT", "DOUBLE"):
        return values.astype("<f4" if encoding == "FLOAT" else "<f8").tobytes()
    whole = _integers(values, _BITS[encoding])
    if encoding == "PCM_U8":
        return (whole + 128).astype(np.uint8).tobytes()
    if encoding == "PCM_24":
        return whole.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    return whole.astype("<i2" if encoding == "PCM_16" else "<i4").tobytes()


def _wav(values: Values, rate: int, encoding: str) -> bytes:
    """A WAV file, of which the same samples make the same bytes; libsndfile's hold the time of day."""
    data, (frames, channels) = _samples(values, encoding), values.shape
    if len(data) > 2**32 - 100:
        raise ValueError(f"a WAV holds up to 4 GiB, these are {len(data):,} bytes of samples; write flac")
    width, is_float = channels * _BITS[encoding] // 8, encoding in ("FLOAT", "DOUBLE")
    form = struct.pack("<HHIIHH", 3 if is_float else 1, channels, rate, rate * width, width, _BITS[encoding])
    chunks = [(b"fmt ", form + b"\0\0"), (b"fact", struct.pack("<I", frames))] if is_float else [(b"fmt ", form)]
    head = b"WAVE" + b"".join(name + struct.pack("<I", len(body)) + body for name, body in chunks)
    pad = len(data) % 2
    return b"".join(
        [b"RIFF", struct.pack("<I", len(head) + 8 + len(data) + pad), head, b"data", struct.pack("<I", len(data)), data]
        + [b"\0"] * pad
    )


def _encoded(values: Values, rate: int, kind: str, encoding: str) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    if kind == "flac":  # libsndfile takes the high bits
        values = _integers(values, _BITS[encoding]) << (32 - _BITS[encoding])  # type: ignore[assignment]
    try:
        with soundfile.SoundFile(buffer, "w", rate, values.shape[1], encoding, format=_FILES[kind]) as file:
            for start in range(0, len(values), _BLOCK):
                file.write(values[start : start + _BLOCK])
    except soundfile.SoundFileError as error:
        said = getattr(error, "error_string", "") or str(error)
        raise ValueError(f"{kind} cannot hold {values.shape[1]} channels at {rate:,} Hz: {said}") from error
    return buffer.getvalue()
