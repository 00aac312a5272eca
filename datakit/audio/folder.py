"""Folders of sound files: one folder a class, or no classes at all."""

from __future__ import annotations

from pathlib import Path

from datakit.audio.base import SoundDataset
from datakit.audio.io import AUDIO_SUFFIXES
from datakit.chain import Transform
from datakit.columns import Columns
from datakit.errors import MissingDataError
from datakit.files.walking import class_files, files_below


class AudioFiles(SoundDataset):
    """The sound files below a folder, without labels, sorted by path.

    Files with another ending than those of sound files are left out; hidden files and folders too.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (C, T) | float32 | [-1, 1] |
    | sample_rate | () | int | Hz, each file its own |
    | index | () | int | place in the sorted list |
    | path | () | str | the sound file |

    Raises:
        MissingDataError: there is no such folder, or no sound file in it.

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from datakit import audio
        >>> Path("sounds").mkdir()
        >>> audio.save("sounds/one.wav", torch.zeros(2, 800), 8000)
        >>> tuple(audio.AudioFiles("sounds")[0]["waveform"].shape)
        (2, 800)
    """

    def __init__(self, root: str | Path, transform: Transform | None = None) -> None:
        super().__init__(root, transform=transform)

    def index(self) -> Columns:
        """Paths of the sounds, relative to `root`."""
        files = list(files_below(self.root, AUDIO_SUFFIXES))
        if not files:
            raise MissingDataError(f"{self.root.absolute()} has no sound files ({', '.join(AUDIO_SUFFIXES)})")
        return Columns(file=files)


class AudioFolder(SoundDataset):
    """A folder with one folder of sound files for each class: `root/bark/1.wav`, `root/meow/2.flac`.

    Classes are the names of the folders, sorted; sounds are listed class by class, sorted by path, at any depth. Files
    with another ending than those of sound files, and hidden ones, are left out.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (C, T) | float32 | [-1, 1] |
    | sample_rate | () | int | Hz, each file its own |
    | label | () | int | class, names in `classes` |
    | index | () | int | place in the list |
    | path | () | str | the sound file |

    Raises:
        MissingDataError: there is no such folder, it has no folders in it, or one of these has no sound file.

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from datakit import audio
        >>> for name in ("bark/1.wav", "meow/1.wav", "meow/2.wav"):
        ...     Path("pets", name).parent.mkdir(parents=True, exist_ok=True)
        ...     audio.save(Path("pets", name), torch.zeros(1, 800), 8000)
        >>> audio.AudioFolder("pets")
        AudioFolder('pets'): 3 records, 2 classes: bark, meow
        >>> audio.AudioFolder("pets")[2]["label"]
        1
    """

    def __init__(self, root: str | Path, transform: Transform | None = None) -> None:
        super().__init__(root, transform=transform)

    def index(self) -> Columns:
        """Paths relative to `root`, and labels."""
        hint = "AudioFolder expects one for each class. For a folder of sounds without classes there is AudioFiles"
        self.classes, files, labels = class_files(self.root, AUDIO_SUFFIXES, "sound files", hint)
        return Columns(file=files, label=labels)
