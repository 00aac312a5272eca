"""`yesno`: the words of a recording, one after another, by convolutions over frames and CTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from datakit import collate
from datakit.audio import YesNo
from datakit.derived import Subset
from datakit.loader import Loader
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.guesses import guesses
from datakit.reference.history import History
from datakit.reference.schedules import OneCycle, learn
from datakit.reference.speech import BANDS, Convolutions, LogMel, everything, picture
from datakit.reference.split import held_out, leaked, no_leak
from datakit.sample import Sample

DRAWN = 60  # recordings of the synthetic copy
SHOWN = 18
TOGETHER = 6  # recordings of a test batch


class YesNoByCtc(Reference):
    """The words of a recording in their order, yes or no, by three convolutions over log-mel features and CTC.

    Three tenths of the recordings are held out, by a hash of their names: 18 of 60. They are tested in batches that are
    padded to six times their length, as beside a long recording. The bars: at most 5 % of the words are wrong, left
    out or added (guessing gives 50 % where their number is known); and no held-out recording is, sample for sample,
    one of the training recordings.
    """

    name = "yesno"
    source = "https://www.openslr.org/1/"
    epochs, synthetic_epochs = 20, 8
    dataset = YesNo
    units: ClassVar[Mapping[str, str]] = {"word errors": "%"}
    bars = (
        Bar("word errors in held-out recordings", 0.05, "low", "%", "word errors"),
        no_leak("recordings"),
    )

    def build(self) -> None:
        """Waveforms in the batches; features belong to the net."""
        words = YesNo.synthetic(DRAWN) if self.root is None else YesNo(self.root, download=self.download)
        test, train = self.split([row["file"] for row in words.records()])
        self.leaked = leaked(Subset(words, train), Subset(words, test))
        self.data = f"{words!r}, {len(test)} of them held out"
        self.loader = self.learn_from(Subset(words, train), 3)
        self.test = Loader(Subset(words, test), TOGETHER, collate_fn=beside_a_long_one, rank=0, world_size=1)
        self.model = WordNet(words[0]["sample_rate"]).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        steps = len(self.loader) * self.usual_epochs
        self.schedule = OneCycle(self.optimizer, max_lr=4e-3, total_steps=steps)

    def split(self, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the held-out records and of the training records."""
        return held_out(files, share=0.3)

    def lengths(self, batch: dict[str, Any]) -> torch.Tensor:
        """How much of each waveform of a batch is no padding, (B,)."""
        length: torch.Tensor = batch["length"]
        return length

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The loss of CTC, for a word."""
        self.model.train()
        chances, frames = self.model(batch["waveform"].to(self.device), self.lengths(batch).to(self.device))
        labels = batch["labels"].to(self.device) + 1
        counts = torch.full((len(labels),), labels.shape[1])
        loss = functional.ctc_loss(chances.transpose(0, 1), labels, frames, counts)
        learn(loss, self.optimizer, self.schedule)
        return {"loss": loss.item()}

    def evaluate(self) -> dict[str, float]:
        """Word errors as a share of the words that were said."""
        pairs = self.heard()
        return {"word errors": sum(word_errors(*pair) for pair in pairs) / sum(len(said) for said, _ in pairs)}

    @torch.inference_mode()
    def heard(self) -> list[tuple[list[int], list[int]]]:
        """The words of each held-out recording, and those that the net hears."""
        self.model.eval()
        pairs = []
        for batch in self.test:
            found = self.model(batch["waveform"].to(self.device), self.lengths(batch).to(self.device))
            pairs += list(zip(batch["labels"].tolist(), words_of(*found), strict=True))
        return pairs

    def checks(self, history: History) -> Sequence[Check]:
        """At most one word of twenty, in recordings that the net has not heard."""
        errors, leak = self.bars
        return [errors.check(history.last(errors.key)), leak.check(self.leaked)]

    def lines(self) -> Sequence[str]:
        """How many recordings are right word for word, and what was heard in the others."""
        pairs = self.heard()
        wrong = [(text_of(said), text_of(heard)) for said, heard in pairs if said != heard]
        lines = [f"{len(pairs) - len(wrong)} of {len(pairs)} held-out recordings are right, word for word"]
        return [*lines, *(f"said {said:<32}heard {heard}" for said, heard in wrong)]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Features of held-out recordings, with the words that were heard."""
        pairs = self.heard()[:SHOWN]
        mel = LogMel(self.test.records[0]["sample_rate"])
        images = [picture(mel, self.test.records[place]["waveform"], 270) for place in range(len(pairs))]
        truths, answers = ([text_of(pair[side]) for pair in pairs] for side in (0, 1))
        return {"predictions.png": guesses(images, truths, answers)}


