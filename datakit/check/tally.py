"""Findings from what records showed on their way through the chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from datakit.check.drift import FormCounts
from datakit.check.findings import Finding, Offender
from datakit.check.through import OfCode, Through
from datakit.check.troubles import Troubles
from datakit.inspection.record_checks import where
from datakit.inspection.text_checks import unknown_tokens
from datakit.inspection.text_survey import TextTally

_KEPT = 20  # offenders of a finding
_STRANGE, _LONG = 0.5, 5  # of the tokens of a text that are unknown; tokens of a text of which that is said


class Tally:
    """What is known after the records so far."""

    def __init__(self) -> None:
        self.read = 0
        self.has_chain = False
        self.troubles = Troubles()
        self.failed: dict[tuple[str, int], list[Through]] = {}  # by stage, and whether in another epoch only
        self.impure: dict[str, list[Through]] = {}  # by stage
        self.loaded, self.end = FormCounts(), FormCounts()
        self.texts = TextTally()
        self.strange: dict[str, list[Offender]] = {}  # texts that are mostly unknown, by key

    def add(self, one: Through) -> None:
        """Count a record."""
        if one.epoch == 0:
            self.read += not one.is_unread
        if one.error:
            if not one.is_unread:
                self.failed.setdefault((one.failed, one.epoch and 1), []).append(one)
            return
        self.has_chain = self.has_chain or one.has_chain
        self.troubles.add(one.place, one.troubles)
        if one.impure is not None:
            self.impure.setdefault(one.impure, []).append(one)
        self.loaded.add(one.place, one.loaded)
        self.end.add(one.place, one.end)
        self._count_text(one)

    def _count_text(self, one: Through) -> None:
        if one.text is None:
            return
        self.texts.add(one.text)
        for key, tokens in one.text.tokens.items():
            made = tokens.length - sum(tokens.kinds.get(kind, 0) for kind in ("special", "pad", "ignored"))
            unknown = tokens.kinds.get("unknown", 0)
            if made >= _LONG and unknown > _STRANGE * made:
                self.strange.setdefault(key, []).append(Offender(one.place, f"{unknown:,} of {made:,} unknown"))

    def findings(self) -> Iterator[Finding]:
        """All of them, the worst first."""
        yield from (self._failing(stage, again, group) for (stage, again), group in self.failed.items())
        yield from (self._changing(stage, group) for stage, group in self.impure.items())
        yield from self.troubles.findings()
        if self.has_chain:
            yield from self.end.findings("at the end of the chain", self.loaded.drifting)
        yield from self._unknown()

    def _failing(self, stage: str, again: int, group: list[Through]) -> Finding:
        offenders = tuple(Offender(one.place, one.error) for one in group[:_KEPT])
        count = f"{len(group):,} of {self.read:,} samples"
        epochs = f" in epoch {group[0].epoch}, and not in epoch 0" if again else ""
        text = f"{stage} fails for {count}{epochs}: {group[0].error}"
        advice = "a random transform does not suit every draw; let it cope with the smallest samples" if again else ""
        return Finding("chain", text, len(group), self.read, offenders, advice)

    def _changing(self, stage: str, group: list[Through]) -> Finding:
        offenders = tuple(Offender(one.place) for one in group[:_KEPT])
        count = f"{len(group):,} of {self.read:,} samples"
        culprit = next((one.changed_by for one in group if one.changed_by), None)
        if culprit is not None:
            text = f"{culprit} changes {count} in place, and the dataset hands out what it keeps: the next read differs"
            advice = "let the transform work on a copy, or let the dataset hand out copies of what it keeps"
            return Finding("impure", text, len(group), self.read, offenders, advice)
        text = f"two runs under the same key give different samples {where(stage)}, in {count}"
        return Finding("impure", text, len(group), self.read, offenders)

    def _unknown(self) -> Iterator[Finding]:
        said = False
        for found in unknown_tokens(self.texts.result(), self.read):
            key = found.text.split(" are unknown")[0].rpartition(" ")[2]
            strange = self.strange.get(key, [])
            said = True
            yield Finding("unknown-text", found.text, len(strange), self.read, tuple(strange[:_KEPT]), found.hint)
        for key, strange in self.strange.items() if not said else ():
            yield Finding(
                "unknown-text",
                f"more than half of the {key} are unknown to the vocabulary in {len(strange):,} of {self.read:,} texts",
                len(strange),
                self.read,
                tuple(strange[:_KEPT]),
                level="note",
            )


def of_code(found: list[OfCode], read: int) -> Iterator[Finding]:
    """Findings about the code as such, from a few records."""
    groups: dict[tuple[str, str, str], list[OfCode]] = {}
    for one in found:
        groups.setdefault((one.what, one.where, one.detail), []).append(one)
    for group in groups.values():
        finding = _of_code(group[0])
        offenders = tuple(Offender(place) for one in group for place in one.places)
        yield replace(finding, offenders=offenders, count=len(offenders), of=read if offenders else 0)


def _of_code(one: OfCode) -> Finding:
    if one.what == "later":
        text = f"a record is another {where(one.where)} after other records were read: something is kept between reads"
        return Finding("impure", text, advice="keep nothing between reads that a sample depends on")
    if one.what == "kept":
        text = f"two reads of a record give the same memory ({one.where}): who changes a sample changes the next one"
        return Finding("impure", text, advice="hand out a copy of what is kept, or make it read-only", level="note")
    stage = "reading a record" if one.where == "loaded" else one.where
    if one.what == "reseeds":
        text = f"{stage} seeds {one.detail} with a constant: all that draws from there draws the same every time"
        return Finding("ignores-key", text)
    text = (
        f"{stage} makes a generator of its own at every call ({one.detail}) and draws nothing from the sample's: "
        "the same numbers in every epoch"
    )
    return Finding("ignores-key", text, level="warning")
