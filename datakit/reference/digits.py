"""What the references on handwritten digits share: the data, the net, a baseline, and how a digit is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from datakit.dataset import Dataset
from datakit.reference.base import Reference
from datakit.reference.schedules import learn
from datakit.transforms import Normalize, ToTensor
from datakit.vision import MNIST

NORMALIZE = Normalize(mean=(0.1307,), std=(0.3081,))
DRAWN = 1000  # digits of each split of the synthetic copy
SIDE = 112  # of a digit in a picture, pixels
NEAREST_MEAN = "what the nearest mean image of a class gives"
"""The bar of the synthetic copy, in words; see `nearest_mean`."""


class DigitReader(Reference):
    """A net that reads handwritten digits: what it is, and against which bar, a subclass says."""

    dataset = MNIST
    units: ClassVar[Mapping[str, str]] = {"accuracy": "%"}

    def build(self) -> None:
        """The digits to learn from and to read, and the net."""
        train, test = digits(self, "train"), digits(self, "test")
        self.data = described(self, train, test)
        size = 32 if self.is_synthetic else 64
        self.loader, self.test = self.learn_from(train, size), self.test_on(test, 500)
        self.model = self.net().to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)

    def net(self) -> Any:
        """Logits (B, 10) of normalised images (B, 1, 28, 28)."""
        return lenet()

    def learnt(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the net learns from: normalised images (B, 1, 28, 28), and labels (B,)."""
        return NORMALIZE.on(batch["image"].to(self.device)), batch["label"].to(self.device)

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The cross entropy."""
        self.model.train()
        images, labels = self.learnt(batch)
        loss = nn.functional.cross_entropy(self.model(images), labels)
        learn(loss, self.optimizer)
        return {"loss": loss.item()}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """The share of the test digits that are read right."""
        self.model.eval()
        right = 0
        for batch in self.test:
            scores = self.model(NORMALIZE.on(batch["image"].to(self.device)))
            right += int((scores.argmax(1).cpu() == batch["label"]).sum())
        return {"accuracy": right / len(self.test.records)}


def digits(reference: Reference, split: str) -> MNIST:
    """The digits of a split: `image` (1, 28, 28), a `uint8` tensor."""
    chain = ToTensor(scale=False)
    if reference.root is None:
        return MNIST.synthetic(DRAWN, split=split, transform=chain)
    return MNIST(reference.root, split, chain, download=reference.download)


def described(reference: Reference, train: Dataset, test: Dataset) -> str:
    """What there is to learn from, in a line."""
    name = "synthetic MNIST" if reference.is_synthetic else "MNIST"
    return f"{name}: {len(train):,} digits to train on, {len(test):,} to test on"


def lenet() -> nn.Sequential:
    """Two convolutions and two layers above them: logits (B, 10) of normalised images (B, 1, 28, 28)."""
    return nn.Sequential(
        nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Dropout(), nn.Linear(50, 10),
    )  # fmt: skip


def nearest_mean(reference: Reference) -> float:
    """The accuracy of a rule that learns no weights: a test digit is of the class whose mean image is nearest."""
    (images, labels), (unseen, truth) = (_arrays(digits(reference, split)) for split in ("train", "test"))
    means = np.stack([images[labels == label].mean(0) for label in range(10)])
    distances = (means**2).sum(1) - 2 * unseen @ means.T
    return float((distances.argmin(1) == truth).mean())


def drawn(image: torch.Tensor) -> Image.Image:
    """A digit (1, 28, 28) in [0, 1], pixel by pixel."""
    pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST).convert("RGB")


def _arrays(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 784) in float64 and labels (N,)."""
    samples = [dataset[index] for index in range(len(dataset))]
    images = np.stack([sample["image"].numpy().ravel() for sample in samples]).astype(np.float64)
    return images, np.array([sample["label"] for sample in samples])
