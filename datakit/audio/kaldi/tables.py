"""The text files of a Kaldi data directory: a line is an id and what belongs to it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from datakit.errors import CorruptDataError, MissingDataError
from datakit.files.opening import open_regular

UTTERANCE_FILES = ("text", "segments", "feats.scp", "vad.scp", "utt2dur", "utt2num_frames", "utt2lang", "utt2uniq")
SPEAKER_FILES = ("spk2utt", "spk2gender", "cmvn.scp", "spk2warp")
RECORDING_FILES = ("wav.scp", "reco2dur", "reco2file_and_channel")
FILES = ("utt2spk", *UTTERANCE_FILES, "utt2warp", *SPEAKER_FILES, *RECORDING_FILES)
"""The files of a data directory that are read, checked and written."""

_KEY = re.compile(r"[^ \t]+")
_PLAIN = re.compile(r"[!-~]+[ \t][ -~]*[!-~][ -~]*")  # most lines; the others are looked at closely


class Table:
    """One file: line *i* is `keys[i]` and `rests[i]`, white space between them included.

    Attributes:
        path: the file, for messages.
        keys: the ids, in the order of the file.
        rests: what follows on the line, as it is there.
        problems: what is wrong with the form of the file, each with its line.
    """

    def __init__(self, path: str, lines: list[str], problems: list[str]) -> None:
        self.path, self.problems = path, problems
        self.keys = [match.group() if (match := _KEY.match(line)) else "" for line in lines]
        self.rests = [line[len(key) :] for key, line in zip(self.keys, lines, strict=True)]

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, line: int) -> str:
        """What belongs to the id on a line, counted from 0, without the white space around it."""
        return self.rests[line].strip()

    def places(self) -> dict[str, int]:
        """Id to line, counted from 0."""
        return {key: line for line, key in enumerate(self.keys)}

    def lines(self) -> list[str]:
        """The lines as they are in the file, without their ends."""
        return [key + rest for key, rest in zip(self.keys, self.rests, strict=True)]


def read_table(path: Path) -> Table:
    """A file of a data directory; what is wrong with its form is noted, unless nothing can be read at all.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: it is no regular file, or no UTF-8.
    """
    name = os.fspath(path)
    with open_regular(name, "a file of a Kaldi data directory") as file:
        data = file.read()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise CorruptDataError(f"{name}: line {number}, byte {error.start}: not UTF-8") from error
    lines = text.split("\n")
    problems = [] if not lines[-1] else [f"{path.name}: line {len(lines)}: the last line has no end"]
    lines = lines if lines[-1] else lines[:-1]
    if not lines:
        problems.append(f"{path.name}: empty file")
    for number, line in enumerate(lines, start=1):
        if not _PLAIN.fullmatch(line) and (fault := _fault(line)):
            problems.append(f"{path.name}: line {number}: {fault}")
    return Table(name, lines, problems)


def _fault(line: str) -> str | None:
    if not line.strip():
        return "blank"
    if line[0] in " \t":
        return "white space before the id"
    if line.endswith("\r"):
        return "a carriage return at the end; lines end in LF"
    if not line.isprintable() and (found := re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", line)):
        return f"the control character {found.group()!r}"
    if len(line.split(None, 1)) < 2:
        return f"nothing after the id {line[:80]!r}"
    return None


def read_tables(root: Path) -> dict[str, Table]:
    """The files of the data directory that are there.

    Raises:
        MissingDataError: there is no such folder, or no `utt2spk` in it.
        CorruptDataError: as from `read_table`.
    """
    if not root.is_dir():
        raise MissingDataError(f"{root}: there is no such folder")
    if not (root / "utt2spk").exists():
        raise MissingDataError(f"{root / 'utt2spk'}: there is no such file; every Kaldi data directory has it")
    return {name: read_table(root / name) for name in FILES if os.path.lexists(root / name)}
