"""`hymenoptera`: ResNet-18 tells ants from bees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

from datakit.dataset import Dataset
from datakit.derived import Concat, Subset
from datakit.errors import MissingDataError
from datakit.files import Remote, ensure
from datakit.files.walking import files_below
from datakit.reference.base import Option, Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.guesses import guesses, spread
from datakit.reference.history import History
from datakit.reference.insect_drawing import Insects
from datakit.reference.schedules import OneCycle, learn
from datakit.reference.split import leaked, no_leak
from datakit.reference.weights import MEAN, STD, Pretrained, pretrained
from datakit.synthetic import synthetic_root
from datakit.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Rescale,
    ToTensor,
)
from datakit.vision import ImageFolder
from datakit.vision.io import IMAGE_SUFFIXES

ARCHIVE = Remote(
    "hymenoptera_data.zip", urls=("https://download.pytorch.org/tutorial/hymenoptera_data.zip",),
    unpack=True, produces=("hymenoptera_data/train", "hymenoptera_data/val"),
)  # fmt: skip
NORMALIZE = Normalize(MEAN, STD)


class Hymenoptera(Reference):
    """Ants and bees, by ResNet-18; --root is the folder with `train` and `val`, or the one above.

    With the weights of ImageNet, when they can be had, all layers are tuned (`--mode finetune`) or the last one alone
    (`--mode features`); the bar is 92 % of the images in `val`. Else the net is trained from scratch on smaller
    images, and the bar is the share of the larger class plus two standard errors of it. No image of `val` may be
    trained on.
    """

    name = "hymenoptera"
    source = "https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html"
    epochs, synthetic_epochs = 25, 3
    options = (
        Option("mode", "Learn all layers, or the last one above fixed features.", "finetune", ("finetune", "features")),
    )
    reads = "train and val of hymenoptera_data.zip, with a folder for each class"
    weights_of: ClassVar[Mapping[str, str]] = {"": ResNet18_Weights.IMAGENET1K_V1.url}
    units: ClassVar[Mapping[str, str]] = {"accuracy": "%"}
    bars = (
        Bar("accuracy on val", 0.92, unit="%", key="accuracy", when="with the weights of ImageNet"),
        Bar("accuracy on val", "the share of the larger class and two standard errors of it", unit="%",
            key="accuracy", when="without them"),
        no_leak(),
    )  # fmt: skip

    def build(self) -> None:
        """ResNet-18 with a new last layer; what is trained on and what is tested on lie in folders of their own."""
        self.weights = self.of_imagenet()
        root = synthetic_root(Insects, 160, 0) if self.root is None else self.photographs(self.root)
        train, val = self.training(root), ImageFolder(root / "val")
        self.leaked, self.labels = leaked(train, val), [row["label"] for row in val.records()]
        what = "drawn images" if self.is_synthetic else "photographs"
        self.data = f"{len(train)} {what} of {' and '.join(val.classes)}, and {len(val)} to test on"
        self.side = 224 if self.weights else 32 if self.is_synthetic else 64
        passes = 1 if self.weights or self.is_synthetic else 4
        seen = Concat([train] * passes, transform=augmented(self.side))
        self.loader = self.learn_from(seen, 4 if self.weights else 16, drop_last=True)
        self.val = val.with_transform(plain(self.side))
        self._build_model()

    def _build_model(self) -> None:
        self.model = resnet18()
        if self.weights.state is not None:
            self.model.load_state_dict(self.weights.state)
        self.model.requires_grad_(self.chosen["mode"] == "finetune")
        self.model.fc = nn.Linear(self.model.fc.in_features, 2)
        self.model.to(self.device)
        learning = [weight for weight in self.model.parameters() if weight.requires_grad]
        if self.weights:  # as in the tutorial
            self.optimizer: torch.optim.Optimizer = torch.optim.SGD(learning, lr=1e-3, momentum=0.9)
            self.schedule: Any = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=7 * len(self.loader))
        else:
            steps = len(self.loader) * self.usual_epochs
            self.optimizer = torch.optim.AdamW(learning, weight_decay=0.05, fused=True)
            self.schedule = OneCycle(self.optimizer, 2e-3, total_steps=steps)

    def of_imagenet(self) -> Pretrained:
        """The weights of ImageNet, with a note where there are none.

        Raises:
            MissingDataError: for fixed features without them: random ones tell nothing about a pipeline.
        """
        found = Pretrained(reason="the synthetic copy goes without")
        if not self.is_synthetic:
            found = pretrained(self.weights_of[""], download=self.download)
        if not found and self.chosen["mode"] == "features":
            raise MissingDataError(f"--mode features needs the weights of ImageNet: {found.reason}")
        if not found:
            self.notes.append(f"no weights of ImageNet: {found.reason}; trained from scratch")
        return found

    def photographs(self, root: Path) -> Path:
        """The folder with `train` and `val`: `root` itself, or what the tutorial's archive unpacks to in it.

        Raises:
            MissingDataError: where it is neither, and nothing was to be downloaded.
        """
        if not self._is_inside(root):
            ensure(self.remotes(), root, download=self.download)
            root = root / "hymenoptera_data"
        return root

    @staticmethod
    def _is_inside(root: Path) -> bool:
        return (root / "train").is_dir()

    @classmethod
    def remotes(cls) -> Sequence[Remote]:
        """The tutorial's archive."""
        return (ARCHIVE,)

    @classmethod
    def missing(cls, root: Path) -> list[str]:
        """What the archive would bring, unless `root` is the folder with `train` itself."""
        folder = "" if cls._is_inside(root) else "hymenoptera_data/"
        found = super().missing(root) if folder else []
        return found or [
            f"{folder}{part}/*/*.jpg"
            for part in ("train", "val")
            if not (root / folder / part).is_dir()
            or next(iter(files_below(root / folder / part, IMAGE_SUFFIXES)), None) is None
        ]

    def training(self, root: Path) -> Dataset:
        """The images to train on, as they lie there."""
        return ImageFolder(root / "train")

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """What the net sees of training images (B, 3, H, W) `uint8`."""
        return NORMALIZE.on(images)

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """Cross entropy; of fixed features the batch norms stay as they are."""
        self.model.train(self.chosen["mode"] == "finetune")
        scores = self.model(self.normalized(batch["image"].to(self.device)))
        loss = nn.functional.cross_entropy(scores, batch["label"].to(self.device))
        learn(loss, self.optimizer, self.schedule)
        return {"loss": loss.item()}

    def predicted(self, dataset: Dataset) -> torch.Tensor:
        """Classes (N,) of images that are tested on."""
        self.model.eval()
        with torch.inference_mode():
            batches = [NORMALIZE.on(batch["image"].to(self.device)) for batch in self.test_on(dataset, 32)]
            return torch.cat([self.model(batch).argmax(1) for batch in batches]).cpu()

    def evaluate(self) -> dict[str, float]:
        """The share of the images in `val` whose class is found."""
        return {"accuracy": (self.predicted(self.val) == torch.tensor(self.labels)).float().mean().item()}

    def checks(self, history: History) -> Sequence[Check]:
        """Accuracy, and that nothing was tested on that was trained on."""
        tuned, scratch, leak = self.bars
        figure = history.last("accuracy")
        accuracy = tuned.check(figure) if self.weights else scratch.check(figure, bar=above_chance(self.labels))
        return [accuracy, leak.check(self.leaked)]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Some images of `val` with what they were taken for."""
        some = spread(len(self.val))
        seen, names = self.val.with_transform(Compose([Rescale(176), CenterCrop(176)])), self.val.classes
        taken = self.predicted(Subset(self.val, some)).tolist()
        samples = [seen[place] for place in some]
        truths, answers = [names[sample["label"]] for sample in samples], [names[label] for label in taken]
        return {"predictions.png": guesses([sample["image"] for sample in samples], truths, answers)}


def augmented(side: int) -> Compose:
    """The tutorial's chain for training."""
    return Compose([RandomResizedCrop(side), RandomHorizontalFlip(), ToTensor(scale=False)])


