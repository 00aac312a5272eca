"""How large pictures and how long clips may be, so that the page stays small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datakit.inspection.batch import split
from datakit.inspection.look import Inspection
from datakit.inspection.sound import changed, sounds_in
from datakit.inspection.text import Coders, tokens_in
from datakit.report.sound.clip import SECONDS

IN_GRID = 64
"""Samples of a batch that are shown."""

SIDE = 448
"""Pixels of the longer side of a picture, at most."""

_PIXELS = 24e6  # of all pictures together: about 6 MB as JPEG
_STEPS = 4_000_000  # of all clips together: 11 MB
_TOKENS, _ALL_TOKENS = 1000, 12_000  # of a sequence; of all together: less than 1 MB


@dataclass(frozen=True)
class Room:
    """What a figure may take.

    Attributes:
        side: pixels of the longer side of a picture.
        steps: of a clip, times its channels.
        highest: amplitude for which the axes of waveforms beside each other have room.
        tokens: of a sequence.
    """

    side: int
    steps: int = _STEPS
    highest: float = 0.0
    tokens: int = _TOKENS


def room_of(inspection: Inspection, side: int = SIDE) -> Room:
    """Smaller pictures where there are very many, and shorter clips where they are long together.

    Args:
        inspection: what is shown.
        side: pixels of the longer side of a picture, at most.
    """
    pictures = sum(len(sample.stages) for sample in inspection.samples) + len(inspection.draws) + IN_GRID
    side = int(min(side, max(SIDE / 4, (_PIXELS / pictures) ** 0.5)))
    tokens = min(_TOKENS, shared(list(_tokens(inspection)), _ALL_TOKENS))
    return Room(side, shared(list(_clips(inspection)), _STEPS), tokens=tokens)


def shared(wanted: Sequence[int], total: int) -> int:
    """The greatest limit for which all of these together, each cut at the limit, are no more than the total."""
    left, limit = total, total
    for place, size in enumerate(sorted(wanted)):
        limit = left // (len(wanted) - place)
        if size > limit:
            return limit
        left -= size
    return total


def _clips(inspection: Inspection) -> Iterator[int]:
    """Steps times channels of every waveform that can be listened to, at most `SECONDS` of each."""
    for sample in _samples(inspection):
        for sound in sample:
            if sound.key == "waveform" and sound.rate:
                yield min(sound.valid, int(SECONDS * sound.rate)) * min(len(sound.values), 2)


def _tokens(inspection: Inspection) -> Iterator[int]:
    """The length of every sequence of tokens, at most `_TOKENS` of each, at every stage."""
    stages = [stage for seen in inspection.samples for stage in seen.stages]
    stages += [seen.stages[-1] for seen in inspection.draws if seen.stages]
    for stage in stages:
        for tokens in tokens_in(stage.sample, Coders()):
            yield min(len(tokens.numbers), _TOKENS)


def _samples(inspection: Inspection) -> Iterator[Any]:
    for seen in inspection.samples:
        before = None
        for stage in seen.stages:
            yield changed(stage.sample, before)
            before = stage.sample
    yield from (sounds_in(seen.stages[-1].sample)[-1:] for seen in inspection.draws if seen.stages)
    yield from (sounds_in(sample)[-1:] for sample in split(inspection.batch)[:IN_GRID])
