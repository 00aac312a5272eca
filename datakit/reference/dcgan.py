"""`dcgan`: a generator learns to draw images out of noise, against a discriminator that learns to tell them apart."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from datakit.chain import Transform
from datakit.dataset import Dataset
from datakit.derived import Subset
from datakit.errors import MissingDataError
from datakit.files.walking import files_below
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.closeness import distance, noise_like
from datakit.reference.history import History
from datakit.reference.kept import Kept
from datakit.reference.schedules import learn
from datakit.reference.split import held_out, leaked, no_leak
from datakit.report.contact_sheet import Tile, sheet
from datakit.report.output import png
from datakit.transforms import CenterCrop, Compose, Normalize, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import CIFAR10, ImageFiles
from datakit.vision.io import IMAGE_SUFFIXES

NOISE = 100  # numbers that an image is drawn from
SAMPLES, SHOWN, COLUMNS = 256, 32, 8  # images that are measured; those of them that are shown, in a line
_FAR = "distance of samples from held-out images"
_FEWEST = 8  # held-out images whose distance from others says anything
_LEAST = 38  # images of which a fifth, rounded, are that many


class Dcgan(Reference):
    """Images out of noise: any folder of images, at 64 x 64 pixels.

    A fifth of the images is held out, and neither net ever sees them. The bar: samples are at most half as far from
    these as noise is, be it pixels drawn one by one or what the untrained generator makes. Since the distance is a
    metric, samples that pass are nearer to the images than to the noise. Nets and losses are the tutorial's;
    samples are drawn with the running mean of the generator's weights, as in https://arxiv.org/abs/1806.04498. The
    tutorial sees a million images; the default here is for hundreds, and Adam's steps are larger, those of the
    generator four times as large as those of the discriminator. The synthetic copy is of 32 x 32 pixels, with a layer
    less in both nets, and learns faster.
    """

    name = "dcgan"
    source = "https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html"
    epochs, synthetic_epochs = 40, 8
    reads = "any folder of images"
    units: ClassVar = {"of pixel noise": "%", "of the untrained": "%"}
    bars = (
        Bar(_FAR, 0.5, "low", "%", "of pixel noise", of="of pixel noise's"),
        Bar(_FAR, 0.5, "low", "%", of="of the untrained generator's"),
        no_leak(),
    )

    def build(self) -> None:
        """Both nets with the tutorial's weights, the noise that is followed through all epochs, and distances."""
        images = CIFAR10.synthetic(640) if self.root is None else ImageFiles(self.root)
        self.size, width, rates = (32, 16, (4e-3, 1e-3)) if self.root is None else (64, 64, (1e-3, 2.5e-4))
        test, train = self.split([str(row.get("file", place)) for place, row in enumerate(images.records())])
        if len(test) < _FEWEST:
            raise MissingDataError(f"{images!r}: {len(test)} of them would be held out, and {_FEWEST} are the least")
        self.leaked = leaked(Subset(images, train), Subset(images, test))
        self.data = f"{images!r}, {len(test)} of them held out"
        self.loader = self.learn_from(Subset(images.with_transform(Compose(self.chain())), train), 16, drop_last=True)
        self.generator = generator(self.size, width).apply(as_in_the_tutorial).to(self.device)
        self.discriminator = discriminator(self.size, width).apply(as_in_the_tutorial).to(self.device)
        self.mean = deepcopy(self.generator).requires_grad_(False)
        self.of_generator, self.of_discriminator = (
            torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.999))
            for net, rate in zip((self.generator, self.discriminator), rates, strict=True)
        )
        self.fixed, self.frames = torch.randn(SAMPLES, NOISE, 1, 1), Kept()
        self.measure(images, test, train)

    def split(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the held-out images and of the training images."""
        return held_out(names, share=0.2)

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """Images, where there are too few of them to hold some out."""
        files = files_below(root, IMAGE_SUFFIXES) if root.is_dir() else ()
        count = len(list(islice(files, _LEAST)))
        return [] if count == _LEAST else [f"{_LEAST} images or more (there are {count})"]

    def measure(self, images: Dataset, test: np.ndarray, train: np.ndarray) -> None:
        """How far from the held-out images other training images are, noise, and what an untrained generator draws."""
        self.real, seen = pixels(images, test, self.size), pixels(images, train, self.size)
        self.others = {
            "training images": seen[:SAMPLES], "pixel noise": noise_like(seen, SAMPLES), "untrained": self.samples()
        }  # fmt: skip
        self.distances = {name: distance(other, self.real) for name, other in self.others.items()}

    def chain(self) -> list[Transform]:
        """What the training images go through, but for `normalized`."""
        return [Rescale(self.size), CenterCrop(self.size), RandomHorizontalFlip(), ToTensor(scale=False)]

    def normalized(self, image: torch.Tensor) -> torch.Tensor:
        """From bytes to [-1, 1], as the generator's tanh."""
        return Normalize((0.5,) * 3, (0.5,) * 3).on(image)

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The discriminator learns from real images and from samples, then the generator from the discriminator."""
        real = self.normalized(batch["image"].to(self.device))
        drawn = self.generator(torch.randn(len(real), NOISE, 1, 1).to(self.device))
        loss = self.judged(real, 1.0) + self.judged(drawn.detach(), 0.0)
        learn(loss, self.of_discriminator)
        fooled = self.judged(drawn, 1.0)
        learn(fooled, self.of_generator)
        for mean, own in zip(self.mean.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(own.detach(), 0.02)
        return {"generator": fooled.item(), "discriminator": loss.item()}

    def judged(self, images: torch.Tensor, truth: float) -> torch.Tensor:
        """The loss of the discriminator where the images are real (1) or drawn (0)."""
        logits = self.discriminator(images).flatten()
        return nn.functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))

    def samples(self) -> torch.Tensor:
        """What the running mean draws from the fixed noise, (SAMPLES, 3, H, W) in [0, 1], on the CPU."""
        with torch.no_grad():
            drawn = [self.mean(part.to(self.device)).cpu() for part in self.fixed.split(64)]
        return torch.cat(drawn) / 2 + 0.5

    def evaluate(self) -> dict[str, float]:
        """How far the samples are from the held-out images, beside noise; some of them are kept as a frame."""
        samples = self.samples()
        self.frames.append((samples[:SHOWN] * 255).round().byte())
        own = distance(samples, self.real)
        return {
            "of pixel noise": own / self.distances["pixel noise"],
            "of the untrained": own / self.distances["untrained"],
        }

    def checks(self, history: History) -> Sequence[Check]:
        """At most half of the distance of both kinds of noise, and nothing held out was trained on."""
        of_noise, of_untrained, leak = self.bars
        return [
            of_noise.check(history.last("of pixel noise")),
            of_untrained.check(history.last("of the untrained")),
            leak.check(self.leaked),
        ]

    def lines(self) -> Sequence[str]:
        """Distances from the held-out images."""
        return [f"{name:16} {far:.3f} from held-out images" for name, far in self.far().items()]

    def far(self) -> dict[str, float]:
        """How far all of them are from the held-out images, what is drawn now among them."""
        return {**self.distances, "samples": distance(self.samples(), self.real)}

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Samples beside real images and beside noise; and the samples after each epoch as an animation."""
        return {"samples.png": self.sheet(), "epochs.webp": animation(self.frames)} if self.frames else {}

    def sheet(self) -> bytes:
        """Held-out images, samples, and both kinds of noise, each with its distance."""
        shown = {"held-out images": self.real, "samples": self.frames[-1] / 255, **self.others}
        shown.pop("training images")
        far = {name: f"{name}: {value:.2f} away" for name, value in self.far().items()}
        return png(sheet([Tile(grid(images[:SHOWN]), far.get(name, name)) for name, images in shown.items()]))


def generator(size: int, width: int) -> nn.Sequential:
    """Noise (B, NOISE, 1, 1) to images (B, 3, size, size) in [-1, 1]."""
    sizes = (NOISE, *reversed(widths(size, width)))
    layers: list[nn.Module] = []
    for place, (inner, outer) in enumerate(pairwise(sizes)):
        stride, padding = (2, 1) if place else (1, 0)
        layers += [nn.ConvTranspose2d(inner, outer, 4, stride, padding, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(size: int, width: int) -> nn.Sequential:
    """Images (B, 3, size, size) to logits (B, 1, 1, 1), above 0 for real ones."""
    sizes = (3, *widths(size, width))
    layers: list[nn.Module] = []
    for place, (inner, outer) in enumerate(pairwise(sizes)):
        norm = [nn.BatchNorm2d(outer)] if place else []
        layers += [nn.Conv2d(inner, outer, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(sizes[-1], 1, 4, bias=False))


def widths(size: int, width: int) -> list[int]:
    """Channels at half of the size, at a quarter, and so on down to 4 x 4."""
    return [width * size // (2 * side) for side in (2**power for power in range(size.bit_length() - 2, 1, -1))]


def as_in_the_tutorial(layer: nn.Module) -> None:
    """Weights from a normal distribution around 0, or of a norm around 1, with a standard deviation of 0.02."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def pixels(images: Dataset, indices: np.ndarray, size: int) -> torch.Tensor:
    """The middles of images, (B, 3, size, size) in [0, 1]; the chain of the training has no part in them."""
    middles = Subset(images.with_transform(Compose([Rescale(size), CenterCrop(size)])), indices[: 4 * SAMPLES])
    arrays = np.stack([middles[place]["image"] for place in range(len(middles))])
    return torch.from_numpy(arrays.transpose(0, 3, 1, 2) / np.float32(255))


def grid(images: torch.Tensor) -> Image.Image:
    """Images (B, 3, H, W) in [0, 1] side by side, line by line, at 64 pixels or more."""
    scale, side = max(1, 64 // images.shape[-1]), images.shape[-1] * max(1, 64 // images.shape[-1])
    arrays = (images * 255).round().byte().permute(0, 2, 3, 1).numpy().repeat(scale, 1).repeat(scale, 2)
    whole = Image.new("RGB", (COLUMNS * (side + 2) - 2, -(-len(arrays) // COLUMNS) * (side + 2) - 2), "white")
    for place, array in enumerate(arrays):
        whole.paste(Image.fromarray(array), (place % COLUMNS * (side + 2), place // COLUMNS * (side + 2)))
    return whole


def animation(frames: Sequence[torch.Tensor]) -> bytes:
    """Frames (B, 3, H, W) `uint8`, one an epoch, as a WebP that stays on the last one for two seconds."""
    first, *others = [grid(frame / 255) for frame in frames]
    times = [max(80, 6000 // len(frames))] * len(others) + [2000]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=times, loop=0, quality=80)
    return buffer.getvalue()


class NormalisationLeftOut(Dcgan):
    """The training images are in [0, 1], the generator's in [-1, 1]: what it draws comes out pale."""

    bug = "normalisation-left-out"

    def normalized(self, image: torch.Tensor) -> torch.Tensor:
        """Scaled alone."""
        return image / 255


class ViewedNotPermuted(Dcgan):
    """Pixels (H, W, C) are viewed as (C, H, W) in place of permuted: rows, columns and colours are mixed up."""

    bug = "viewed-not-permuted"

    def normalized(self, image: torch.Tensor) -> torch.Tensor:
        """As it would be with `torch.from_numpy(image).view(3, height, width)` for `ToTensor`."""
        return super().normalized(image.permute(0, 2, 3, 1).reshape(image.shape))


class SplitLeaks(Dcgan):
    """All images are trained on, those that are held out too: samples may be copies of them."""

    bug = "split-leaks"

    def split(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The same held-out images, and everything to train on."""
        return super().split(names)[0], np.arange(len(names))
