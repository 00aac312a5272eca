"""Parts of an MP3: the decoder is given only the frames that they need, by a table of where all of them begin.

An MP3 has no index, so libsndfile seeks by reading it from the start. Here the headers are read once for as long as the
file stays the same. A frame of layer III takes bits from frames before it (the reservoir), is added to the half of the
one before it, and goes through a filter that remembers 15 slots of 32 samples: with two whole frames in front and the
bits of so many more as the reservoir can hold, the samples are those of the whole file.

Source: ISO/IEC 11172-3, 2.4.2.7 (`main_data_begin`) and 2.4.3.4; ISO/IEC 13818-3, 2.4.1.7; how libmpg123 begins a
file: `check_lame_tag` in its parse.c, `frame_set_frameseek` in frame.c and `III_get_side_info` in layer3.c.
"""

from __future__ import annotations

import io
import itertools
import os
import threading
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from datakit.audio import mpeg

_WARM = 2  # frames decoded in front of a part
_PHASES = 4  # frames after which the filter of all kinds stands where it stood; it rounds by where it stands
_SKIPPED = 4  # frames at the start of a file that libmpg123 decodes without keeping them, at most
_KEPT = 2**22  # frames of all tables together: 32 MB

Key = tuple[int, ...]


class Table(NamedTuple):
    """Where the frames of a file are, and which samples they hold."""

    head: bytes  # the first 4 bytes of its first frame
    samples: int  # of each channel in a frame
    rate: int  # Hz
    channels: int
    places: npt.NDArray[np.int64]  # where the frames that hold sound begin, and where the last of them ends
    skip: int  # samples in front of the file's first
    total: int  # the file's samples of each channel
    phase: int  # frame at which the filter of the whole file stands as it does at the start of a part


class Part(NamedTuple):
    """A small MP3."""

    data: bytes
    lead: int  # samples at its start that are not the part's


_tables: dict[Key, Table] = {}
_lock = threading.Lock()


def table(file: BinaryIO, at: int) -> Table | None:
    """Where the frames are; None where only libsndfile knows what is to be heard of them.

    Args:
        file: an MP3 file; of a `FileIO` the table is kept.
        at: where its first frame begins, behind tags.

    Raises:
        CorruptDataError: as `mpeg.opening` and `mpeg.places`.
    """
    key = _key(file)
    if key is not None and key in _tables:
        return _tables[key]
    file.seek(0)
    found = _read(file.read(), at)
    if key is not None and found is not None:
        _keep(key, found)
    return found


def part(file: BinaryIO, known: Table, start: int, frames: int) -> Part | None:
    """An MP3 that holds a part of the file; None where the file has other frames than the table.

    Args:
        file: the MP3 file.
        known: its table.
        start: the first sample of the part.
        frames: samples of each channel, 1 at least.
    """
    count = len(known.places) - 1
    first = min((known.skip + start) // known.samples, count)
    warm = max(first - _WARM, 0)
    begin = _reservoir(known, warm)
    end = min((known.skip + start + frames - 1) // known.samples + 2, count)  # one more: the decoder looks ahead
    file.seek(int(known.places[begin]))
    data = bytearray(file.read(int(known.places[end] - known.places[begin])))
    places = known.places[begin : end + 1] - known.places[begin]
    if len(data) < places[-1] or not mpeg.are_frames(data, places, known.head).all():
        _forget(file)
        return None
    turn = (begin - known.phase) % _PHASES
    _silence(data, places, known, warm - begin)
    lead = known.skip + start + (turn - begin) * known.samples - mpeg.DECODER_DELAY
    silence = mpeg.silent(known.head) * turn
    return Part(mpeg.with_length(known.head, turn + end - begin) + silence + bytes(data), lead)


def _read(data: bytes, at: int) -> Table | None:
    start = mpeg.opening(data, at)
    first, said, head = start.first, start.said, data[start.at : start.at + 4]
    places, smallest = mpeg.places(data, start), 6 + first.side  # with a CRC
    if first.layer != 3 or len(places) < 2 or np.diff(places).min() < smallest:
        return None
    samples = (len(places) - 1) * first.samples
    if said is None or not said.frames:
        return Table(head, *first[1:4], places, 0, samples, -1)  # as `mpeg.prepared` has it decoded
    skip = mpeg.DECODER_DELAY + said.delay
    total = samples - said.delay - max(said.padding, mpeg.DECODER_DELAY)  # it cannot give the last ones
    if not said.xing or skip // first.samples > _SKIPPED or total != _decoded_length(data[start.at :]):
        return None
    phase = -(skip // first.samples)
    if phase and _is_cut(data, int(places[0])):
        return None
    return Table(head, *first[1:4], places, skip, total, phase)


def _decoded_length(data: bytes) -> int:
    """Samples of each channel that the decoder takes the file for, by its first frames; 0 where it does not open it."""
    import soundfile

    try:
        return int(soundfile.info(io.BytesIO(data)).frames)
    except soundfile.SoundFileError:
        return 0


def _reservoir(known: Table, warm: int) -> int:
    """The first frame that the reservoir of frame `warm` can reach back to."""
    begin, held, side = warm, 0, 6 + mpeg.side_bytes(known.head)  # header, CRC
    while begin > 0 and held < _limit(known.head):
        begin -= 1
        held += int(known.places[begin + 1] - known.places[begin]) - side
    return begin


def _silence(data: bytearray, places: npt.NDArray[np.int64], known: Table, warm: int) -> None:
    """Leave of the frames before `warm` only their bits, which later ones take, each with all that are there."""
    held, limit, side = 0, _limit(known.head), mpeg.side_bytes(known.head)
    shift = 16 - limit.bit_length()  # of `main_data_begin` in the first two bytes of the side information
    for at, end in itertools.pairwise(places[: warm + 1].tolist()):
        behind = side + at + (4 if data[at + 1] & 1 else 6)
        data[at + 1] |= 1  # no CRC
        data[at + 4 : behind] = (held << shift).to_bytes(2, "big") + bytes(behind - at - 6)
        held = min(limit, held + end - behind)


def _is_cut(data: bytes, at: int) -> bool:
    """Whether the first frame, at this place, wants bits from one before it; the decoder then drops some frames."""
    place = at + (4 if data[at + 1] & 1 else 6)
    return any(data[place : place + 1]) or (bool(data[at + 1] & 8) and data[place + 1] >= 128)


def _limit(head: bytes) -> int:
    """Bytes that the reservoir can hold."""
    return 511 if head[1] & 8 else 255


def _key(file: BinaryIO) -> Key | None:
    """What changes with the file; None where nothing tells."""
    raw = file.raw if isinstance(file, io.BufferedReader) else file
    if type(raw) is not io.FileIO:  # an unpacked one has the number of the packed one
        return None
    about = os.fstat(raw.fileno())
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _keep(key: Key, found: Table) -> None:
    """Keep a table, and of the older ones those that there is room for."""
    with _lock:
        _tables[key] = found
        room = _KEPT - sum(len(one.places) for one in _tables.values())
        for old in list(_tables):
            if room >= 0:
                break
            room += len(_tables.pop(old).places)


def _forget(file: BinaryIO) -> None:
    key = _key(file)
    with _lock:
        if key is not None:
            _tables.pop(key, None)
