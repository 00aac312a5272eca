"""VCTK 0.92: English in many accents, by two microphones."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from datakit.audio.base import SoundDataset
from datakit.audio.transcripts import read_lines
from datakit.chain import Transform
from datakit.columns import Columns
from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError
from datakit.files import Remote
from datakit.files.walking import files_below

_FOLDER, _SOUNDS, _TEXTS = "VCTK-Corpus-0.92", "wav48_silence_trimmed", "txt"
_NAME = re.compile(r"(\w{1,40})/(\1_([0-9]{1,9}))\.txt", re.ASCII)
_MICROPHONES = ("mic1", "mic2")
_RATE = 48000


class VCTK(SoundDataset):
    """110 English speakers of many accents who read some 400 sentences each: the VCTK corpus, version 0.92.

    Reads `root/VCTK-Corpus-0.92/txt/{speaker}/{speaker}_{utterance}.txt`, which are read at once, and
    `wav48_silence_trimmed/{speaker}/{speaker}_{utterance}_{mic}.flac` beside `txt`. Records are those of torchaudio's
    `VCTK_092`, in its order: an utterance a transcript. So p315 is left out, whose transcripts upstream lost; so are
    p280 by `mic2`, and the sentences of p362 that upstream has no sound of. Any other that has none is an error.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (1, T) | float32 | [-1, 1] |
    | sample_rate | () | int | 48,000 Hz |
    | text | () | str | the transcript, without the line break at its end |
    | speaker | () | str | such as `p225` |
    | utterance | () | str | number of the sentence, such as `001`; it is another sentence for most speakers |
    | index | () | int | place in the list, sorted by speaker and utterance |
    | path | () | str | the sound file |

    Args:
        root: the folder that holds `VCTK-Corpus-0.92`.
        split: None; the corpus has no splits.
        transform: a callable on a sample.
        download: fetch what is missing, 11 GB.
        mic: the microphone, `mic1` or `mic2`.

    Source: https://datashare.ed.ac.uk/handle/10283/3443 (CC BY 4.0), with the checksum of torchaudio.

    Raises:
        MissingDataError: the folders are not there, there are no transcripts, or a transcript has no sound.
        CorruptDataError: naming the file, for a transcript that is empty or whose name is not as above.
        UnknownNameError: for another microphone.

    Examples:
        >>> from datakit.audio import VCTK
        >>> sample = VCTK.synthetic(n=8)[3]
        >>> sample["speaker"], sample["utterance"], sample["text"], tuple(sample["waveform"].shape)
        ('p226', '001', 'Five.', (1, 14400))
    """

    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "VCTK-Corpus-0.92.zip",
            urls=("https://datashare.is.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",),
            sha256="f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
            unpack=True,
            folder=_FOLDER,
            produces=(f"{_FOLDER}/{_TEXTS}", f"{_FOLDER}/{_SOUNDS}"),
        ),
    )

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        transform: Transform | None = None,
        *,
        download: bool = False,
        mic: Literal["mic1", "mic2"] = "mic2",
    ) -> None:
        if mic not in _MICROPHONES:
            raise UnknownNameError.of("microphone", mic, _MICROPHONES)
        self.mic = mic
        super().__init__(root, split, transform, download=download)

    def index(self) -> Columns:
        """Names and transcripts."""
        folder = self.root / _FOLDER
        names = list(files_below(folder / _TEXTS, (".txt",)))
        if not names:
            raise MissingDataError(f"{(folder / _TEXTS).absolute()} has no transcripts; unpack the archive once more")
        sounds = set(files_below(folder / _SOUNDS, (f"_{self.mic}.flac",)))
        rows = []
        for name in sorted(names, key=lambda name: name.split("/")):
            match = _NAME.fullmatch(name)
            if match is None:
                raise CorruptDataError(f"{folder / _TEXTS / name}: transcripts are in speaker/speaker_utterance.txt")
            sound = f"{match[1]}/{match[2]}_{self.mic}.flac"
            if sound in sounds:
                rows.append((f"{_FOLDER}/{_SOUNDS}/{sound}", _text(folder / _TEXTS / name), match[1], match[3]))
            elif match[1] != "p362" and (match[1], self.mic) != ("p280", "mic2"):
                raise MissingDataError(f"{folder / _SOUNDS / sound} is missing, and {name} is its transcript")
        if not rows:
            raise MissingDataError(f"{(folder / _SOUNDS).absolute()} has no sounds of {self.mic}")
        files, texts, speakers, utterances = zip(*rows, strict=True)
        return Columns(file=files, text=texts, speaker=speakers, utterance=utterances)

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` utterances of one to three digits by each microphone; `mic1` has less noise and is louder."""
        from datakit.audio.sound_drawing import pitch_of, spoken, text_of, write_sound

        for place in range(n):
            speaker, utterance = f"p{225 + place // 3}", f"{place % 3 + 1:03d}"
            words = rng.integers(0, 10, rng.integers(1, 4)).tolist()
            sound = spoken(words, pitch_of(place // 3), _RATE, rng, seconds=0.3)
            for mic, heard in (("mic1", sound), ("mic2", 0.5 * sound + rng.normal(0, 0.003, len(sound)))):
                name = f"{speaker}_{utterance}_{mic}.flac"
                write_sound(root / _FOLDER / _SOUNDS / speaker / name, heard, _RATE)
            path = root / _FOLDER / _TEXTS / speaker / f"{speaker}_{utterance}.txt"
            os.makedirs(path.parent, exist_ok=True)
            path.write_text(f"{text_of(words).capitalize()}.\n")


def _text(path: Path) -> str:
    lines = read_lines(path)
    if not lines or not lines[0].strip():
        raise CorruptDataError(f"{path}: line 1: an empty transcript")
    if len(lines) > 1:
        raise CorruptDataError(f"{path}: line 2: a transcript has one line")
    return lines[0]
