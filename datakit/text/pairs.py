"""Sentences in two languages: the data of the tutorial on translation, and of every other pair of Tatoeba's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from datakit.chain import Transform
from datakit.columns import Columns, Record, Strings
from datakit.errors import CorruptDataError, DatakitError, MissingDataError, UnknownNameError
from datakit.files import Remote
from datakit.files.plain_text import line_places, read_text
from datakit.sample import Sample
from datakit.text.base import TextDataset
from datakit.text.names import DATA
from datakit.text.splitting import SPLITS, is_held_out

_TAB = 9


class TranslationPairs(TextDataset):
    """Sentences with their translations, a pair a line, with a tab between them: Tatoeba's, from English.

    Reads `eng-fra.txt` or `fra.txt` in `root`, `root/data` or `root/fra-eng`: two columns as in the tutorial, or three
    as in the archives of https://www.manythings.org/anki/, the third of which says who wrote the sentences. The
    languages that are asked for give the names of the file, and which way round it is read: the file of
    `source="fra", target="eng"` is the same. A sentence has a line for each of its translations.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | text | () | str | the sentence in the source language |
    | target_text | () | str | its translation |
    | attribution | () | str | the third column, where the file has one |
    | line | () | int | line of the file, from 1 |
    | index | () | int | place in the split, as in the file |
    | path | () | str | the file |

    There is no official split. `all` is everything; the sentences of `test` are `test_share` of the different source
    sentences, which are not in `train`. The split depends on `seed` and the sentences alone.

    Source: https://pytorch.org/tutorials/intermediate/seq2seq_translation_tutorial.html and https://tatoeba.org
    (CC BY 2.0 FR).

    Args:
        root: the folder that holds what the archive unpacks to, or the file itself.
        split: `all`, `train` or `test`.
        transform: a callable on a sample.
        source: language to translate from, three letters.
        target: language to translate into. A file of another name than above has the source in its first column.
        normalize: what is done to both sentences before anything else, such as `normalize_sentence`.
        max_words: longer pairs are left out, by the blanks in either sentence; the tutorial has 9.
        prefixes: pairs of which the sentence in a language begins otherwise are left out, such as
            `{"eng": ENGLISH_PREFIXES}`.
        seed: of the split.
        test_share: of the different source sentences, in (0, 1).
        download: fetch what is missing: the archive of the tutorial, English and French.

    Raises:
        MissingDataError: there is no such file, or nothing is left of it.
        CorruptDataError: naming file and line, for another encoding, a line that has not two or three columns, or not
            as many as the first one, and a sentence that is blank, or is so once it is normalised.
        UnknownNameError: `prefixes` of a language that is neither source nor target.

    Examples:
        >>> from datakit.text import ENGLISH_PREFIXES, TranslationPairs, normalize_sentence
        >>> pairs = TranslationPairs.synthetic(n=40)
        >>> pairs[3]["text"], pairs[3]["target_text"]
        ('Tom is alone.', 'Tom est seul.')
        >>> reversed_ = TranslationPairs(pairs.root, source="fra", target="eng", normalize=normalize_sentence,
        ...                              max_words=9, prefixes={"eng": ENGLISH_PREFIXES})
        >>> reversed_[3]["text"], reversed_[3]["target_text"]
        ('je ne suis pas mechant', 'i am not mean')
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
        source: str = "eng",
        target: str = "fra",
        normalize: Callable[[str], str] | None = None,
        max_words: int | None = None,
        prefixes: Mapping[str, Sequence[str]] | None = None,
        seed: int = 0,
        test_share: float = 0.1,
        download: bool = False,
    ) -> None:
        if source == target:
            raise DatakitError(f"source and target are the same language, {source!r}: give both")
        for language, begins in (prefixes or {}).items():
            if language not in (source, target):
                raise UnknownNameError.of("language of prefixes", language, (source, target))
            if isinstance(begins, str):
                raise TypeError(f"prefixes of a language are several: {{{language!r}: ({begins!r},)}}")
        self.source, self.target = source, target
        self.normalize, self.max_words, self.prefixes = normalize, max_words, dict(prefixes or {})
        self.seed, self.test_share = seed, test_share
        if _file(Path(root), source, target) is not None or {source, target} != {"eng", "fra"}:
            self.remotes = ()  # type: ignore[misc]
        super().__init__(root, split, transform, download=download)

    @classmethod
    def missing(cls, root: str | Path, split: str | None = None) -> list[str]:
        """As of `Dataset`, of English and French; any of the files that are read will do."""
        return [] if _file(Path(root), "eng", "fra") is not None else ["data/eng-fra.txt"]

    def index(self) -> Columns:
        """The pairs that are asked for."""
        path = _file(self.root, self.source, self.target)
        if path is None:
            names = ", ".join(_names(self.source, self.target))
            raise MissingDataError(
                f"{self.root.absolute()} has none of {names}: sentences of these languages with a tab between them; "
                "other pairs than English and French are at https://www.manythings.org/anki/"
            )
        table = _columns(path)
        first, second = self._normalized(table[0], path, 1), self._normalized(table[1], path, 2)
        texts, targets = (second, first) if _is_reversed(path, self.source, self.target) else (first, second)
        kept = np.flatnonzero(self._is_asked_for(texts, targets))
        if not len(kept):
            asked = {"max_words": self.max_words, "prefixes": self.prefixes or None}
            shown = ", ".join(f"{name}={value!r}" for name, value in asked.items() if value is not None)
            raise MissingDataError(f"{path}: {shown} leaves none of {len(texts):,} pairs")
        if self.split != "all":
            sentences = [texts[place] for place in kept.tolist()]
            test = is_held_out(sentences, np.zeros(len(kept), np.int64), self.test_share, self.seed)
            kept = kept[test == (self.split == "test")]
        columns: dict[str, Any] = {
            "text": [texts[place] for place in kept.tolist()],
            "target_text": [targets[place] for place in kept.tolist()],
        }
        if len(table) == 3:
            columns["attribution"] = table[2].take(kept)
        self._path = str(path)
        return Columns(**columns, line=kept + 1)

    def load(self, record: Record) -> Sample:
        """What the index says, and the path."""
        return {**vars(record), "path": self._path}

    def path_of(self, index: int) -> str:
        """The file."""
        return self._path

    def _normalized(self, column: Strings, path: Path, number: int) -> list[str]:
        texts = [column[place] for place in range(len(column))]
        texts = [self.normalize(text) for text in texts] if self.normalize else texts
        for line, text in enumerate(texts, 1):
            if not text.strip():
                raise CorruptDataError(
                    f"{path}: line {line}, column {number}: no sentence, {column[line - 1]!r}"
                    + (f" normalised is {text!r}" if self.normalize else "")
                )
        return texts

    def _is_asked_for(self, texts: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        most = self.max_words
        sides = ((texts, self.prefixes.get(self.source)), (targets, self.prefixes.get(self.target)))
        kept = np.ones(len(texts), bool)
        for sentences, prefixes in sides:
            if most is not None:
                kept &= [len(sentence.split()) <= most for sentence in sentences]
            if prefixes is not None:
                kept &= [sentence.startswith(tuple(prefixes)) for sentence in sentences]
        return kept

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` pairs of a small grammar: who is or is not how, in English and in French, which must agree."""
        from datakit.text.sentence_drawing import drawn_pairs

        (root / "data").mkdir(parents=True)
        lines = [f"{english}\t{french}\n" for english, french in drawn_pairs(n, rng)]
        (root / "data" / "eng-fra.txt").write_text("".join(lines), encoding="utf-8")


def _names(source: str, target: str) -> list[str]:
    """The files that these languages may be in."""
    others = [language for language in (source, target) if language != "eng"]
    pair = [f"{source}-{target}.txt", f"{target}-{source}.txt"]
    single = [f"{others[0]}.txt"] if len(others) == 1 else []
    below = [f"{others[0]}-eng/{others[0]}.txt"] if len(others) == 1 else []
    return [*(f"data/{name}" for name in (*pair, *single)), *pair, *single, *below]


def _file(root: Path, source: str, target: str) -> Path | None:
    if root.is_file():
        return root
    return next((root / name for name in _names(source, target) if (root / name).is_file()), None)


def _is_reversed(path: Path, source: str, target: str) -> bool:
    """Whether the first column is the target: as the file's name says, which is from English where it names one."""
    if path.stem in (f"{source}-{target}", f"{target}-{source}"):
        return path.stem != f"{source}-{target}"
    return target == "eng" and path.stem == source


def _columns(path: Path) -> list[Strings]:
    """The two or three columns of the file."""
    data = np.frombuffer(read_text(path), np.uint8)
    starts, ends = line_places(data, str(path))
    if not len(starts):
        raise MissingDataError(f"{path}: there are no pairs in it")
    tabs = np.flatnonzero(data == _TAB)
    tabs = tabs[tabs < ends[-1]]
    counts = np.searchsorted(tabs, ends) - np.searchsorted(tabs, starts)
    expected = int(counts[0]) if counts[0] in (1, 2) else 1
    if len(wrong := np.flatnonzero(counts != expected)):
        line = int(wrong[0])
        raise CorruptDataError(
            f"{path}: line {line + 1}: {counts[line] + 1} columns"
            + (f", where the first line has {expected + 1}" if line else "; a pair is two sentences with a tab between")
        )
    inner = tabs.reshape(len(starts), expected)
    begins = [starts, *(inner[:, place] + 1 for place in range(expected))]
    stops = [*(inner[:, place] for place in range(expected)), ends]
    return [Strings.of_parts(data, begin, end) for begin, end in zip(begins, stops, strict=True)]
