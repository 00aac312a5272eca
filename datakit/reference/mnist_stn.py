"""`mnist-stn`: a net that straightens a digit before it reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from datakit.reference.checks import Bar, Check
from datakit.reference.digits import NEAREST_MEAN, NORMALIZE, DigitReader, drawn, lenet, nearest_mean
from datakit.reference.history import History
from datakit.report.contact_sheet import Tile, sheet
from datakit.report.output import png


class MnistStn(DigitReader):
    """Handwritten digits, by a spatial transformer before a LeNet.

    The bars, on the 10,000 test digits: 94 % are right after one epoch, 96.5 % after three. On the synthetic copy: as
    many are right after the last epoch as the nearest mean image of a class tells.
    """

    name = "mnist-stn"
    source = "https://docs.pytorch.org/tutorials/intermediate/spatial_transformer_tutorial.html"
    epochs, synthetic_epochs = 3, 4
    bars = (
        Bar("accuracy after 1 epoch", 0.94, unit="%", key="accuracy", when="on real data"),
        Bar("accuracy after 3 epochs", 0.965, unit="%", key="accuracy", when="on real data"),
        Bar(f"accuracy after {synthetic_epochs} epochs", NEAREST_MEAN, unit="%", key="accuracy",
            when="on the synthetic copy"),
    )  # fmt: skip

    def build(self) -> None:
        """A transformer that leaves every digit as it is, before it has learnt."""
        super().build()
        self.nearest_mean = nearest_mean(self) if self.is_synthetic else 0.0

    def net(self) -> Straightened:
        """The transformer, and a LeNet behind it."""
        return Straightened()

    def checks(self, history: History) -> Sequence[Check]:
        """A bar after the first epoch and one after the third."""
        first, third, synthetic = self.bars
        if self.is_synthetic:
            return [synthetic.check(history.after(self.synthetic_epochs, "accuracy"), bar=self.nearest_mean)]
        return [first.check(history.after(1, "accuracy")), third.check(history.after(3, "accuracy"))]

    @torch.inference_mode()
    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Two test digits of each class, and under each what the transformer makes of it."""
        self.model.eval()
        labels = np.array([row["label"] for row in self.test.records.records()])
        tiles: list[Tile] = []
        for turn in range(2):
            chosen = [np.flatnonzero(labels == label)[turn] for label in range(10)]
            images = torch.stack([self.test.records[int(index)]["image"] for index in chosen]).to(self.device)
            maps, straight = self.model.straighten(NORMALIZE.on(images))
            tiles += [Tile(drawn(image / 255), "") for image in images]
            tiles += [Tile(drawn(NORMALIZE.undo(image)), _told(own)) for image, own in zip(straight, maps, strict=True)]
        return {"straightened.png": png(sheet(tiles, columns=10))}


class Straightened(nn.Module):
    """Logits (B, 10) of normalised images (B, 1, 28, 28), each under an affine map of its own."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Linear(32, 6)
        nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])  # the map that changes nothing
        self.locate = nn.Sequential(
            nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(90, 32), nn.ReLU(), last,
        )  # fmt: skip
        self.read = lenet()

    def straighten(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The map (B, 2, 3) found for each image, from what is seen to places in the image, and what is seen."""
        maps = self.locate(images).view(-1, 2, 3)
        grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
        return maps, functional.grid_sample(images, grid, align_corners=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The logits."""
        scores: torch.Tensor = self.read(self.straighten(images)[1])
        return scores


def _told(own: torch.Tensor) -> str:
    """By how much a map (2, 3) enlarges the image, and turns it against the clock."""
    (a, b), (c, d) = own[:, :2].tolist()
    return f"×{abs(a * d - b * c) ** -0.5:.2f}  {math.degrees(math.atan2(c - b, a + d)):+.0f}°"


class LabelsShifted(MnistStn):
    """Every training image has the label of the one before it in the batch."""

    bug = "labels-shifted"

    def learnt(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels one place on."""
        images, labels = super().learnt(batch)
        return images, labels.roll(1)


class NotNormalised(MnistStn):
    """Training images stay in [0, 255]; those of the test are normalised."""

    bug = "not-normalised"

    def learnt(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Bytes as they are, as floating-point numbers."""
        _, labels = super().learnt(batch)
        return batch["image"].to(self.device, torch.float32), labels
