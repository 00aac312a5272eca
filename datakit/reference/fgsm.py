"""`fgsm`: a LeNet that reads digits, and what is left of it under attack by the sign of the gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from datakit.collate import stack
from datakit.reference.checks import Bar, Check, shown
from datakit.reference.curve import finish, panels
from datakit.reference.digits import NEAREST_MEAN, NORMALIZE, DigitReader, drawn, nearest_mean
from datakit.reference.history import History
from datakit.report.contact_sheet import Tile, sheet
from datakit.report.output import png
from datakit.report.palette import ACCENT, INK, SOFT, WRONG

EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # how far a pixel in [0, 1] is moved


class Fgsm(DigitReader):
    """Handwritten digits by a LeNet, attacked by the sign of the gradient.

    After the training every pixel of a test digit, in [0, 1], is moved by eps to where the loss grows. The bars, on the
    10,000 test digits: 97.5 % are right at eps = 0, fewer at each further eps, and at most 30 % at eps = 0.3. On the
    synthetic copy the first bar is what the nearest mean image of a class tells.
    """

    name = "fgsm"
    source = "https://docs.pytorch.org/tutorials/beginner/fgsm_tutorial.html"
    epochs, synthetic_epochs = 3, 3
    bars = (
        Bar("accuracy at eps 0", 0.975, unit="%", key="accuracy", when="on real data"),
        Bar("accuracy at eps 0", NEAREST_MEAN, unit="%", key="accuracy", when="on the synthetic copy"),
        Bar("least fall from one eps to the next, in digits", 1),
        Bar("accuracy at eps 0.3", 0.3, "low", "%"),
    )

    def build(self) -> None:
        """LeNet, digits to train and to attack, and the bar without an attack."""
        super().build()
        self.nearest_mean = nearest_mean(self) if self.is_synthetic else 0.0

    def attacked(self, batch: dict[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """At each eps the digits (B, 1, 28, 28), in [0, 1], and what the net takes them for (B,)."""
        self.model.eval()
        pixels = (batch["image"].to(self.device) / 255).requires_grad_()
        loss = functional.cross_entropy(self.model(NORMALIZE.on(pixels)), batch["label"].to(self.device))
        (slope,) = torch.autograd.grad(loss, pixels)
        with torch.inference_mode():
            moved = [self.moved(pixels, slope, eps) for eps in EPSILONS]
            return [(image.cpu(), self.model(NORMALIZE.on(image)).argmax(1).cpu()) for image in moved]

    def moved(self, pixels: torch.Tensor, slope: torch.Tensor, eps: float) -> torch.Tensor:
        """Each pixel one step of eps up the slope of the loss, and no further than black and white."""
        return (pixels + eps * slope.sign()).clamp(0, 1)

    def counts(self) -> list[int]:
        """How many of the test digits are read right at each eps."""
        counts = [0] * len(EPSILONS)
        for batch in self.test:
            for place, (_, answers) in enumerate(self.attacked(batch)):
                counts[place] += int((answers == batch["label"]).sum())
        return counts

    def checks(self, history: History) -> Sequence[Check]:
        """Right without an attack, wrong under the strongest, and fewer right at every step between."""
        self.right = self.counts()
        total, falls = len(self.test.records), [weak - strong for weak, strong in pairwise(self.right)]
        real, synthetic, fall, attacked = self.bars
        calm = self.right[0] / total
        self.ends = (
            synthetic.check(calm, bar=self.nearest_mean) if self.is_synthetic else real.check(calm),
            attacked.check(self.right[-1] / total),
        )
        return [self.ends[0], fall.check(min(falls)), self.ends[1]]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Accuracy over eps as the checks found it, and some digits under attack."""
        return {"attack.png": self._plot(), "examples.png": self._examples()}

    def _plot(self) -> bytes:
        figure, (axes,) = panels(1)
        shares = [100 * right / len(self.test.records) for right in self.right]
        axes.plot(EPSILONS, shares, color=ACCENT, marker="o", linewidth=1.8)
        ends = zip((0, 0.3), self.ends, ("^", "v"), ("at least", "at most"), strict=True)
        for eps, check, marker, word in ends:
            label = f"bar at eps {eps}: {word} {shown(check.bar, '%')}"
            axes.plot([eps], [100 * check.bar], color=INK, marker=marker, linestyle="", label=label)
        axes.set(ylim=(-4, 104), xticks=EPSILONS)
        axes.set_xlabel("eps", color=SOFT)
        axes.set_title("read right, %", loc="left", fontsize=10, color=SOFT)
        axes.legend(frameon=False, fontsize=9, labelcolor=SOFT)
        return finish(figure, self)

    def _examples(self) -> bytes:
        """A line each for five digits, the first of their class that are read right without an attack, at each eps."""
        batch = stack([self.test.records[index] for index in range(min(200, len(self.test.records)))])
        columns, tiles = self.attacked(batch), []
        is_right = columns[0][1] == batch["label"]
        for label in (1, 3, 4, 7, 9):
            for row in torch.nonzero(is_right & (batch["label"] == label))[:1].flatten().tolist():
                for eps, (images, answers) in zip(EPSILONS, columns, strict=True):
                    told = f"eps {eps:g}\n{label} → {answers[row]}"
                    is_fooled = bool(answers[row] != label)
                    tiles.append(Tile(drawn(images[row]), told, WRONG) if is_fooled else Tile(drawn(images[row]), told))
        return png(sheet(tiles, columns=len(EPSILONS)))


class Transposed(Fgsm):
    """Rows and columns of the training images have changed places."""

    bug = "transposed"

    def learnt(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Width before height."""
        images, labels = super().learnt(batch)
        return images.transpose(2, 3), labels


class PixelsOf255(Fgsm):
    """An eps that is meant for [0, 1] moves pixels of [0, 255]."""

    bug = "pixels-of-255"

    def moved(self, pixels: torch.Tensor, slope: torch.Tensor, eps: float) -> torch.Tensor:
        """A step 255 times too small."""
        return super().moved(pixels, slope, eps / 255)


class EpsForgotten(Fgsm):
    """The attack is made once, at full strength, and taken for that of every eps."""

    bug = "eps-forgotten"

    def moved(self, pixels: torch.Tensor, slope: torch.Tensor, eps: float) -> torch.Tensor:
        """As far as can be, but where there is no attack."""
        return super().moved(pixels, slope, EPSILONS[-1] if eps else 0.0)


class AttackNormalised(Fgsm):
    """The images are normalised, moved, and then clipped to [0, 1], where they no longer are."""

    bug = "attack-normalised"

    def moved(self, pixels: torch.Tensor, slope: torch.Tensor, eps: float) -> torch.Tensor:
        """A step on another scale, and clipped at other ends."""
        return NORMALIZE.undo(super().moved(NORMALIZE.on(pixels), slope, eps))