def plain(side: int) -> Compose:
    """The tutorial's chain for testing: for 224 pixels the smaller edge is made 256 first."""
    return Compose([Rescale(side * 8 // 7), CenterCrop(side), ToTensor(scale=False)])


def above_chance(labels: Sequence[int]) -> float:
    """The share of the largest class and two binomial standard errors of it: what guessing does not reach."""
    share = max(map(labels.count, labels)) / len(labels)
    return share + 2 * math.sqrt(share * (1 - share) / len(labels))


class UnsortedClasses(Hymenoptera):
    """Classes are numbered as the folders happened to be listed: in training not as in the test."""

    bug = "classes-unsorted"

    def training(self, root: Path) -> Dataset:
        """The same images, bees first."""
        return super().training(root).with_transform(_renumbered)


class NotNormalized(Hymenoptera):
    """Training images go into the net as 0 to 255, those of the test normalised."""

    bug = "not-normalised"

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """As they are."""
        return images.float()


class MixedSplits(Hymenoptera):
    """Images of the test are trained on too: the accuracy is fine, and means nothing."""

    bug = "splits-mixed"

    def training(self, root: Path) -> Dataset:
        """All there are."""
        return Concat([super().training(root), ImageFolder(root / "val")])


def _renumbered(sample: dict[str, Any]) -> dict[str, Any]:
    return {**sample, "label": 1 - sample["label"]}
