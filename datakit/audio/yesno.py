"""YesNo: eight words a recording, each yes or no."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit.audio.base import SoundDataset
from datakit.columns import Columns
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files import Remote
from datakit.files.walking import files_below

_FOLDER = "waves_yesno"
_NAME = re.compile(r"[01](_[01]){7}\.wav", re.ASCII)


class YesNo(SoundDataset):
    """One man who says yes or no in Hebrew, eight words a recording: 60 recordings.

    Reads `root/waves_yesno/*.wav`; the labels are the file's name: `0_1_0_1_0_0_1_1.wav`.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (1, T) | float32 | [-1, 1] |
    | sample_rate | () | int | 8,000 Hz |
    | labels | (8,) | int64 | the words, names in `classes` |
    | text | () | str | the words by these names |
    | index | () | int | place in the list, sorted by name |
    | path | () | str | the sound file |

    Source: https://www.openslr.org/1/, with the checksum of torchaudio.

    Raises:
        MissingDataError: there is no such folder, or no WAV in it.
        CorruptDataError: naming the file, for a name that is not as above.

    Examples:
        >>> from datakit.audio import YesNo
        >>> sample = YesNo.synthetic(n=8)[3]
        >>> tuple(sample["waveform"].shape), sample["labels"].tolist()
        ((1, 25600), [0, 1, 1, 0, 1, 1, 0, 0])
        >>> sample["text"]
        'no yes yes no yes yes no no'
    """

    classes = ("no", "yes")
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(
            "waves_yesno.tar.gz",
            urls=("https://www.openslr.org/resources/1/waves_yesno.tar.gz",),
            sha256="c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",
            unpack=True,
            produces=(_FOLDER,),
        ),
    )

    needed: ClassVar[tuple[str, ...]] = (f"{_FOLDER}/*.wav",)

    def index(self) -> Columns:
        """Names, and the labels that they are."""
        folder = self.root / _FOLDER
        names = [name for name in files_below(folder, (".wav",)) if "/" not in name]
        if not names:
            raise MissingDataError(f"{folder.absolute()} has no WAV files; unpack waves_yesno.tar.gz once more")
        if wrong := [name for name in names if not _NAME.fullmatch(name)]:
            raise CorruptDataError(f"{folder / wrong[0]}: a name is eight labels, 0 or 1, as 0_1_0_1_0_0_1_1.wav")
        labels = np.array([[int(label) for label in name[:-4].split("_")] for name in names], np.int64)
        return Columns(
            file=[f"{_FOLDER}/{name}" for name in names],
            labels=labels,
            text=[" ".join(self.classes[label] for label in row) for row in labels.tolist()],
        )

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` recordings, up to the 256 that can have a name, of two words in one voice."""
        from datakit.audio.sound_drawing import spoken, write_sound

        if n > 256:
            raise ValueError(f"eight labels make 256 names, so that a copy of YesNo cannot have {n} recordings")
        for number in map(int, rng.permutation(256)[:n]):
            bits = [number >> place & 1 for place in range(8)]
            sound = spoken([9 if bit else 4 for bit in bits], 120.0, 8000, rng)
            write_sound(root / _FOLDER / f"{'_'.join(map(str, bits))}.wav", sound, 8000)
