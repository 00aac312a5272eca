"""`spoken-digits`: which digit somebody says, by log-mel features and a small convolutional net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from datakit.audio import SpokenDigits
from datakit.dataset import Dataset
from datakit.derived import Concat
from datakit.loader import Loader
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.guesses import confusions, guesses, spread
from datakit.reference.history import History
from datakit.reference.schedules import OneCycle, learn
from datakit.reference.speech import BANDS, Convolutions, LogMel, everything, picture
from datakit.reference.split import leaked, no_leak

DRAWN = 300  # recordings of each split of the synthetic copy
SHOWN = 18


class DigitsByCnn(Reference):
    """Ten spoken digits, by log-mel features made on the device and three convolutions over their frames.

    The split is the dataset's: takes 0 to 4 of each digit by each speaker are tested on. The bars: 95 % of them are
    right; every one is told as the same digit whether it comes alone or padded in a batch; and none of them is, sample
    for sample, one of the training recordings.
    """

    name = "spoken-digits"
    source = "https://github.com/Jakobovski/free-spoken-digit-dataset"
    epochs, synthetic_epochs = 10, 4
    dataset = SpokenDigits
    units: ClassVar[Mapping[str, str]] = {"accuracy": "%"}
    bars = (
        Bar("accuracy on takes 0 to 4", 0.95, unit="%", key="accuracy"),
        Bar("test recordings told otherwise alone", 0, "low"),
        no_leak("recordings"),
    )

    def build(self) -> None:
        """Waveforms in the batches; features belong to the net."""
        train, test = self.split("train"), self.split("test")
        self.classes = SpokenDigits.classes
        kind = "synthetic spoken digits" if self.is_synthetic else "Free Spoken Digit Dataset"
        self.data = f"{kind}: {len(train):,} recordings to train on, {len(test):,} to test on"
        self.leaked = leaked(train, test)
        self.loader = self.learn_from(train, 32)
        self.test = self.test_on(test, 50)
        rate = train[0]["sample_rate"]
        self.model = DigitNet(LogMel(rate, norm_vars=True)).to(self.device)
        self.test_mel = LogMel(self.test_rate(rate), norm_vars=True).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        steps = len(self.loader) * self.usual_epochs
        self.schedule = OneCycle(self.optimizer, max_lr=4e-3, total_steps=steps)

    def split(self, name: str) -> Dataset:
        """The recordings to train on or to test on."""
        if self.root is None:
            return SpokenDigits.synthetic(DRAWN, split=name)
        return SpokenDigits(self.root, name, download=self.download)

    def test_rate(self, rate: int) -> int:
        """The sample rate, Hz, that the features of the test recordings are made for."""
        return rate

    def lengths(self, batch: dict[str, Any]) -> torch.Tensor:
        """How much of each waveform of a batch is no padding, (B,)."""
        length: torch.Tensor = batch["length"]
        return length

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The cross entropy."""
        self.model.train()
        scores = self.model(batch["waveform"].to(self.device), self.lengths(batch).to(self.device))
        loss = functional.cross_entropy(scores, batch["label"].to(self.device))
        learn(loss, self.optimizer, self.schedule)
        return {"loss": loss.item()}

    def evaluate(self) -> dict[str, float]:
        """The share of the test recordings that are told right."""
        labels, answers = self.answers(self.test)
        return {"accuracy": (labels == answers).double().mean().item()}

    def told_otherwise(self) -> int:
        """How many of the test recordings are taken for another digit alone than in a batch."""
        together, alone = (self.answers(test)[1] for test in (self.test, self.test_on(self.test.records, 1)))
        return int((together != alone).sum())

    @torch.inference_mode()
    def answers(self, test: Loader) -> tuple[torch.Tensor, torch.Tensor]:
        """The digits (N,) of the test recordings, and what the net takes them for."""
        self.model.eval()
        labels, answers = [], []
        for batch in test:
            waveform, length = batch["waveform"].to(self.device), self.lengths(batch).to(self.device)
            labels.append(batch["label"])
            answers.append(self.model.scores(*self.test_mel(waveform, length)).argmax(1).cpu())
        return torch.cat(labels), torch.cat(answers)

    def checks(self, history: History) -> Sequence[Check]:
        """95 %, in whatever batches, on recordings that the net has not heard."""
        figures = history.last("accuracy"), self.told_otherwise(), self.leaked
        return [bar.check(figure) for bar, figure in zip(self.bars, figures, strict=True)]

    def lines(self) -> Sequence[str]:
        """The accuracy of each digit, and what it is most often taken for otherwise."""
        return confusions(*self.answers(self.test), self.classes)

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Features of test recordings, with what they were taken for; the mistakes come first."""
        labels, answers = self.answers(self.test)
        wrong = (labels != answers).nonzero()[:, 0].tolist()[: SHOWN // 2]
        right = (labels == answers).nonzero()[:, 0].tolist()
        some = [*wrong, *(right[place] for place in spread(len(right), SHOWN - len(wrong)))]
        mel = LogMel(self.test_mel.fbank.sample_frequency)
        images = [picture(mel, self.test.records[place]["waveform"], 270) for place in some]
        truths, taken = ([self.classes[int(values[place])] for place in some] for values in (labels, answers))
        return {"predictions.png": guesses(images, truths, taken)}


class DigitNet(nn.Module):
    """Three convolutions, and the mean and the maximum over the frames that are there.

    Args:
        mel: makes the features.
        width: channels.
    """

    def __init__(self, mel: LogMel, width: int = 64) -> None:
        super().__init__()
        self.mel = mel
        self.convolutions = Convolutions((BANDS, width, width, width), (1, 2, 2))
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(2 * width, len(SpokenDigits.classes))

    def forward(self, waveform: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """Logits (B, 10) of waveforms (B, 1, T) and their lengths (B,) in samples."""
        return self.scores(*self.mel(waveform, length))

    def scores(self, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Logits (B, 10) of features (B, N, bands) and their frame counts (B,)."""
        found, frames = self.convolutions(features, frames)  # not below 0, and 0 beyond the ends
        mean = found.sum(1) / frames.clamp(min=1)[:, None]
        scores: torch.Tensor = self.last(self.drop(torch.cat((mean, found.amax(1)), 1)))
        return scores


class RateIgnored(DigitsByCnn):
    """The features of the test recordings are made for 16,000 Hz, Kaldi's default, whatever their rate is."""

    bug = "rate-ignored"

    def test_rate(self, rate: int) -> int:
        """That of `Fbank()`."""
        return 16000


class LengthsIgnored(DigitsByCnn):
    """Padding counts as sound: in the features, their mean, and the mean over the frames."""

    bug = "lengths-ignored"

    def lengths(self, batch: dict[str, Any]) -> torch.Tensor:
        """As long as the longest one."""
        return everything(batch)


class TakesForgotten(DigitsByCnn):
    """All takes are trained on, those of the test too."""

    bug = "takes-forgotten"

    def split(self, name: str) -> Dataset:
        """The test recordings among those to train on."""
        test = super().split("test")
        return test if name == "test" else Concat([super().split("train"), test])
