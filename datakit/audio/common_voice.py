"""Common Voice: sentences read by volunteers, with tables of what is known of each clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from datakit.audio.base import SoundDataset
from datakit.chain import Transform
from datakit.columns import Columns
from datakit.errors import CorruptDataError
from datakit.files import Remote, inside
from datakit.files.opening import open_regular
from datakit.tables import read_table

_CLIPS = "clips"
_RENAMED = {"path": "file", "sentence": "text", "client_id": "speaker"}
_OURS = (*_RENAMED.values(), "waveform", "sample_rate", "index")
_COLUMNS = (
    *("client_id", "path", "sentence", "up_votes", "down_votes"),
    *("age", "gender", "accents", "locale", "segment"),
)
_LONGEST = 2**16  # bytes of the first line
_BY_HAND = (
    "get the archive of a language by hand from https://commonvoice.mozilla.org/datasets, where its terms are to be "
    "accepted, and unpack it; the root is the folder in it that holds the folder clips and train.tsv, such as "
    "cv-corpus-17.0-2024-03-15/en. For a mirror, pack what is in that folder into common-voice.tar.gz"
)


class CommonVoice(SoundDataset):
    """Sentences that volunteers read aloud, checked by others: Common Voice of one language.

    Reads `root/{split}.tsv` and the MP3s in `root/clips`; `root` is the folder of the language. A record is a row of
    the table, in its order, with all of its columns as text, `NA` and the empty cell too. `path` without an ending
    means an MP3, as in old releases.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (C, T) | float32 | [-1, 1] |
    | sample_rate | () | int | Hz; 48,000 in old releases, 32,000 in newer ones |
    | text | () | str | the column `sentence` |
    | speaker | () | str | the column `client_id` |
    | up_votes, down_votes, age, gender … | () | str | every other column, by its own name; they differ by release |
    | index | () | int | row of the table, from 0 |
    | path | () | str | the sound file, by the column `path` |

    Args:
        root: the folder of the language.
        split: `train`, `dev`, `test`, `validated` (these three and more), `invalidated` or `other`.
        transform: a callable on a sample.
        download: fetch the archive from a mirror; upstream gives it only by hand.
        quotes: whether cells with quotes in them stand in quotes, as in the releases. Pass False for a table in which
            a quote is a character as any other.

    Source: https://commonvoice.mozilla.org/datasets (CC0).

    Raises:
        MissingDataError: the table or the folder `clips` is not there.
        CorruptDataError: naming row and column, for a table that is not as above, or a path that leaves `clips`.

    Examples:
        >>> from datakit.audio import CommonVoice
        >>> voices = CommonVoice.synthetic(n=4, split="dev")
        >>> sample = voices[2]
        >>> sample["text"], sample["sample_rate"], sample["up_votes"], tuple(sample["waveform"].shape)
        ('Four three seven.', 32000, '2', (1, 19200))
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "dev", "test", "validated", "invalidated", "other")
    mixed_splits: ClassVar[tuple[str, ...]] = ("validated",)
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote("common-voice.tar.gz", unpack=True, produces=(_CLIPS,), manual=_BY_HAND),
    )

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        transform: Transform | None = None,
        *,
        download: bool = False,
        quotes: bool = True,
    ) -> None:
        self.quotes = quotes
        super().__init__(root, split, transform, download=download)

    def index(self) -> Columns:
        """The rows of the table."""
        path = self.root / f"{self.split}.tsv"
        table = read_table(path, dict.fromkeys(_header(path), str), delimiter="\t", quotes=self.quotes)
        columns: dict[str, Any] = {_RENAMED.get(name, name): table[name].tolist() for name in table.columns}
        columns["file"] = [_file(name, f"{path} row {row}") for row, name in enumerate(columns["file"], start=1)]
        return Columns(**columns)

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` clips of one to three digits for each split; `validated` lists `train`, `dev` and `test` again."""
        from datakit.audio.sound_drawing import pitch_of, spoken, text_of, write_sound

        tables: dict[str, list[list[str]]] = {split: [] for split in CommonVoice.splits}
        for place, split in enumerate(split for split in tables if split != "validated"):
            for row in range(n):
                words = rng.integers(0, 10, rng.integers(1, 4)).tolist()
                speaker, name = row // 3, f"common_voice_en_{1 + place * n + row}.mp3"
                sound = spoken(words, pitch_of(speaker), 32000, rng, seconds=0.2)
                write_sound(root / _CLIPS / name, sound, 32000)
                votes = ["0", "2"] if split == "invalidated" else ["2", "0"] if split != "other" else ["0", "0"]
                cells = [f"{place:02x}{speaker:062x}", name, f"{text_of(words).capitalize()}.", *votes]
                tables[split].append([*cells, "", "", "NA" if row % 2 else "", "en", ""])
        tables["validated"] = [*tables["train"], *tables["dev"], *tables["test"]]
        for split, rows in tables.items():
            (root / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in [_COLUMNS, *rows]))


def _header(path: Path) -> list[str]:
    """The names of the columns, of which those that are renamed must be there."""
    with open_regular(str(path), "a table") as file:
        line = file.readline(_LONGEST)
    names = line.decode("utf-8-sig", "replace").rstrip("\r\n").split("\t")
    if missing := [name for name in _RENAMED if name not in names]:
        raise CorruptDataError(f"{path}: line 1: column {missing[0]!r} is missing; is it a table of Common Voice?")
    if taken := [name for name in names if name in _OURS]:
        raise CorruptDataError(f"{path}: line 1: column {taken[0]!r} has a name that means something else in a sample")
    return names


def _file(name: str, where: str) -> str:
    inside(_CLIPS, name, f"{where}, column 'path'")
    return f"{_CLIPS}/{name}" if name.lower().endswith((".mp3", ".wav", ".flac", ".ogg")) else f"{_CLIPS}/{name}.mp3"
