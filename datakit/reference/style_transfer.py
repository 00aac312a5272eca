"""`style-transfer`: one picture in the style of another, by the gradient of its pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torchvision.models import VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from datakit.dataset import digest
from datakit.derived import Mapped
from datakit.errors import DatakitError, MissingDataError
from datakit.files import Remote, ensure
from datakit.reference.base import Option, Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.history import History
from datakit.reference.insect_drawing import draw_insect
from datakit.reference.weights import MEAN, STD, Pretrained, pretrained
from datakit.report.contact_sheet import Tile, sheet
from datakit.report.output import png
from datakit.sample import Sample
from datakit.transforms import CenterCrop, Compose, Normalize, Rescale, ToTensor
from datakit.vision import image_size, read_image

_ADDRESS = "https://docs.pytorch.org/tutorials/_static/img/neural-style"
PAIR = {
    kind: Remote(name, urls=(f"{_ADDRESS}/{name}",))
    for kind, name in (("content", "dancing.jpg"), ("style", "picasso.jpg"))
}
"""The pictures of the tutorial."""

_STYLE, _CONTENT = (0, 2, 5, 7, 10), 3  # the first five convolutions of VGG-19, and the fourth of these


class StyleTransfer(Reference):
    """One picture in the style of another: losses on the first layers of VGG-19, L-BFGS on the pixels.

    --root is a folder with `dancing.jpg` and `picasso.jpg`, the pictures of the tutorial; --content and --style name
    others. It begins as white noise. Where the weights of ImageNet cannot be had the layers are random ones. The bars:
    both losses fall to half of those of the noise; the picture as it was saved has at most a tenth of the style loss
    of the content picture, and less than the content loss of the style picture.
    """

    name = "style-transfer"
    source = "https://docs.pytorch.org/tutorials/advanced/neural_style_tutorial.html"
    epochs, synthetic_epochs = 12, 8  # about 300 evaluations, as in the tutorial, or 40
    options = (
        Option("content", "The picture to be redrawn.  [default: dancing.jpg below --root]"),
        Option("style", "The picture whose style it gets.  [default: picasso.jpg below --root]"),
    )
    reads = "dancing.jpg and picasso.jpg, or two pictures by --content and --style"
    weights_of: ClassVar[Mapping[str, str]] = {"": VGG19_Weights.IMAGENET1K_V1.url}
    units: ClassVar[Mapping[str, str]] = {"style loss left": "%", "content lost": "%"}
    bars = (
        *(Bar(f"{name} loss", 0.5, "low", "%", of="of white noise's") for name in ("style", "content")),
        Bar("style loss of the saved picture", 0.1, "low", "%", "style loss left", of="of the content picture's"),
        Bar("content loss of the saved picture", 1.0, "low", "%", "content lost", of="of the style picture's"),
    )

    def build(self) -> None:
        """The pair as one batch, the layers, and the picture, which begins as white noise."""
        self.content, self.style = self.files()
        self.contents = digest(self.content, self.style)
        self.side, self.evaluations = (32, 5) if self.is_synthetic else (256, 25)
        self.weights = self.of_imagenet()
        self.layers = layers(self.weights.state).to(self.device)
        pair = Mapped(self.pair(), picture, self.chain())
        self.loader = self.learn_from(pair, 2, shuffle=False)
        self.weight = 1e6 if self.weights else 600.0  # random layers answer to content more weakly
        self.normalize = Normalize(MEAN, STD)
        self.drawn = nn.ParameterList([torch.rand(1, 3, self.side, self.side).to(self.device)])
        self.optimizer = torch.optim.LBFGS(
            self.drawn, max_iter=self.evaluations, max_eval=self.evaluations,
            history_size=20, line_search_fn="strong_wolfe",
        )  # fmt: skip

    def files(self) -> tuple[bytes, bytes]:
        """The contents of the two files.

        Raises:
            MissingDataError: where one is not there.
        """
        if self.root is None:
            if any(self.chosen.values()):
                raise DatakitError("the synthetic pair takes no --content and no --style; give --root, a folder")
            self.data = "a drawn bee and drawn waves"
            return draw_pair(np.random.default_rng(0))
        paths = {kind: Path(self.chosen[kind] or self.root / remote.name) for kind, remote in PAIR.items()}
        ensure([remote for kind, remote in PAIR.items() if not self.chosen[kind]], self.root, download=self.download)
        for kind, path in paths.items():
            if not path.is_file():
                raise MissingDataError(f"there is no {path} to be the --{kind}")
            image_size(path)  # an error names the file
        self.data = f"{paths['content'].name} in the style of {paths['style'].name}"
        return paths["content"].read_bytes(), paths["style"].read_bytes()

    @classmethod
    def remotes(cls) -> Sequence[Remote]:
        """The tutorial's pictures."""
        return tuple(PAIR.values())

    def of_imagenet(self) -> Pretrained:
        """The weights of ImageNet, with a note where there are none."""
        found = Pretrained(reason="the synthetic pair goes without")
        if not self.is_synthetic:
            found = pretrained(self.weights_of[""], download=self.download)
        if not found:
            self.notes.append(f"no weights of ImageNet: {found.reason}; the layers of VGG-19 are random")
        return found

    def pair(self) -> list[bytes]:
        """Content, then style."""
        return [self.content, self.style]

    def chain(self) -> Compose:
        """The middle of each picture, so that both fit into one batch."""
        return Compose([Rescale(self.side), CenterCrop(self.side), ToTensor(scale=False)])

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """What the layers see of pictures (B, 3, H, W) `uint8`."""
        return self.normalize.on(images)

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """About 25 evaluations of the losses, with a line search; the losses at the first one."""
        pair = self.normalized(batch["image"].to(self.device))
        contents, styles = self.features(pair[:1]), self.features(pair[1:])
        losses: dict[str, float] = {}

        def closure() -> torch.Tensor:
            with torch.no_grad():
                self.drawn[0].clamp_(0, 1)
            self.optimizer.zero_grad()
            own = self.features(self.normalize.on(self.drawn[0]))
            style, content = self.weight * style_loss(own, styles), content_loss(own, contents)
            losses.update({"style": style.item(), "content": content.item()} if not losses else {})
            total = style + content
            total.backward()
            return total

        self.optimizer.step(closure)
        return losses

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """What the convolutions of the losses give for normalised images."""
        found = []
        for place, layer in enumerate(self.layers):
            images = layer(images)
            if place in _STYLE:
                found.append(images)
        return found

    def evaluate(self) -> dict[str, float]:
        """The losses of the picture as it is saved, read back from its PNG; the pair by way of Pillow alone."""
        with torch.inference_mode():
            content, style, own = (
                self.features(seen(file, self.side).to(self.device))
                for file in (self.content, self.style, self.result())
            )
            return {
                "style loss left": (style_loss(own, style) / style_loss(content, style)).item(),
                "content lost": (content_loss(own, content) / content_loss(style, content)).item(),
            }

    def result(self) -> bytes:
        """The picture as a PNG."""
        pixels = self.drawn[0].detach()[0].clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
        return png(Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()))

    def checks(self, history: History) -> Sequence[Check]:
        """Both losses fall, and the saved picture has the style of one picture and the content of the other."""
        fallen: list[float | None] = []
        for name in ("style", "content"):
            values = history.losses.get(name, [])
            fallen.append(values[-1] / values[0] if len(values) > 1 else None)
        figures = [*fallen, *(history.last(key) for key in self.units)]
        return [bar.check(figure) for bar, figure in zip(self.bars, figures, strict=True)]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """The result, and beside the pair."""
        result = self.result()
        tiles = [
            Tile(ImageOps.fit(opened(file), (320, 320)), name)
            for name, file in (("content", self.content), ("style", self.style), ("result", result))
        ]
        return {"pictures.png": png(sheet(tiles, columns=3)), "result.png": result}


