"""Writing Kaldi data directories: there whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datakit.audio.kaldi.tables import FILES
from datakit.audio.kaldi.validation import checked_tables
from datakit.audio.kaldi.writing import checked_key
from datakit.errors import UnknownNameError


def write_data_dir(root: str | os.PathLike[str], files: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a Kaldi data directory: sorted as `LC_ALL=C sort` does, `spk2utt` made of `utt2spk`, and checked.

    Args:
        root: a folder that is not there yet, or is empty; it appears when it is whole.
        files: name of each file, such as `utt2spk`, and in it ids and what belongs to them; anything but text is
            written as `str` does, and a tuple as its fields, such as `("rec1", 0.5, 1.5)` of `segments`.

    Raises:
        UnknownNameError: a file that no data directory has.
        CorruptDataError: the files are no good data directory, with the first problems.
        FileExistsError: there is something in `root`.
        ValueError: an id or a value cannot stand on a line; no `utt2spk`.

    Examples:
        >>> from datakit.audio.kaldi import KaldiData, write_data_dir
        >>> write_data_dir("data", {"utt2spk": {"b-1": "b", "a-1": "a"}, "text": {"a-1": "YES", "b-1": "NO"}})
        >>> [(record["utterance"], record["text"]) for record in KaldiData("data").records()]
        [('a-1', 'YES'), ('b-1', 'NO')]
    """
    for name in files:
        if name not in FILES:
            raise UnknownNameError.of("file of a Kaldi data directory", name, FILES)
    if "utt2spk" not in files:
        raise ValueError("a Kaldi data directory has utt2spk; give it as files['utt2spk']")
    tables = {
        name: sorted((checked_key(key), _field(value)) for key, value in rows.items()) for name, rows in files.items()
    }
    if "spk2utt" not in tables:
        spoken: dict[str, list[str]] = {}
        for utterance, speaker in tables["utt2spk"]:
            spoken.setdefault(speaker, []).append(utterance)
        tables["spk2utt"] = sorted((speaker, " ".join(utterances)) for speaker, utterances in spoken.items())
    lines = {name: [f"{key} {value}" for key, value in rows] for name, rows in tables.items()}
    write_tables(root, lines, check=True)


def write_tables(root: str | os.PathLike[str], files: Mapping[str, list[str]], *, check: bool = False) -> None:
    """Write the lines of files into a new folder, which appears when it is whole.

    Raises:
        CorruptDataError: they are to be checked, and are no good data directory.
        FileExistsError: there is something in `root`.
    """
    final = Path(root)
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise FileExistsError(f"{final} is there and not empty; nothing is written over")
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        for name, lines in files.items():
            (draft / name).write_bytes("".join(f"{line}\n" for line in lines).encode())
        if check:
            checked_tables(draft, speakers_sorted=False, name=os.fspath(root))
        os.chmod(draft, 0o755)
        os.replace(draft, final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sorted_rows(rows: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted((checked_key(key), _field(value)) for key, value in rows.items())


def _field(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if not text.strip() or re.search(r"[\r\n]", text):
        raise ValueError(f"a value has at least one character and no line breaks, got {text!r}")
    return text.strip()
