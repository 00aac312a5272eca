"""What is wrong with a Kaldi data directory, by the rules of Kaldi's `utils/validate_data_dir.sh`, with file and line.

Source: https://github.com/kaldi-asr/kaldi/blob/master/egs/wsj/s5/utils/validate_data_dir.sh and `validate_text.pl`.
Unlike these, every problem is found, not only the first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from datakit.audio.kaldi.tables import RECORDING_FILES, UTTERANCE_FILES, Table, read_tables
from datakit.errors import CorruptDataError

Tables: TypeAlias = Mapping[str, Table]

_SHOWN = 5
_ILLEGAL = re.compile(r"(?<!\S)(<s>|</s>|#0)(?!\S)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def problems(tables: Tables, *, speakers_sorted: bool = True) -> Iterator[str]:
    """Everything that is wrong with the files of a data directory, `file: line n: what` each.

    Args:
        tables: the files that are there; `utt2spk` is one of them.
        speakers_sorted: whether the speakers of `utt2spk` must be in order too, as they are where an utterance's id
            begins with its speaker's.
    """
    if "spk2utt" not in tables:
        yield "spk2utt: there is no such file; utils/utt2spk_to_spk2utt.pl makes it of utt2spk"
    if "segments" in tables and "wav.scp" not in tables:
        yield "wav.scp: there is no such file, and segments are parts of its recordings"
    for name, table in tables.items():
        yield from table.problems
        yield from _order(name, table)
        yield from _values(name, table)
    yield from _speakers(tables, speakers_sorted)
    yield from _same_ids(tables)


def checked_tables(root: Path, *, speakers_sorted: bool, name: str | None = None) -> dict[str, Table]:
    """The files of a data directory, once nothing is wrong with them.

    Args:
        root: the data directory.
        speakers_sorted: as for `problems`.
        name: what a message calls the directory, where it is not `root`.

    Raises:
        MissingDataError: there is no such folder, or no `utt2spk` in it.
        CorruptDataError: with the first problems and their number.
    """
    tables = read_tables(root)
    first, count = [], 0
    for problem in problems(tables, speakers_sorted=speakers_sorted):
        count += 1
        if count <= _SHOWN:
            first.append(problem)
    if count:
        more = f"\n  and {count - _SHOWN:,} more" if count > _SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in first)
        raise CorruptDataError(
            f"{name or root}: {count:,} problem{'s' if count > 1 else ''} in this data directory:{listed}{more}"
        )
    return tables


def _order(name: str, table: Table) -> Iterator[str]:
    """Sorted as `LC_ALL=C sort` does, by bytes, which for UTF-8 is the order of code points; each id once."""
    before = None
    for line, key in enumerate(table.keys):
        if before is not None and key <= before:
            said = (
                "is there twice" if key == before else f"comes after {before!r}; sort by bytes, as LC_ALL=C sort does"
            )
            yield f"{name}: line {line + 1}: {key!r} {said}"
        before = key


def _values(name: str, table: Table) -> Iterator[str]:
    check = _CHECKS.get(name)
    if check is None:
        return
    for line, rest in enumerate(table.rests):
        value = rest.strip()
        if value and (fault := check(value)):
            yield f"{name}: line {line + 1}: {table.keys[line]!r}: {fault}"


def number(text: str) -> float | None:
    """The number that a field is, or None; `nan`, `1_0` and the like are none."""
    return float(text) if text.isascii() and _NUMBER.fullmatch(text) and math.isfinite(float(text)) else None


def _positive(value: str) -> str | None:
    found = number(value)
    return None if found is not None and found > 0 else f"a number above 0 is due, and there is {value[:80]!r}"


def _count(value: str) -> str | None:
    good = value.isascii() and value.isdigit() and int(value[:20]) > 0 and len(value) < 19
    return None if good else f"a whole number above 0 is due, and there is {value[:80]!r}"


def _one(value: str) -> str | None:
    return None if len(value.split()) == 1 else f"one field is due, and there are {len(value.split())}"


def _gender(value: str) -> str | None:
    return None if value in ("m", "f") else f"'m' or 'f' is due, and there is {value[:80]!r}"


def _warp(value: str) -> str | None:
    found = number(value)
    return None if found is not None and 0.5 < found < 1.5 else f"a warp from 0.5 to 1.5 is due, not {value[:80]!r}"


def _text(value: str) -> str | None:
    if found := _ILLEGAL.search(value):
        return f"the illegal symbol {found.group()!r}"
    if found := re.search(r"[^\S \t]", value):
        return f"white space other than space and tab, {found.group()!r}"
    return None


def _audio(value: str) -> str | None:
    return "'~' is expanded by shells only; write the whole path" if value.startswith("~") else None


def _segment(value: str) -> str | None:
    fields = value.split()
    if len(fields) not in (3, 4):
        return f"recording, start, end and perhaps a channel are due, and there are {len(fields)} fields"
    start, end = number(fields[1]), number(fields[2])
    if start is None or end is None:
        return f"start and end in seconds are due, and there is {' '.join(fields[1:3])!r}"
    if start < 0 or (end <= start and end != -1):
        return f"the end, {fields[2]}, is not after the start, {fields[1]}"
    if len(fields) == 4 and not (fields[3].isascii() and fields[3].isdigit()):
        return f"a channel from 0 on is due, and there is {fields[3][:80]!r}"
    return None


def _channel(value: str) -> str | None:
    fields = value.split()
    good = len(fields) == 2 and fields[1] in ("A", "B", "1")
    return None if good else f"a file and its channel, A or B, are due, and there is {value[:80]!r}"


_CHECKS: dict[str, Callable[[str], str | None]] = {
    "utt2spk": _one,
    "spk2gender": _gender,
    "spk2warp": _warp,
    "utt2warp": _warp,
    "utt2dur": _positive,
    "reco2dur": _positive,
    "utt2num_frames": _count,
    "utt2lang": _one,
    "text": _text,
    "wav.scp": _audio,
    "segments": _segment,
    "reco2file_and_channel": _channel,
}


def _speakers(tables: Tables, is_sorted: bool) -> Iterator[str]:
    """The speakers of utt2spk are in order, and spk2utt is its inverse."""
    spoken = tables["utt2spk"]
    speaker_of = {}
    before = ""
    for line in range(len(spoken)):
        speaker = speaker_of[spoken.keys[line]] = spoken.value(line)
        if is_sorted and speaker < before:
            hint = "begin the ids of utterances with their speaker, or pass speakers_sorted=False"
            yield f"utt2spk: line {line + 1}: the speaker {speaker!r} comes after {before!r}; {hint}"
        before = speaker
    if "spk2utt" not in tables:
        return
    inverse = tables["spk2utt"]
    listed = set()
    for line in range(len(inverse)):
        for utterance in inverse.value(line).split():
            place = f"spk2utt: line {line + 1}: {utterance!r}"
            if utterance in listed:
                yield f"{place} is there twice"
            elif utterance not in speaker_of:
                yield f"{place} is not in utt2spk"
            elif speaker_of[utterance] != inverse.keys[line]:
                yield f"{place} belongs to {inverse.keys[line]!r} here, and to {speaker_of[utterance]!r} in utt2spk"
            listed.add(utterance)
    for line in range(len(spoken)):
        if spoken.keys[line] not in listed:
            yield f"utt2spk: line {line + 1}: {spoken.keys[line]!r} is not in spk2utt"


def _same_ids(tables: Tables) -> Iterator[str]:
    """Every file has the ids of utt2spk, its speakers, or its recordings, and no others."""
    utterances = tables["utt2spk"].places()
    for name in (*UTTERANCE_FILES, "utt2warp"):
        yield from _compared(tables, name, "utt2spk", utterances)
    if "spk2utt" in tables:
        for name in ("spk2gender", "cmvn.scp", "spk2warp"):
            yield from _compared(tables, name, "spk2utt", tables["spk2utt"].places())
    recordings, source = utterances, "utt2spk"
    if "segments" in tables:
        segments, source = tables["segments"], "segments"
        recordings = {
            segments.value(line).split(None, 1)[0]: line for line in range(len(segments)) if segments.value(line)
        }
    for name in RECORDING_FILES:
        yield from _compared(tables, name, source, recordings)


def _compared(tables: Tables, name: str, source: str, known: Mapping[str, int]) -> Iterator[str]:
    if name not in tables:
        return
    found = tables[name].places()
    for key, line in known.items():
        if key not in found:
            yield f"{name}: {key!r} of {source} line {line + 1} is missing"
    for key, line in found.items():
        if key not in known:
            yield f"{name}: line {line + 1}: {key!r} is not in {source}"
