"""`faces`: a small convolutional net finds the 68 points of a face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from datakit.chain import Transform, apply
from datakit.dataset import Dataset
from datakit.derived import Subset
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.history import History
from datakit.reference.schedules import OneCycle, learn
from datakit.reference.split import held_out, leaked, no_leak
from datakit.report.contact_sheet import Tile, sheet
from datakit.report.drawing import draw
from datakit.report.output import png
from datakit.sample import Sample
from datakit.transforms import (
    FACE68_PAIRS,
    CenterCrop,
    ColorJitter,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    ToTensor,
)
from datakit.vision import FaceLandmarks

SIZE = 96  # pixels, of the images that the net sees
LARGER = 108  # of those that are cropped


class Faces(Reference):
    """The 68 points of a face, by a small convolutional net, against the mean shape.

    A fifth of the images is held out. The bar: on these, the mean distance between a point and its prediction is at
    most three quarters of what it is when the mean shape of the training images is predicted for every face.
    """

    name = "faces"
    source = "https://docs.pytorch.org/tutorials/beginner/data_loading_tutorial.html"
    epochs, synthetic_epochs = 120, 10
    dataset = FaceLandmarks
    units: ClassVar[Mapping[str, str]] = {"error": "px", "of the mean shape's": "%"}
    bars = (
        Bar("error on held-out images", 0.75, "low", "%", "of the mean shape's", of="of the mean shape's"),
        no_leak(),
    )

    def build(self) -> None:
        """Augmented images to learn from, the middle of the held-out ones for the test."""
        faces = FaceLandmarks.synthetic(120) if self.root is None else FaceLandmarks(self.root, download=self.download)
        test, train = self.split([row["file"] for row in faces.records()])
        self.leaked = leaked(Subset(faces, train), Subset(faces, test))
        self.data = f"{faces!r}, {len(test)} of them held out"
        chain = Compose([*self.geometry(), ColorJitter(0.4, 0.4, 0.4), ToTensor(scale=False)])
        self.loader = self.learn_from(Subset(faces.with_transform(chain), train), 16)
        self.test = self.test_on(Subset(faces.with_transform(MIDDLE), test), 16)
        self.normalize, shape = seen(Subset(faces.with_transform(MIDDLE), train))
        self.mean_shape = shape.to(self.device)
        self.model = PointNet(width=12 if self.is_synthetic else 24).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        steps = len(self.loader) * self.usual_epochs
        self.schedule = OneCycle(self.optimizer, max_lr=4e-3, total_steps=steps)

    def split(self, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the held-out records and of the training records."""
        return held_out(files, share=0.2)

    def geometry(self) -> Sequence[Transform]:
        """Where the points of training images go."""
        return [Rescale(LARGER), RandomCrop(SIZE), RandomHorizontalFlip(pairs=FACE68_PAIRS)]

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The mean distance between points and predictions, in pixels."""
        self.model.train()
        loss = self._distances(batch).mean()
        learn(loss, self.optimizer, self.schedule)
        return {"distance": loss.item()}

    def evaluate(self) -> dict[str, float]:
        """The same on held-out images, and as a share of what the mean shape gives."""
        self.model.eval()
        with torch.inference_mode():
            own = torch.cat([self._distances(batch) for batch in self.test]).mean().item()
        shapes = torch.cat([batch["landmarks"] for batch in self.test]).to(self.device)
        return {"error": own, "of the mean shape's": own / (self.mean_shape - shapes).norm(dim=-1).mean().item()}

    def checks(self, history: History) -> Sequence[Check]:
        """At most three quarters of the error of the mean shape."""
        error, leak = self.bars
        return [error.check(history.last(error.key)), leak.check(self.leaked)]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Held-out faces with true points and predictions."""
        batch = next(iter(self.test))
        self.model.eval()
        with torch.inference_mode():
            found = self.found(batch["image"]).cpu()
        tiles = []
        for image, truth, own in zip(batch["image"][:12], batch["landmarks"], found, strict=False):
            for name, points in (("true", truth), ("found", own)):
                drawing = draw({"image": image, "landmarks": points}, side=2 * SIZE)
                tiles += [Tile(drawing.image, name)] if drawing is not None else []
        return {"predictions.png": png(sheet(tiles, columns=8))}

    def found(self, image: torch.Tensor) -> torch.Tensor:
        """Points (B, 68, 2) in pixels, of images (B, 3, SIZE, SIZE) `uint8`."""
        found: torch.Tensor = self.model(self.normalize.on(image.to(self.device)))
        return found

    def _distances(self, batch: dict[str, Any]) -> torch.Tensor:
        distances: torch.Tensor = (self.found(batch["image"]) - batch["landmarks"].to(self.device)).norm(dim=-1)
        return distances


