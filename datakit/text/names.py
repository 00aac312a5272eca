"""Surnames by language: the data of two tutorials of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from datakit.chain import Transform
from datakit.columns import Columns, Strings
from datakit.errors import CorruptDataError, MissingDataError
from datakit.files import Remote
from datakit.files.plain_text import line_places, read_text
from datakit.files.walking import files_below
from datakit.text.base import TextDataset
from datakit.text.splitting import SPLITS, is_held_out

DATA = Remote(
    "data.zip",
    urls=("https://download.pytorch.org/tutorial/data.zip",),
    unpack=True,
    produces=("data",),
)
"""The archive of the tutorials on names and on translation."""


class Names(TextDataset):
    """Surnames from 18 languages, one a line, a file for each language; any other folder of such files too.

    Reads `data/names/*.txt` or `names/*.txt` below `root`, or `*.txt` in `root` where that is called `names` itself. A
    name may be there more than once, in one language or in several.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | text | () | str | the name |
    | label | () | int | its language, names in `classes` |
    | line | () | int | line of the file, from 1 |
    | index | () | int | place in the split, by file and line |
    | path | () | str | the file |

    There is no official split. `all` is everything; of `train` and `test` the second has `test_share` of the different
    names of each language. A name is in one of them only, whatever its language, and the split depends on `seed` and
    the names alone.

    Source: https://pytorch.org/tutorials/intermediate/char_rnn_classification_tutorial.html

    Args:
        root: the folder that holds what the archive unpacks to.
        split: `all`, `train` or `test`.
        transform: a callable on a sample.
        seed: of the split.
        test_share: of the different names of a language, in (0, 1).
        normalize: what is done to a name before anything else, such as `unicode_to_letters`; one that leaves nothing of
            a name is an error.
        download: fetch what is missing.

    Raises:
        MissingDataError: there is no such folder, no text file in it, no name in one, or too few for a split.
        CorruptDataError: naming file and line, for another encoding, and a line without a name.

    Examples:
        >>> from datakit.text import Names
        >>> names = Names.synthetic(n=60, split="train", seed=0)
        >>> len(names), names.classes
        (48, ('Chinese', 'Greek', 'Irish', 'Italian', 'Japanese', 'Russian'))
        >>> names[0]["text"], names.classes[names[0]["label"]]
        ('Dang', 'Chinese')
        >>> names.by_class()["Greek"][:3]
        ['Nikoloudis', 'Christakis', 'Kostoudis']
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    mixed_splits: ClassVar[tuple[str, ...]] = ("all",)
    remotes: ClassVar[tuple[Remote, ...]] = (DATA,)

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        transform: Transform | None = None,
        *,
        seed: int = 0,
        test_share: float = 0.15,
        normalize: Callable[[str], str] | None = None,
        download: bool = False,
    ) -> None:
        if _folder(Path(root)) is not None:  # unpacked by hand, or somebody's own
            self.remotes = ()  # type: ignore[misc]
        elif not download and any(Path(root).glob("*.txt")):
            raise MissingDataError(
                f"{Path(root).absolute()} has text files, and none of them in a folder `names`: put the files of "
                "names, one for each class, into names/ there"
            )
        self.seed, self.test_share, self.normalize = seed, test_share, normalize
        super().__init__(root, split, transform, download=download)

    @classmethod
    def missing(cls, root: str | Path, split: str | None = None) -> list[str]:
        """As of `Dataset`; any folder of names will do, and one called `data` need not be the tutorial's."""
        return [] if _folder(Path(root)) is not None else ["data/names/*.txt"]

    def index(self) -> Columns:
        """The names, file by file."""
        folder = _folder(self.root)
        if folder is None:
            raise MissingDataError(f"{self.root.absolute()} has no names/*.txt, a file of names for each language")
        files = [name for name in files_below(self.root / folder, (".txt",)) if "/" not in name]
        self.classes = tuple(Path(name).stem for name in files)
        parts = [self._names(self.root / folder / name) for name in files]
        counts = [len(part) for part in parts]
        texts = [text for part in parts for text in part]
        labels = np.repeat(np.arange(len(files)), counts)
        lines = np.concatenate([np.arange(1, count + 1) for count in counts])
        kept = np.ones(len(texts), bool)
        if self.split != "all":
            kept = is_held_out(texts, labels, self.test_share, self.seed) == (self.split == "test")
        return Columns(
            text=[text for text, keeps in zip(texts, kept.tolist(), strict=True) if keeps],
            label=labels[kept],
            line=lines[kept],
            file=[f"{folder}/{files[label]}".removeprefix("/") for label in labels[kept].tolist()],
        )

    def by_class(self) -> dict[str, list[str]]:
        """The names of each language, in the order of the file."""
        listed: dict[str, list[str]] = {name: [] for name in self.classes}
        for text, label in zip(self.texts(), self.columns.column("label").tolist(), strict=True):
            listed[self.classes[label]].append(text)
        return listed

    def _names(self, path: Path) -> list[str]:
        data = np.frombuffer(read_text(path), np.uint8)
        raw = Strings.of_parts(data, *line_places(data, str(path)))
        texts = [self.normalize(raw[place]) if self.normalize else raw[place] for place in range(len(raw))]
        if not texts:
            raise MissingDataError(f"{path}: there are no names in it")
        for line, text in enumerate(texts, 1):
            if not text.strip():
                why = f", {raw[line - 1]!r} normalised is {text!r}" if raw[line - 1].strip() else ""
                raise CorruptDataError(f"{path}: line {line}: no name{why}; a line has one")
        return texts

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` names of six languages, of their syllables and endings; some come twice, as real ones do."""
        from datakit.text.name_drawing import drawn_names

        folder = root / "data" / "names"
        folder.mkdir(parents=True)
        for language, names in drawn_names(n, rng).items():
            (folder / f"{language}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _folder(root: Path) -> str | None:
    """Where the files are, relative to the root."""
    own = ("",) if root.absolute().name == "names" else ()  # anywhere else lie other texts too
    found = (folder for folder in ("data/names", "names", *own) if any((root / folder).glob("*.txt")))
    return next(found, None)
