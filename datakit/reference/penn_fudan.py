"""`penn-fudan`: detectors of torchvision find the instances in an image, with their masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torchvision.models import MobileNet_V2_Weights
from torchvision.models.detection import FasterRCNN, MaskRCNN_ResNet50_FPN_Weights

from datakit.derived import Subset
from datakit.reference import detectors
from datakit.reference.base import Option, Reference
from datakit.reference.checks import Bar, Check, shown
from datakit.reference.coco_table import table, twelve
from datakit.reference.history import History
from datakit.reference.kept import Kept
from datakit.reference.schedules import OneCycle
from datakit.reference.split import held_out, leaked, no_leak
from datakit.reference.weights import MEAN, STD, Pretrained, pretrained
from datakit.report.contact_sheet import Tile, sheet
from datakit.report.drawing import draw
from datakit.report.output import png
from datakit.sample import Sample
from datakit.transforms import Compose, Normalize, RandomHorizontalFlip, ToTensor
from datakit.vision import PennFudan, evaluate_detector
from datakit.vision.coco_objects import Kind

_WEIGHTS = {
    "mask-rcnn": MaskRCNN_ResNet50_FPN_Weights.COCO_V1.url,
    "faster-rcnn": MobileNet_V2_Weights.IMAGENET1K_V2.url,
}
_FIGURES = {"AP": "ap", "AP50": "ap50", "AR100": "ar100"}
_WORDS: dict[Kind, str] = {"boxes": "box", "masks": "mask"}
_HALF = 0.5  # all that can be found where half of the images are labelled wrongly
_SHOWN, _CERTAIN = 4, 0.5  # images in the picture, and the least score of what is drawn on them


class PennFudanDetector(Reference):
    """Instances and their masks, by detectors of torchvision, against a threshold that needs no training.

    A fifth of the images is held out. The bar: on these, the average precision at an IoU of 0.5 (AP50), of boxes and of
    masks, is at least what Otsu's threshold and connected patches come to, and at least 50 %. So it must be on the
    training images as they come out of the pipeline: a detector may learn although half of the images are labelled
    wrongly, but cannot agree with these. The `small` Mask R-CNN learns from scratch on two cores; the tutorial's models
    want a GPU. Any data in the layout of Penn-Fudan will do.
    """

    name = "penn-fudan"
    source = "https://docs.pytorch.org/tutorials/intermediate/torchvision_tutorial.html"
    epochs, synthetic_epochs = 20, 4
    options = (Option("model", "The detector.", "small", ("small", "mask-rcnn", "faster-rcnn")),)
    dataset = PennFudan
    weights_of: ClassVar[Mapping[str, str]] = {f"--model {model}": url for model, url in _WEIGHTS.items()}
    units: ClassVar[Mapping[str, str]] = {f"{word} {name}": "%" for word in _WORDS.values() for name in _FIGURES}
    bars = (
        *(Bar(f"{word} AP50 on held-out images", f"what Otsu's threshold gives, and {shown(_HALF, '%')}", unit="%",
              key=f"{word} AP50") for word in _WORDS.values()),
        *(Bar(f"{word} AP50 on training images", _HALF, unit="%") for word in _WORDS.values()),
        no_leak(),
    )  # fmt: skip

    def build(self) -> None:
        """The detector, and what Otsu's threshold finds on the held-out images."""
        scenes = PennFudan.synthetic(80) if self.root is None else PennFudan(self.root, download=self.download)
        test, train = self.split([row["file"] for row in scenes.records()])
        self.leaked = leaked(Subset(scenes, train), Subset(scenes, test))
        self.data = f"{scenes!r}, {len(test)} of them held out"
        seen = Subset(scenes.with_transform(self.augmented()), train)
        self.loader = self.learn_from(seen, 2 if self.is_synthetic else 4)
        self.held_out = Subset(scenes.with_transform(ToTensor(scale=False)), test)
        self.test = self.test_on(self.held_out, 4)
        self.normalize = Normalize(MEAN, STD)
        self.kinds: tuple[Kind, ...] = ("boxes",) if self.chosen["model"] == "faster-rcnn" else ("boxes", "masks")
        self.untrained = evaluate_detector(detectors.OtsuPatches(), self.test, kinds=self.kinds)
        self.tables = Kept()
        self.weights = self._pretrained()
        self.model = self._detector().to(self.device)
        self._build_optimizer()

    def split(self, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the held-out images and of the training images."""
        return held_out(files, share=0.2)

    @property
    def side(self) -> int:
        """Pixels of the shorter side of what the model sees."""
        if self.is_synthetic:
            return 96
        return 256 if self.chosen["model"] == "small" else 800

    def _pretrained(self) -> Pretrained:
        """What the tutorial's models begin with, and a note where it is not to be had."""
        model = str(self.chosen["model"])
        if self.is_synthetic or model not in _WEIGHTS:
            return Pretrained(reason="not wanted")
        found = pretrained(_WEIGHTS[model], download=self.download)
        if not found:
            self.notes.append(f"no pretrained weights: {found.reason}; trained from scratch")
        return found

    def _detector(self) -> FasterRCNN:
        if self.chosen["model"] == "small":
            return detectors.small(self.side, width=16 if self.is_synthetic else 32)
        make = detectors.mask_rcnn if self.chosen["model"] == "mask-rcnn" else detectors.faster_rcnn
        return make(self.side, self.weights)

    def _build_optimizer(self) -> None:
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if self.chosen["model"] == "small":
            most = 4e-3 if self.is_synthetic else 2e-3
            self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(parameters, lr=most, weight_decay=1e-3)
        else:
            most = 5e-3
            self.optimizer = torch.optim.SGD(parameters, lr=most, momentum=0.9, weight_decay=5e-4)
        steps = len(self.loader) * self.usual_epochs
        self.schedule = OneCycle(self.optimizer, most, total_steps=steps)

    def augmented(self) -> Compose:
        """What the training images go through."""
        return Compose([RandomHorizontalFlip(), ToTensor(scale=False)])

    def prepared(self, batch: Any) -> tuple[list[torch.Tensor], list[dict[str, Any]]]:
        """Images normalised, and all of it on the device."""
        images, targets = batch
        moved = [{key: _to(value, self.device) for key, value in target.items()} for target in targets]
        return [self.normalize.on(image.to(self.device)) for image in images], moved

    def step(self, batch: Any) -> dict[str, float]:
        """The loss, and its parts: of the proposals, of the boxes made from these, of the masks."""
        self.model.train()
        parts = self.model(*self.prepared(batch))
        loss = sum(parts.values())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        proposals = parts["loss_objectness"] + parts["loss_rpn_box_reg"]
        losses = {"loss": loss, "proposals": proposals, "boxes": parts["loss_classifier"] + parts["loss_box_reg"]}
        if "loss_mask" in parts:
            losses["masks"] = parts["loss_mask"]
        return {name: value.item() for name, value in losses.items()}

    def evaluate(self) -> dict[str, float]:
        """COCO's numbers on the held-out images: some for the curve, all twelve for the table."""
        results = evaluate_detector(self.model, map(self.prepared, self.test), kinds=self.kinds)
        self.tables.append({kind: twelve(result) for kind, result in results.items()})
        return {
            f"{_WORDS[kind]} {name}": getattr(result, field)
            for kind, result in results.items()
            for name, field in _FIGURES.items()
        }

    def checks(self, history: History) -> Sequence[Check]:
        """At least what Otsu's threshold finds, and half of what the training images are said to hold."""
        seen = evaluate_detector(self.model, map(self.prepared, self.loader), kinds=self.kinds)
        *bars, leak = self.bars
        held_out, training = (dict(zip(_WORDS, some, strict=True)) for some in (bars[:2], bars[2:]))
        least = {kind: max(_HALF, self.untrained[kind].ap50) for kind in self.kinds}
        return [
            *(held_out[kind].check(history.last(held_out[kind].key), bar=least[kind]) for kind in self.kinds),
            *(training[kind].check(seen[kind].ap50) for kind in self.kinds),
            leak.check(self.leaked),
        ]

    def lines(self) -> Sequence[str]:
        """COCO's twelve numbers after each epoch, and the bars' origin."""
        found = ", ".join(f"{_WORDS[kind]} AP50 {shown(result.ap50, '%')}" for kind, result in self.untrained.items())
        tables = [table(_WORDS[kind], [epoch[kind] for epoch in self.tables]) for kind in self.kinds]
        return [*(line for lines in tables for line in lines), f"Otsu's threshold, untrained: {found}"]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Held-out images: the truth above, what the model finds below."""
        places = np.unique(np.linspace(0, len(self.held_out) - 1, _SHOWN).astype(int))
        samples = [self.held_out[place] for place in places.tolist()]
        self.model.eval()
        with torch.inference_mode():
            found = self.model([self.normalize.on(sample["image"].to(self.device)) for sample in samples])
        certain = [{key: values[one["scores"] >= _CERTAIN] for key, values in one.items()} for one in found]
        rows = {"truth": samples, f"found, score ≥ {_CERTAIN}": certain}
        tiles = [
            Tile(_drawn(sample["image"], one), f"{word}: {len(one['boxes'])}")
            for word, row in rows.items()
            for sample, one in zip(samples, row, strict=True)
        ]
        return {"found.png": png(sheet(tiles, columns=len(samples)))}


def _drawn(image: torch.Tensor, objects: Mapping[str, Any]) -> Any:
    """Boxes and masks on the image, which is made as bright as it can be; names and scores would hide it."""
    bright = (image * (255 / max(1, int(image.max())))).to(torch.uint8)
    drawing = draw({"image": bright, **{key: objects[key] for key in ("boxes", "masks") if key in objects}}, side=360)
    assert drawing is not None
    return drawing.image


def _to(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


class BoxesNotFlipped(PennFudanDetector):
    """The image is flipped, its boxes and masks are not."""

    bug = "boxes-not-flipped"

    def augmented(self) -> Compose:
        """With a flip that forgets what belongs to the image."""
        return Compose([_ImageFlip(), ToTensor(scale=False)])


class _ImageFlip(RandomHorizontalFlip):
    def apply(self, sample: Sample, params: bool) -> Sample:
        return {**sample, **super().apply({"image": sample["image"]}, params)}


class BoxesYFirst(PennFudanDetector):
    """The boxes are y1 x1 y2 x2, as array indices go, not x1 y1 x2 y2."""

    bug = "boxes-y-first"

    def augmented(self) -> Compose:
        """With x and y exchanged at the end."""
        return Compose([*super().augmented().transforms, _y_first])


def _y_first(sample: Sample) -> Sample:
    return {**sample, "boxes": sample["boxes"][:, [1, 0, 3, 2]]}


class SplitLeaks(PennFudanDetector):
    """All images are trained on, those that are held out too."""

    bug = "split-leaks"

    def split(self, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The same held-out images, and everything to train on."""
        return super().split(files)[0], np.arange(len(files))
