"""The Free Spoken Digit Dataset: one digit a recording."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit.audio.base import SoundDataset
from datakit.chain import Transform
from datakit.columns import Columns
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files import Remote
from datakit.files.walking import files_below

_FOLDER = "free-spoken-digit-dataset"
_NAME = re.compile(r"([0-9])_([A-Za-z]+)_([0-9]{1,9})\.wav", re.ASCII)
_TEST_TAKES = 5


class SpokenDigits(SoundDataset):
    """3,000 recordings of English digits by six speakers: the Free Spoken Digit Dataset, 50 of each digit by each.

    Reads `recordings/{digit}_{speaker}_{take}.wav` below `root` itself, where the dataset's repository may be, or below
    `root/free-spoken-digit-dataset`, where `download` puts them. Takes 0 to 4 are the test set, as upstream says: 300
    recordings, and 2,700 to train on.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (1, T) | float32 | [-1, 1] |
    | sample_rate | () | int | 8,000 Hz |
    | label | () | int | the digit, names in `classes` |
    | speaker | () | str | name of the speaker |
    | take | () | int | number of the recording, of this digit by this speaker, from 0 |
    | index | () | int | place in the split, sorted by name |
    | path | () | str | the sound file |

    Source: https://github.com/Jakobovski/free-spoken-digit-dataset, version 1.0.10 (CC BY-SA 4.0).

    Raises:
        MissingDataError: there is no folder `recordings`, or no recording of the split in it.
        CorruptDataError: naming the file, for a name that is not as above, or two takes that differ in zeros alone.

    Examples:
        >>> from datakit.audio import SpokenDigits
        >>> digits = SpokenDigits.synthetic(n=20, split="test")
        >>> sample = digits[13]
        >>> sample["label"], sample["speaker"], sample["take"], tuple(sample["waveform"].shape)
        (6, 'ben', 0, (1, 2078))
        >>> digits.classes[6]
        'six'
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    classes = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            f"{_FOLDER}.zip",
            urls=("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",),
            unpack=True,
            folder=_FOLDER,
            produces=(_FOLDER,),
        ),
    )

    def __init__(
        self, root: str | Path, split: str | None = None, transform: Transform | None = None, *, download: bool = False
    ) -> None:
        if _recordings(Path(root)) is not None:  # unpacked by hand, under another name
            self.remotes = ()  # type: ignore[misc]
        super().__init__(root, split, transform, download=download)

    @classmethod
    def missing(cls, root: str | Path, split: str | None = None) -> list[str]:
        """As of `Dataset`; a folder `recordings` of another name above it will do."""
        folder = _recordings(Path(root))
        if folder is None:
            return super().missing(root, split) or [f"{_FOLDER}/recordings"]
        return [] if any(Path(root, folder).glob("*.wav")) else [f"{folder}/*.wav"]

    def index(self) -> Columns:
        """What the names of the files say."""
        folder = _recordings(self.root)
        if folder is None:
            raise MissingDataError(f"{(self.root / _FOLDER).absolute()} has no folder 'recordings'")
        names = [name for name in files_below(self.root / folder, (".wav",)) if "/" not in name]
        matches = [_NAME.fullmatch(name) for name in names]
        if wrong := [name for name, match in zip(names, matches, strict=True) if match is None]:
            raise CorruptDataError(f"{self.root / folder / wrong[0]}: a name is digit_speaker_take.wav: 7_theo_12.wav")
        rows = [
            (name, int(match[1]), match[2], int(match[3])) for name, match in zip(names, matches, strict=True) if match
        ]
        _check_once(self.root / folder, rows)
        kept = [row for row in rows if (row[3] < _TEST_TAKES) == (self.split == "test")]
        if not kept:
            raise MissingDataError(f"{(self.root / folder).absolute()} has no recordings of split={self.split!r}")
        files, labels, speakers, takes = zip(*kept, strict=True)
        return Columns(
            file=[f"{folder}/{name}" for name in files],
            label=np.array(labels, np.int64),
            speaker=speakers,
            take=np.array(takes, np.int64),
        )

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` recordings for each split: a digit has its formants, a speaker a pitch; 0.25 to 0.6 s."""
        from datakit.audio.sound_drawing import NAMES, pitch_of, spoken, write_sound

        speakers = max(6, -(-n // (10 * _TEST_TAKES)))
        for first in (0, _TEST_TAKES):
            for place in range(n):
                digit, speaker, take = place % 10, place // 10 % speakers, first + place // (10 * speakers)
                name = NAMES[speaker % len(NAMES)] + "x" * (speaker // len(NAMES))
                sound = spoken([digit], pitch_of(speaker), 8000, rng, seconds=rng.uniform(0.25, 0.6))
                write_sound(root / _FOLDER / "recordings" / f"{digit}_{name}_{take}.wav", sound, 8000)


def _recordings(root: Path) -> str | None:
    """The folder of the recordings, relative to the root; upstream's archive has a folder of its own around it."""
    around = [_FOLDER, *(f"{_FOLDER}/{path.name}" for path in sorted((root / _FOLDER).glob(f"{_FOLDER}-*")))]
    around += [path.name for path in sorted(root.glob(f"{_FOLDER}-*"))]
    found = (folder for folder in ("recordings", *(f"{outer}/recordings" for outer in around)))
    return next((folder for folder in found if (root / folder).is_dir()), None)


def _check_once(folder: Path, rows: list[tuple[str, int, str, int]]) -> None:
    seen: dict[tuple[int, str, int], str] = {}
    for name, *what in rows:
        other = seen.setdefault((what[0], what[1], what[2]), name)  # type: ignore[arg-type]
        if other != name:
            raise CorruptDataError(f"{folder / name} is the same take as {other}; take one of them away")
