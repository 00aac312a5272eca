"""Detectors for two classes, background and object: those of the tutorial, a small one, and one that learns nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator, RPNHead
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

from datakit.reference.weights import Pretrained

_AS_THEY_COME = {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}  # images are normalised before
_FROZEN = partial(FrozenBatchNorm2d, eps=0.0)  # as it was while these weights were learnt
_LEAST = 20  # pixels; smaller patches are dirt


def mask_rcnn(side: int, weights: Pretrained) -> MaskRCNN:
    """The tutorial's Mask R-CNN on ResNet-50 with a feature pyramid, all of it as COCO taught it but the last layers.

    Args:
        side: pixels of the shorter side that images are scaled to.
        weights: of the whole; without them all layers learn.
    """
    norm, layers = (_FROZEN, 3) if weights else (nn.BatchNorm2d, 5)
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=norm, trainable_layers=layers)
    model = MaskRCNN(backbone, 91, **_scaled(side))
    if weights.state is not None:
        model.load_state_dict(weights.state)
    model.roi_heads.box_predictor = FastRCNNPredictor(1024, 2)
    model.roi_heads.mask_predictor = MaskRCNNPredictor(256, 256, 2)
    return model


def faster_rcnn(side: int, weights: Pretrained) -> FasterRCNN:
    """The tutorial's Faster R-CNN on the last feature map of MobileNetV2, without masks; weights of the whole net."""
    net = mobilenet_v2(weights=None)
    if weights.state is not None:
        net.load_state_dict(weights.state)
    net.features.out_channels = 1280
    return FasterRCNN(
        net.features, 2,
        rpn_anchor_generator=AnchorGenerator(((32, 64, 128, 256, 512),), ((0.5, 1.0, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2),
        **_scaled(side),
    )  # fmt: skip


def small(side: int, width: int) -> MaskRCNN:
    """A Mask R-CNN that learns from scratch: one feature map of `width` channels, heads to match, no batch norm."""
    anchors, shapes = (8, 16, 32, 64), (1.0, 2.5)  # pixels, and height / width
    return MaskRCNN(
        Features(width), None,
        rpn_anchor_generator=AnchorGenerator((anchors,), (shapes,)),
        rpn_head=RPNHead(width, len(anchors) * len(shapes)),
        rpn_pre_nms_top_n_train=500, rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_train=250, rpn_post_nms_top_n_test=150,
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(width * 7 * 7, 128), box_predictor=FastRCNNPredictor(128, 2),
        box_batch_size_per_image=64, box_positive_fraction=0.5,
        mask_roi_pool=MultiScaleRoIAlign(["0"], output_size=14, sampling_ratio=2),
        mask_head=MaskRCNNHeads(width, (width, width), 1), mask_predictor=MaskRCNNPredictor(width, width, 2),
        **_scaled(side),
    )  # fmt: skip


class Features(nn.Module):
    """Images (B, 3, H, W) to a map (B, width, H / 4, W / 4) that also sees what is at strides of 8 and 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_channels = width
        stem = nn.Conv2d(3, width // 2, 5, stride=2, padding=2, bias=False)
        self.fine = nn.Sequential(stem, nn.GroupNorm(8, width // 2), nn.ReLU(), _Block(width // 2, width))
        self.middle, self.coarse = _Block(width, width), _Block(width, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The map."""
        fine = self.fine(images)
        middle = self.middle(fine)
        total: torch.Tensor = fine + _enlarged(middle + _enlarged(self.coarse(middle), middle), fine)
        return total


class _Block(nn.Module):
    """Two convolutions and a way around them, at half the size."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False), nn.GroupNorm(8, outer), nn.ReLU(),
            nn.Conv2d(outer, outer, 3, padding=1, bias=False), nn.GroupNorm(8, outer),
        )  # fmt: skip
        self.around = nn.Conv2d(inner, outer, 1, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.body(x) + self.around(x))


class OtsuPatches(nn.Module):
    """Takes every connected patch of the rarer side of Otsu's threshold for an object: what is to be had untrained.

    Images are `uint8` (3, H, W); the score is how convex the patch is.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979.
    """

    def forward(self, images: Sequence[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """Predictions, as a detector of torchvision gives them."""
        return [_patches(image.cpu().numpy().mean(0)) for image in images]


def _patches(grey: np.ndarray) -> dict[str, torch.Tensor]:
    from skimage.filters import threshold_otsu
    from skimage.measure import label, regionprops

    is_above = grey > threshold_otsu(grey)
    numbers = label(is_above if is_above.mean() < 0.5 else ~is_above)
    found = [patch for patch in regionprops(numbers) if patch.area >= _LEAST]
    corners = [(patch.bbox[1], patch.bbox[0], patch.bbox[3], patch.bbox[2]) for patch in found]
    masks = [torch.from_numpy(numbers == patch.label) for patch in found]
    return {
        "boxes": torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(found), dtype=torch.int64),
        "scores": torch.tensor([patch.solidity for patch in found], dtype=torch.float32),
        "masks": torch.stack(masks) if masks else torch.zeros((0, *grey.shape), dtype=torch.bool),
    }


def _scaled(side: int) -> dict[str, Any]:
    return {"min_size": side, "max_size": side * 5 // 3, **_AS_THEY_COME}


def _enlarged(small: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(small, size=like.shape[-2:])