def layers(state: Mapping[str, torch.Tensor] | None) -> nn.Sequential:
    """VGG-19 to its fifth convolution, with these weights or random ones; nothing in it learns."""
    net: nn.Sequential = make_layers(cfgs["E"][:7], batch_norm=False)[: _STYLE[-1] + 1]
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
        elif isinstance(layer, nn.ReLU):
            layer.inplace = False  # the features before it are still needed
    if state is not None:
        net.load_state_dict({name: state[f"features.{name}"] for name in net.state_dict()})
    return net.requires_grad_(False).eval()


def style_loss(own: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> torch.Tensor:
    """Between the Gram matrices, which know of colours and textures, not of places; summed over the layers."""
    return torch.stack([nn.functional.mse_loss(gram(a), gram(b)) for a, b in zip(own, other, strict=True)]).sum()


def content_loss(own: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> torch.Tensor:
    """Between the features of the fourth convolution."""
    return nn.functional.mse_loss(own[_CONTENT], other[_CONTENT])


def gram(features: torch.Tensor) -> torch.Tensor:
    """The products of all pairs of channels, (C, C), of features (1, C, H, W), over the number of these."""
    rows = features.flatten(2)[0]
    return rows @ rows.T / rows.numel()


def picture(file: bytes) -> Sample:
    """The sample of a file."""
    return {"image": read_image(file)}


def opened(file: bytes) -> Image.Image:
    """The picture as Pillow reads it, RGB, upright."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB")


def seen(file: bytes, side: int) -> torch.Tensor:
    """The middle of a picture, (1, 3, side, side), normalised: without anything of datakit's."""
    image = np.asarray(ImageOps.fit(opened(file), (side, side), Image.Resampling.BILINEAR))
    values = (image / 255 - np.array(MEAN)) / np.array(STD)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]


def draw_pair(rng: np.random.Generator) -> tuple[bytes, bytes]:
    """A bee, and yellow and red waves, as PNGs."""
    y, x = np.mgrid[:64, :64] / 64
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (5 * x + 2 * y + 0.3 * np.sin(4 * np.pi * y)))
    waves = np.array((250, 200, 40)) * wave[..., None] + np.array((190, 30, 20)) * (1 - wave[..., None])
    return png(draw_insect("bees", rng)), png(Image.fromarray(waves.round().astype(np.uint8)))


class SwappedChannels(StyleTransfer):
    """Pictures are read as BGR, as OpenCV does."""

    bug = "channels-swapped"

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """With red and blue exchanged."""
        return super().normalized(images.flip(1))


class NotScaled(StyleTransfer):
    """The pair goes into the layers as 0 to 255, the picture that is drawn as 0 to 1."""

    bug = "not-scaled"

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """Floating point numbers count as scaled."""
        return super().normalized(images.float())


class SwappedPair(StyleTransfer):
    """Content and style change places, as where the pair is shuffled."""

    bug = "pair-swapped"

    def pair(self) -> list[bytes]:
        """Style, then content."""
        return super().pair()[::-1]
