"""LibriSpeech: English read aloud, with transcripts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit.audio.base import SoundDataset
from datakit.audio.transcripts import read_lines
from datakit.chain import Transform
from datakit.columns import Columns
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files import Remote
from datakit.files.walking import files_below

_FOLDER = "LibriSpeech"
_NAME = re.compile(r"([0-9]{1,9})/([0-9]{1,9})/(\1-\2-([0-9]{1,9}))\.flac", re.ASCII)
_RATE = 16000
_SHA256 = {
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
}


class LibriSpeech(SoundDataset):
    """About 1,000 hours of English audiobooks with transcripts: LibriSpeech, an utterance a record.

    Reads `root/LibriSpeech/{split}/{speaker}/{chapter}/{speaker}-{chapter}-{utterance}.flac` and the transcripts beside
    them, `{speaker}-{chapter}.trans.txt`. Each sound must have its line there, and each line its sound. The archive of
    the split that is asked for is all that is needed and downloaded.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (1, T) | float32 | [-1, 1] |
    | sample_rate | () | int | 16,000 Hz |
    | text | () | str | the transcript, upper case |
    | speaker | () | int | number of the reader |
    | chapter | () | int | number of the chapter |
    | utterance | () | int | number of the utterance in the chapter, from 0 |
    | index | () | int | place in the split, sorted by the file's name as torchaudio does |
    | path | () | str | the sound file |

    Source: https://www.openslr.org/12/ (CC BY 4.0), with the checksums of torchaudio.

    Raises:
        MissingDataError: the split is not there or has no sounds; a transcript, or a sound that one names, is not.
        CorruptDataError: naming the file and its line, where names or transcripts are not as above.

    Examples:
        >>> from datakit.audio import LibriSpeech
        >>> speech = LibriSpeech.synthetic(n=8, split="dev-clean")
        >>> sample = speech[3]
        >>> sample["text"], sample["speaker"], sample["utterance"], tuple(sample["waveform"].shape)
        ('SEVEN FIVE NINE', 18, 0, (1, 14400))
    """

    splits: ClassVar[tuple[str, ...]] = tuple(_SHA256)
    remotes: ClassVar[tuple[Remote, ...]] = tuple(
        Remote(
            f"{split}.tar.gz",
            urls=(f"https://www.openslr.org/resources/12/{split}.tar.gz",),
            sha256=sha256,
            unpack=True,
            produces=(f"{_FOLDER}/{split}",),
        )
        for split, sha256 in _SHA256.items()
    )

    def __init__(
        self, root: str | Path, split: str | None = None, transform: Transform | None = None, *, download: bool = False
    ) -> None:
        self.remotes = self.remotes_of(split or self.splits[0])  # type: ignore[misc]
        super().__init__(root, split, transform, download=download)

    @classmethod
    def remotes_of(cls, split: str | None) -> tuple[Remote, ...]:
        """The archive of a split; all of them, 60 GB, for None."""
        return tuple(remote for remote in cls.remotes if split is None or remote.name == f"{split}.tar.gz")

    def index(self) -> Columns:
        """Names and transcripts."""
        folder = self.root / _FOLDER / str(self.split)
        names = list(files_below(folder, (".flac",)))
        if not names:
            raise MissingDataError(f"{folder.absolute()} has no FLAC files; unpack {self.split}.tar.gz once more")
        matches = [_matched(folder, name) for name in names]
        texts: dict[str, str] = {}
        for chapter in sorted({name.rpartition("/")[0] for name in names}):
            texts.update(_transcripts(folder, chapter))
        if silent := sorted(set(texts).difference(match[3] for match in matches)):
            place = "/".join(silent[0].split("-")[:2])
            raise MissingDataError(f"{folder / place / silent[0]}.flac is missing, which the .trans.txt there names")
        for match in matches:
            if match[3] not in texts:
                raise CorruptDataError(f"{folder / match[0]}: there is no line for it in the .trans.txt beside it")
        return Columns(  # folder by folder is also the order of the names: a hyphen comes before the digits
            file=[f"{_FOLDER}/{self.split}/{match[0]}" for match in matches],
            text=[texts[match[3]] for match in matches],
            speaker=np.array([int(match[1]) for match in matches], np.int64),
            chapter=np.array([int(match[2]) for match in matches], np.int64),
            utterance=np.array([int(match[4]) for match in matches], np.int64),
        )

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` utterances of one to three digits for each split; a digit has its formants, a reader a pitch."""
        from datakit.audio.sound_drawing import pitch_of, spoken, text_of, write_sound

        for split_place, split in enumerate(_SHA256):
            for chapter_place, first in enumerate(range(0, n, 3)):
                speaker = 1 + chapter_place * len(_SHA256) + split_place  # each reader in one split
                chapter, lines = 5000 + chapter_place, []
                folder = root / _FOLDER / split / str(speaker) / str(chapter)
                for utterance in range(min(3, n - first)):
                    name = f"{speaker}-{chapter}-{utterance:04d}"
                    words = rng.integers(0, 10, rng.integers(1, 4)).tolist()
                    sound = spoken(words, pitch_of(chapter_place), _RATE, rng, seconds=0.3)
                    write_sound(folder / f"{name}.flac", sound, _RATE)
                    lines.append(f"{name} {text_of(words).upper()}\n")
                (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))


def _matched(folder: Path, name: str) -> re.Match[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise CorruptDataError(f"{folder / name}: sounds are in speaker/chapter/speaker-chapter-utterance.flac")
    return match


def _transcripts(folder: Path, chapter: str) -> dict[str, str]:
    """The lines of a chapter: utterance -> text."""
    prefix = chapter.replace("/", "-")
    path = folder / chapter / f"{prefix}.trans.txt"
    texts: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        utterance, blank, text = line.partition(" ")
        if not blank or not text.strip() or utterance.rpartition("-")[0] != prefix:
            raise CorruptDataError(f"{path}: line {number}: {line[:80]!r}, where {prefix}-… and its text are due")
        if utterance in texts:
            raise CorruptDataError(f"{path}: line {number}: {utterance} is there twice")
        texts[utterance] = text.strip()
    return texts
