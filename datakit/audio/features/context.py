"""Features with their neighbours in time: `add-deltas` and `splice-feats`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from datakit.audio.features.batches import frames_of_features, inside


@dataclass(eq=False, repr=False)
class Deltas(nn.Module):
    """Features with their changes in time behind them, as Kaldi's `add-deltas`.

    `forward(features, frames=None)` takes features (B, N, F) and frame counts (B,), and gives
    (B, N, F (delta_order + 1)) and the counts. Beyond the first and the last frame of each member these stand.

    Args:
        delta_order: how often the change is taken of the change.
        delta_window: frames on each side that a change is taken over.
        truncate: take this many of the features only, the first; 0 for all.

    Raises:
        ValueError: for options below 0, a window of 0, or features that are no batch.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Deltas
        >>> features, frames = Deltas(delta_order=1)(torch.arange(6.0)[None, :, None])
        >>> features[0, :, 1]
        tensor([0.5000, 0.8000, 1.0000, 1.0000, 0.8000, 0.5000])
    """

    delta_order: int = 2
    delta_window: int = 2
    truncate: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        if self.delta_order < 0 or self.delta_window < 1 or self.truncate < 0:
            raise ValueError(
                "Deltas needs delta_order >= 0, delta_window >= 1 and truncate >= 0, got "
                f"delta_order={self.delta_order}, delta_window={self.delta_window}, truncate={self.truncate}"
            )

    def forward(self, features: torch.Tensor, frames: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Features with their deltas, and the counts."""
        frames = frames_of_features("Deltas", features, frames)
        if self.truncate > features.shape[2]:
            raise ValueError(f"Deltas has truncate={self.truncate}, and there are {features.shape[2]} features")
        features = features[..., : self.truncate or None]
        orders = []
        for scales in self.scales():
            reach = len(scales) // 2
            total = torch.zeros_like(features)
            for place, scale in enumerate(scales.tolist()):
                if scale:
                    total = total + scale * neighbour(features, frames, place - reach)
            orders.append(total)
        kept = torch.where(inside(frames, features.shape[1]), torch.cat(orders, 2), 0.0)
        return kept, frames

    def scales(self) -> list[torch.Tensor]:
        """Weights of the neighbours for each order, float64: `DeltaFeatures` of Kaldi's `feature-functions.cc`."""
        slope = torch.arange(-self.delta_window, self.delta_window + 1, dtype=torch.float64)
        slope = slope / slope.square().sum()
        found = [torch.ones(1, dtype=torch.float64)]
        for _ in range(self.delta_order):
            last = found[-1]
            both = torch.nn.functional.pad(last, (len(slope) - 1,) * 2)
            found.append((both.unfold(0, len(slope), 1) * slope.flip(0)).sum(1))
        return found

    def extra_repr(self) -> str:
        """The options."""
        return f"delta_order={self.delta_order}, delta_window={self.delta_window}" + (
            f", truncate={self.truncate}" if self.truncate else ""
        )


@dataclass(eq=False, repr=False)
class Splice(nn.Module):
    """Each frame with its neighbours side by side, as Kaldi's `splice-feats`.

    `forward(features, frames=None)` takes features (B, N, F) and frame counts (B,), and gives
    (B, N, F (left_context + 1 + right_context)) and the counts. Beyond the first and the last frame of each member
    these stand.

    Args:
        left_context: frames before.
        right_context: frames behind.

    Raises:
        ValueError: for a context below 0, or features that are no batch.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Splice
        >>> features, frames = Splice(1, 1)(torch.tensor([[[1.0], [2.0], [3.0]]]))
        >>> features[0].tolist()
        [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 3.0]]
    """

    left_context: int = 4
    right_context: int = 4

    def __post_init__(self) -> None:
        super().__init__()
        if self.left_context < 0 or self.right_context < 0:
            raise ValueError(
                f"Splice needs contexts of 0 or more, got left_context={self.left_context}, "
                f"right_context={self.right_context}"
            )

    def forward(self, features: torch.Tensor, frames: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Spliced features, and the counts."""
        frames = frames_of_features("Splice", features, frames)
        reach = range(-self.left_context, self.right_context + 1)
        spliced = torch.cat([neighbour(features, frames, offset) for offset in reach], 2)
        return torch.where(inside(frames, features.shape[1]), spliced, 0.0), frames

    def extra_repr(self) -> str:
        """The options."""
        return f"left_context={self.left_context}, right_context={self.right_context}"


def neighbour(features: torch.Tensor, frames: torch.Tensor, offset: int) -> torch.Tensor:
    """The frame `offset` later for each frame of (B, N, F), and the member's first or last one beyond its ends."""
    place = torch.arange(features.shape[1], device=features.device) + offset
    place = torch.minimum(place.clamp(min=0), (frames[:, None] - 1).clamp(min=0))
    return features.gather(1, place[..., None].expand(features.shape))
