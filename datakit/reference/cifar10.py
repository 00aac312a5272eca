"""`cifar10`: ten kinds of things, by a net of two convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from datakit.dataset import Dataset
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.guesses import confusions, guesses, spread
from datakit.reference.history import History
from datakit.reference.schedules import learn
from datakit.reference.split import leaked, no_leak
from datakit.sample import Sample
from datakit.transforms import Compose, Normalize, ToTensor
from datakit.vision import CIFAR10

SAMPLES = 100_000  # seen before the bar: 10 epochs of 10,000 images, 2 of the 50,000 of the whole set
DRAWN = 2000  # things of each split of the synthetic copy


class Cifar10(Reference):
    """Ten kinds of things in photographs of 32 x 32 pixels, by a net of two convolutions.

    The bars: 45 % of the test images are right after 100,000 samples seen, and none of them is, pixel for pixel, one of
    the training images. That takes 10 epochs of a set of 10,000 images, and 2 of the whole one.
    """

    name = "cifar10"
    source = "https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html"
    epochs, synthetic_epochs = 10, 3
    dataset = CIFAR10
    units: ClassVar[Mapping[str, str]] = {"accuracy": "%"}
    bars = (
        Bar(f"accuracy after {SAMPLES:,} samples", 0.45, unit="%", key="accuracy"),
        no_leak(),
    )

    def build(self) -> None:
        """The net of the tutorial, and a learning rate that falls to nothing where the bar is."""
        train, test = self.split("train"), self.split("test")
        self.classes = test.classes
        kind = "synthetic CIFAR-10" if self.is_synthetic else "CIFAR-10"
        self.data = f"{kind}: {len(train):,} images to train on, {len(test):,} to test on"
        self.leaked = leaked(train, test)
        self.loader = self.learn_from(train.with_transform(self.chain()), 16)
        self.test = self.test_on(test.with_transform(ToTensor(scale=False)), 500)
        self.normalize = Normalize(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        self.model = net().to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.bar_epoch = self.synthetic_epochs if self.is_synthetic else max(1, round(SAMPLES / len(train)))
        steps = self.bar_epoch * len(self.loader)
        self.schedule = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1, 0, total_iters=steps)

    def split(self, name: str) -> Dataset:
        """The images to train on or to test on."""
        if self.root is None:
            return CIFAR10.synthetic(DRAWN, split=name)
        return CIFAR10(self.root, name, download=self.download)

    @property
    def usual_epochs(self) -> int:
        """As many as the bar wants, once the images are known."""
        return getattr(self, "bar_epoch", super().usual_epochs)

    def chain(self) -> Compose:
        """What the training images go through."""
        return Compose([ToTensor(scale=False)])

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The cross entropy."""
        self.model.train()
        scores = self.model(self.normalize.on(batch["image"].to(self.device)))
        loss = functional.cross_entropy(scores, batch["label"].to(self.device))
        learn(loss, self.optimizer, self.schedule)
        return {"loss": loss.item()}

    def evaluate(self) -> dict[str, float]:
        """The share of the test images that are told right."""
        labels, answers = self.answers()
        return {"accuracy": (labels == answers).double().mean().item()}

    @torch.inference_mode()
    def answers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The labels (N,) of the test images, and what the net takes them for."""
        self.model.eval()
        found = [
            (batch["label"], self.model(self.normalize.on(batch["image"].to(self.device))).argmax(1).cpu())
            for batch in self.test
        ]
        labels, answers = (torch.cat(parts) for parts in zip(*found, strict=True))
        return labels, answers

    def checks(self, history: History) -> Sequence[Check]:
        """45 %, on images that the net has not seen."""
        accuracy, leak = self.bars
        figure = history.after(self.bar_epoch, "accuracy")
        seen = self.bar_epoch * len(self.loader.records)
        return [accuracy.check(figure, what=f"accuracy after {seen:,} samples"), leak.check(self.leaked)]

    def lines(self) -> Sequence[str]:
        """The accuracy of each class, and what it is most often taken for otherwise."""
        return confusions(*self.answers(), self.classes)

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Some test images with what they were taken for."""
        some, (labels, answers) = spread(len(self.test.records)), self.answers()
        images = [self.test.records[place]["image"].permute(1, 2, 0).numpy() for place in some]
        truths, taken = ([self.classes[int(values[place])] for place in some] for values in (labels, answers))
        return {"predictions.png": guesses(images, truths, taken)}


def net() -> nn.Sequential:
    """Two convolutions and three layers above them: logits (B, 10) of normalised images (B, 3, 32, 32)."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


class TestsOnTrain(Cifar10):
    """The test images are training images: the split was forgotten."""

    bug = "tests-on-train"

    def split(self, name: str) -> Dataset:
        """The same split, whichever was asked for."""
        return super().split("train")


class AxesViewed(Cifar10):
    """Training images (H, W, C) become (C, H, W) by a view of their memory, where the axes must be permuted."""

    bug = "axes-viewed"

    def chain(self) -> Compose:
        """A tensor of the right shape, with its pixels in the wrong places."""
        return Compose([_view_axes, ToTensor(scale=False)])


def _view_axes(sample: Sample) -> Sample:
    height, width, channels = sample["image"].shape
    viewed = sample["image"].reshape(channels, height, width).transpose(1, 2, 0)
    return {**sample, "image": viewed}
