"""COCO's numbers for detectors, by pycocotools: the authors' own code, kept by others today."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import torch

from datakit.errors import DatakitError
from datakit.vision.coco_objects import Kind, Objects, as_coco

_METRIC = {"boxes": "bbox", "masks": "segm"}
_NAMES = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)


@dataclass(frozen=True)
class CocoResult:
    """The twelve numbers, each in [0, 1], or -1 where the truth has no object of that kind.

    Printed, it is the table that COCO's own tools print.

    Attributes:
        kind: `boxes` or `masks`: what the overlap (IoU) is measured by.
        ap: average precision: the mean over IoU thresholds 0.50, 0.55 … 0.95, and over the classes.
        ap50: at IoU 0.50.
        ap75: at IoU 0.75.
        ap_small: of objects below 32² pixels.
        ap_medium: of objects from 32² to 96² pixels.
        ap_large: of objects above 96² pixels.
        ar1: average recall with 1 prediction an image.
        ar10: with 10.
        ar100: with 100.
        ar_small: of objects below 32² pixels, with 100 predictions an image; medium and large alike.
        classes: average precision of each class that the truth has, by its label.
        table: the twelve lines.

    Examples:
        >>> import torch
        >>> from datakit.vision import CocoEvaluation
        >>> truth = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 60.0]]), "labels": torch.tensor([7])}
        >>> evaluation = CocoEvaluation()
        >>> evaluation.update([{**truth, "scores": torch.tensor([0.9])}], [truth])
        >>> result = evaluation.results()["boxes"]
        >>> round(result.ap, 3), round(result.ap_medium, 3), result.ap_large, list(result.classes)
        (1.0, 1.0, -1.0, [7])
        >>> print(str(result).splitlines()[1])
         Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000
    """

    kind: Kind
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    classes: Mapping[int, float]
    table: str

    def __str__(self) -> str:
        return f"IoU metric: {_METRIC[self.kind]}\n{self.table}"


class CocoEvaluation:
    """Gathers predictions and truth, batch by batch, and gives COCO's numbers. Masks are kept compressed.

    Args:
        kinds: `boxes`, `masks`, or both.

    Raises:
        DatakitError: pycocotools is not installed.

    Source: https://cocodataset.org/#detection-eval

    Examples:
        >>> import torch
        >>> from datakit.vision import CocoEvaluation
        >>> truth = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 60.0]]), "labels": torch.tensor([1])}
        >>> shifted = {"boxes": truth["boxes"] + torch.tensor([10.0, 0.0, 10.0, 0.0]), "labels": torch.tensor([1])}
        >>> evaluation = CocoEvaluation()
        >>> evaluation.update([{**shifted, "scores": torch.tensor([0.9])}], [truth])
        >>> boxes = evaluation.results()["boxes"]  # the overlap is 40 / 60: right at 0.50, 0.55, 0.60 and 0.65
        >>> round(boxes.ap, 2), round(boxes.ap50, 2), round(boxes.ap75, 2)
        (0.4, 1.0, 0.0)
    """

    def __init__(self, kinds: Sequence[Kind] = ("boxes",)) -> None:
        if not kinds or set(kinds) - set(_METRIC):
            raise ValueError(f"kinds are 'boxes', 'masks' or both, got {kinds!r}")
        _pycocotools()
        self.kinds = tuple(kinds)
        self._images: list[tuple[Objects, Objects]] = []

    def update(self, predictions: Sequence[Mapping[str, Any]], targets: Sequence[Mapping[str, Any]]) -> None:
        """Add a batch.

        Args:
            predictions: as torchvision's detectors give them, one dict an image: `boxes` (N, 4) x1 y1 x2 y2 in pixels,
                `labels` (N,), `scores` (N,); for masks `masks` (N, H, W) or (N, 1, H, W), bool, or probabilities that
                count from 0.5 on.
            targets: as `collate.detection` gives them: `boxes`, `labels`, `masks`; where they are there, `area` in
                pixels² and `iscrowd`.

        Raises:
            ValueError: naming the image and the key, for what is missing or does not fit together.
        """
        if len(predictions) != len(targets):
            raise ValueError(f"{len(predictions)} predictions and {len(targets)} targets: one of each an image")
        for prediction, target in zip(predictions, targets, strict=True):
            where = f"image {len(self._images)}"
            pair = (
                Objects.of(target, f"target of {where}", self.kinds),
                Objects.of(prediction, f"prediction of {where}", self.kinds, has_scores=True),
            )
            self._images.append(pair)

    def merge(self, others: Iterable[CocoEvaluation]) -> None:
        """Add the images of others, such as those that `torch.distributed.gather_object` brings from other ranks."""
        for other in others:
            self._images.extend(other._images)

    def results(self) -> dict[Kind, CocoResult]:
        """The numbers of everything so far, for each kind.

        Raises:
            DatakitError: before the first image.
        """
        if not self._images:
            raise DatakitError("there is nothing to evaluate yet: update() was not called with an image")
        return {kind: self._result(kind) for kind in self.kinds}

    def __len__(self) -> int:
        """Images so far."""
        return len(self._images)

    def _result(self, kind: Kind) -> CocoResult:
        coco, evaluator = _pycocotools()
        with redirect_stdout(io.StringIO()):  # it prints what it is doing
            truth, predicted = (as_coco(coco(), self._images, kind, part) for part in (0, 1))
            evaluation = evaluator(truth, predicted, _METRIC[kind])
            evaluation.evaluate()
            evaluation.accumulate()
        with redirect_stdout(io.StringIO()) as printed:
            evaluation.summarize()
        return CocoResult(
            kind,
            **dict(zip(_NAMES, map(float, evaluation.stats), strict=True)),
            classes=_by_class(evaluation),
            table=printed.getvalue().rstrip(),
        )


def evaluate_detector(
    model: torch.nn.Module,
    batches: Iterable[tuple[Sequence[torch.Tensor], Sequence[Mapping[str, Any]]]],
    *,
    kinds: Sequence[Kind] = ("boxes",),
    device: torch.device | str | None = None,
) -> dict[Kind, CocoResult]:
    """COCO's numbers of a detector of torchvision, or one that is called like these.

    The model predicts in evaluation mode, without gradients; after that it is in the mode in which it was.

    Args:
        model: from a list of images (C, H, W) to predictions as `CocoEvaluation.update` takes them.
        batches: of images and targets: a loader with `collate_fn=collate.detection`.
        kinds: `boxes`, `masks`, or both.
        device: where the images go; by default to that of the model's first parameter.

    Examples:
        >>> import torch
        >>> from datakit.vision import evaluate_detector
        >>> class Centre(torch.nn.Module):
        ...     '''Finds an object in the middle of every image.'''
        ...
        ...     def forward(self, images):
        ...         found = {"labels": torch.tensor([1]), "scores": torch.tensor([1.0])}
        ...         return [{"boxes": torch.tensor([[25.0, 25.0, 75.0, 75.0]]), **found} for image in images]
        >>> target = {"boxes": torch.tensor([[25.0, 25.0, 75.0, 75.0]]), "labels": torch.tensor([1])}
        >>> evaluate_detector(Centre(), [([torch.zeros(3, 100, 100)], [target])])["boxes"].ap > 0.999
        True
    """
    if device is None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    evaluation, was_training = CocoEvaluation(kinds), model.training
    model.eval()
    try:
        with torch.inference_mode():
            for images, targets in batches:
                evaluation.update(model([image.to(device) for image in images]), targets)
    finally:
        model.train(was_training)
    return evaluation.results()


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise DatakitError('COCO evaluation needs pycocotools: pip install "datakit[detection]"') from error
    return COCO, COCOeval


def _by_class(evaluation: Any) -> dict[int, float]:
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # thresholds x recalls x classes, of all sizes
    found = {}
    for place, label in enumerate(evaluation.params.catIds):
        values = precision[:, :, place]
        found[int(label)] = float(values[values > -1].mean()) if (values > -1).any() else -1.0
    return found
