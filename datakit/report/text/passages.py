"""The texts and tokens of a sample after every stage that changed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from datakit.inspection.look import Stage
from datakit.inspection.text import Coders, Tokens, texts_in, tokens_in
from datakit.report.text.chips import Run, run_of
from datakit.report.text.writing import readable

_AT_ONCE, _MOST = 600, 20_000  # characters of a text


@dataclass(frozen=True)
class Prose:
    """A text.

    Attributes:
        key: `text` or `target_text`.
        first: what is shown at once.
        folded: what is shown on demand.
        unlisted: how many more characters there are.
    """

    key: str
    first: str
    folded: str = ""
    unlisted: int = 0


@dataclass(frozen=True)
class Passage:
    """What a stage made.

    Attributes:
        name: of the stage.
        texts: those that it changed.
        runs: tokens that it changed.
    """

    name: str
    texts: tuple[Prose, ...]
    runs: tuple[Run, ...]


def passages_of(
    stages: Sequence[Stage], coders_after: Callable[[Sequence[str]], Coders], most: int
) -> tuple[Passage, ...]:
    """The stages that changed a text or tokens, with what they changed.

    Args:
        stages: of a sample.
        coders_after: what tokens stand for after the stages of these names.
        most: tokens of a sequence, at most.
    """
    passages: list[Passage] = []
    texts: dict[str, str] = {}
    known: dict[str, Tokens] = {}
    for place, stage in enumerate(stages):
        coders = coders_after([one.name for one in stages[: place + 1]])
        now, tokens = texts_in(stage.sample), {one.key: one for one in tokens_in(stage.sample, coders)}
        new = [prose_of(key, text) for key, text in now.items() if texts.get(key) != text]
        runs = [run_of(one, most) for key, one in tokens.items() if not one.is_as(known.get(key))]
        if new or runs:
            passages.append(Passage(stage.name, tuple(new), tuple(runs)))
        texts, known = now, tokens
    return tuple(passages)


def epoch_passages(named: Sequence[tuple[str, Any]], coders: Coders, most: int) -> tuple[Passage, ...]:
    """The texts and tokens of one record in several epochs; none of a key that is the same in all of them.

    Args:
        named: what each epoch is called, and its sample.
        coders: what tokens stand for.
        most: tokens of a sequence, at most.
    """
    texts = [texts_in(sample) for _, sample in named]
    tokens = [{one.key: one for one in tokens_in(sample, coders)} for _, sample in named]
    other_texts = {key for one in texts for key, text in one.items() if texts[0].get(key) != text}
    other_tokens = {key for one in tokens for key, each in one.items() if not each.is_as(tokens[0].get(key))}
    made = (
        Passage(
            name,
            tuple(prose_of(key, text) for key, text in own.items() if key in other_texts),
            tuple(run_of(one, most) for key, one in numbers.items() if key in other_tokens),
        )
        for (name, _), own, numbers in zip(named, texts, tokens, strict=True)
    )
    return tuple(passage for passage in made if passage.texts or passage.runs)


def prose_of(key: str, text: str) -> Prose:
    """A text, its end folded away where it is long."""
    shown = _AT_ONCE if len(text) > _AT_ONCE * 5 // 4 else len(text)
    folded = readable(text[shown:_MOST])
    return Prose(key, readable(text[:shown]), folded, max(0, len(text) - max(shown, _MOST)))