class WordNet(nn.Module):
    """Three convolutions over log-mel features, each of which halves the frames: no word, "no" or "yes" in each.

    Args:
        rate: of the samples, Hz.
        width: channels.
    """

    def __init__(self, rate: float, width: int = 32) -> None:
        super().__init__()
        self.mel = LogMel(rate)
        self.convolutions = Convolutions((BANDS, width, width, width), (2, 2, 2))
        self.last = nn.Linear(width, 1 + len(YesNo.classes))
        with torch.no_grad():  # of a net that begins with words in every frame some never get away from them
            self.last.bias.copy_(torch.tensor([3.0, 0.0, 0.0]))

    def forward(self, waveform: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities (B, N, 3) and frame counts (B,), of waveforms (B, 1, T) and their lengths in samples."""
        found, frames = self.convolutions(*self.mel(waveform, length))
        return self.last(found).log_softmax(-1), frames


def beside_a_long_one(samples: Sequence[Sample]) -> Sample:
    """As `collate.pad`, with room for a recording as long as all of these together."""
    batch = collate.pad(samples)
    more = int(batch["length"].sum()) - batch["waveform"].shape[-1]
    return {**batch, "waveform": functional.pad(batch["waveform"], (0, more))}


def words_of(chances: torch.Tensor, frames: torch.Tensor) -> list[list[int]]:
    """The words of each member by the best label of each frame: repeated labels are one, and 0 is none.

    Examples:
        >>> import torch
        >>> from datakit.reference.yesno import words_of
        >>> best = torch.eye(3)[[0, 2, 2, 0, 2, 1, 1]][None]
        >>> words_of(best, torch.tensor([7])), words_of(best, torch.tensor([4]))
        ([[1, 1, 0]], [[1]])
    """
    best = [row[:count] for row, count in zip(chances.argmax(-1).tolist(), frames.tolist(), strict=True)]
    return [[label - 1 for before, label in pairwise([0, *row]) if label not in (0, before)] for row in best]


def word_errors(said: Sequence[int], heard: Sequence[int]) -> int:
    """The least number of words to replace, leave out and put in that make one of the other (Levenshtein).

    Examples:
        >>> from datakit.reference.yesno import word_errors
        >>> word_errors([0, 1, 1, 0], [0, 1, 0, 0, 0])
        2
    """
    row = list(range(len(heard) + 1))
    for place, word in enumerate(said, 1):
        before, row[0] = row[0], place
        for column, other in enumerate(heard, 1):
            best = min(row[column] + 1, row[column - 1] + 1, before + (word != other))
            before, row[column] = row[column], best
    return row[-1]


def text_of(words: Sequence[int]) -> str:
    """The words by their names, with blanks between them; "nothing" for none."""
    return " ".join(YesNo.classes[word] for word in words) or "nothing"


class LengthsIgnored(YesNoByCtc):
    """Padding counts as sound, in the features, their mean, and the frames that CTC is told of."""

    bug = "lengths-ignored"

    def lengths(self, batch: dict[str, Any]) -> torch.Tensor:
        """As long as the longest one."""
        return everything(batch)


class SplitLeaks(YesNoByCtc):
    """The split is made by chance each time it is asked for, and so held-out recordings are trained on."""

    bug = "split-leaks"

    def split(self, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Held-out records of one split, training records of another."""
        return super().split(files)[0], super().split([f"{file} again" for file in files])[1]