MIDDLE = Compose([Rescale(LARGER), CenterCrop(SIZE), ToTensor(scale=False)])
"""What images that are tested on go through: the same every time."""


class PointNet(nn.Module):
    """A map of each point at a quarter of the resolution; the point is the mean of its map.

    Source: https://arxiv.org/abs/1801.07372 (the spatial to numerical transform, DSNT).
    """

    def __init__(self, width: int = 24, points: int = 68) -> None:
        super().__init__()
        sizes = (width, 2 * width, 4 * width, 4 * width)
        inner = (3, *sizes[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(_layer(few, many, 2), _layer(many, many)) for few, many in zip(inner, sizes, strict=True)
        )
        self.middle, self.up = _layer(sizes[3], sizes[2]), _layer(sizes[2], sizes[1])
        self.maps = nn.Conv2d(sizes[1], points, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Points (B, 68, 2) in pixels, of normalised images (B, 3, H, W)."""
        levels = [image]
        for down in self.down:
            levels.append(down(levels[-1]))
        middle = self.middle(levels[3] + F.interpolate(levels[4], scale_factor=2))
        weights = self.maps(levels[2] + self.up(F.interpolate(middle, scale_factor=2)))
        maps = weights.flatten(2).softmax(-1).view_as(weights)
        places = [4 * (torch.arange(size, device=image.device) + 0.5) for size in maps.shape[2:]]
        return torch.stack([maps.sum(2) @ places[1], maps.sum(3) @ places[0]], -1)


def _layer(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.BatchNorm2d(outer), nn.ReLU())


def seen(faces: Dataset) -> tuple[Normalize, torch.Tensor]:
    """What is known of training images before anything is learnt: mean and deviation of the colours, the mean shape."""
    samples = [faces[index] for index in range(len(faces))]
    pixels = torch.stack([sample["image"] for sample in samples]).double() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    shapes = torch.stack([torch.as_tensor(sample["landmarks"]) for sample in samples])
    return Normalize(tuple(mean.tolist()), tuple(std.tolist())), shapes.mean(0)


class ImageAlone:
    """A transform whose author forgot the points."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        """The image transformed, everything else as it was."""
        return {**sample, "image": apply(self.transform, {"image": sample["image"]}, rng)["image"]}


class PointsNotRescaled(Faces):
    """The image is rescaled, its points are not."""

    bug = "points-not-rescaled"

    def geometry(self) -> Sequence[Transform]:
        """With `Rescale` for the image alone."""
        return [ImageAlone(Rescale(LARGER)), *super().geometry()[1:]]


class SidesNotSwapped(Faces):
    """The points are flipped, but the left eye stays the left eye."""

    bug = "sides-not-swapped"

    def geometry(self) -> Sequence[Transform]:
        """With a flip that knows no pairs."""
        return [*super().geometry()[:-1], RandomHorizontalFlip()]


class TrainedOnTheTest(Faces):
    """The split is made by chance each time it is asked for, and so the held-out images are trained on."""

    bug = "split-leaks"

    def split(self, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Held-out records of one split, training records of another."""
        return super().split(files)[0], super().split([f"{file} again" for file in files])[1]
