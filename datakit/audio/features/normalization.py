"""Cepstral mean and variance normalisation: `compute-cmvn-stats`, `apply-cmvn` and `apply-cmvn-sliding`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from datakit.audio.features.batches import frames_of_features, inside


def cmvn_stats(features: torch.Tensor, frames: torch.Tensor | None = None) -> torch.Tensor:
    """Sums, squares and counts of each utterance of a batch, in the layout of Kaldi's `compute-cmvn-stats`.

    The statistics of a speaker are the sum over the speaker's utterances.

    Args:
        features: (B, N, F).
        frames: (B,), how many count of each; all of them by default.

    Returns:
        (B, 2, F + 1), float64: row 0 holds the sums and the count of frames, row 1 the sums of squares and a zero.

    Raises:
        ValueError: for features that are no batch.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import cmvn_stats
        >>> cmvn_stats(torch.tensor([[[1.0], [3.0], [0.0]]]), torch.tensor([2]))[0].tolist()
        [[4.0, 2.0], [10.0, 0.0]]
    """
    frames = frames_of_features("cmvn_stats", features, frames)
    kept = torch.where(inside(frames, features.shape[1]), features, 0.0).double()
    counts = torch.stack((frames, torch.zeros_like(frames)), 1)[..., None]
    return torch.cat((torch.stack((kept.sum(1), kept.square().sum(1)), 1), counts.double()), 2)


@dataclass(eq=False, repr=False)
class Cmvn(nn.Module):
    """Features less their mean, and by their standard deviation if wanted, as Kaldi's `apply-cmvn`.

    `forward(features, frames=None, stats=None)` takes features (B, N, F), frame counts (B,) and gives both back.
    Without `stats` each utterance is normalised by its own; `stats` (2, F + 1) or (B, 2, F + 1), as of `cmvn_stats` or
    of a `cmvn.scp`, are those of a speaker or a corpus.

    Args:
        norm_vars: divide by the standard deviation.
        norm_means: subtract the mean; without it variances are left too, as in Kaldi.
        reverse: undo it.

    Raises:
        ValueError: for statistics of another shape or of no frames, and for `norm_vars` without `norm_means`.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import Cmvn
        >>> Cmvn()(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2]))[0].flatten().tolist()
        [-1.0, 1.0, 0.0]
    """

    norm_vars: bool = False
    norm_means: bool = True
    reverse: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if self.norm_vars and not self.norm_means:
            raise ValueError("Cmvn cannot normalise variances alone, got norm_vars=True, norm_means=False")

    def forward(
        self, features: torch.Tensor, frames: torch.Tensor | None = None, stats: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised features, and the counts."""
        frames = frames_of_features("Cmvn", features, frames)
        given = stats is not None
        stats = cmvn_stats(features, frames) if stats is None else self._checked(stats, features)
        count = stats[:, :1, -1:] if given else stats[:, :1, -1:].clamp(min=1)
        mean, square = (stats[..., :-1] / count).split(1, 1)
        if not self.norm_means:
            mean = torch.zeros_like(mean)
        scale = (square - mean**2).clamp(min=1e-20).sqrt() if self.norm_vars else torch.ones_like(mean)
        wide = features.double()
        done = (wide * scale + mean if self.reverse else (wide - mean) / scale).to(features.dtype)
        return torch.where(inside(frames, features.shape[1]), done, 0.0), frames

    def _checked(self, stats: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        shape = (2, features.shape[2] + 1)
        if stats.shape not in (shape, (len(features), *shape)):
            raise ValueError(f"Cmvn takes stats {shape} or {(len(features), *shape)}, got {tuple(stats.shape)}")
        stats = stats.to(features.device, torch.float64)
        if bool((stats[..., 0, -1] < 1).any()):
            raise ValueError("Cmvn was given stats of less than one frame; sum those of more utterances")
        return stats if stats.ndim == 3 else stats[None]

    def extra_repr(self) -> str:
        """The options that are not as by default."""
        shown = {"norm_vars": self.norm_vars, "norm_means": not self.norm_means, "reverse": self.reverse}
        return ", ".join(f"{name}={getattr(self, name)}" for name, changed in shown.items() if changed)


@dataclass(eq=False, repr=False)
class SlidingCmvn(nn.Module):
    """Features less the mean of the frames around, and by their deviation if wanted, as Kaldi's `apply-cmvn-sliding`.

    `forward(features, frames=None)` takes features (B, N, F) and frame counts (B,), and gives both back. A window ends
    where its member ends.

    Args:
        cmn_window: frames of the window.
        min_window: frames, at least, of the first windows where the window is not centred.
        center: centre the window on the frame; otherwise it ends with it.
        norm_vars: divide by the standard deviation.

    Raises:
        ValueError: for windows below 1, a `min_window` above `cmn_window`, or features that are no batch.

    Examples:
        >>> import torch
        >>> from datakit.audio.features import SlidingCmvn
        >>> SlidingCmvn(cmn_window=3, min_window=1, center=True)(torch.tensor([[[1.0], [2.0], [6.0]]]))[0].flatten()
        tensor([-2., -1.,  3.])
    """

    cmn_window: int = 600
    min_window: int = 100
    center: bool = False
    norm_vars: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if not 1 <= self.min_window <= self.cmn_window:
            raise ValueError(
                "SlidingCmvn needs 1 <= min_window <= cmn_window, got "
                f"min_window={self.min_window}, cmn_window={self.cmn_window}"
            )

    def forward(self, features: torch.Tensor, frames: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised features, and the counts."""
        frames = frames_of_features("SlidingCmvn", features, frames)
        kept = torch.where(inside(frames, features.shape[1]), features, 0.0).double()
        start, end = self.windows(frames, features.shape[1])
        count = (end - start).clamp(min=1)[..., None]
        mean = _sums(kept, start, end) / count
        done = kept - mean
        if self.norm_vars:
            middle = kept.sum(1, keepdim=True) / frames.clamp(min=1)[:, None, None]  # sums of small numbers are exact
            around = torch.where(inside(frames, features.shape[1]), kept - middle, 0.0)
            offset = mean - middle
            variance = _sums(around.square(), start, end) / count - offset**2
            done = torch.where(count == 1, 0.0, done * variance.clamp(min=1e-10).rsqrt())
        return torch.where(inside(frames, features.shape[1]), done.to(features.dtype), 0.0), frames

    def windows(self, frames: torch.Tensor, most: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the window of each frame starts and ends, (B, N): `SlidingWindowCmn` of `feature-functions.cc`."""
        now = torch.arange(most, device=frames.device)
        if self.center:
            start = now - self.cmn_window // 2
            end = start + self.cmn_window
        else:
            start, end = now - self.cmn_window, now + 1
        end = torch.where(start < 0, end - start, end)
        start = start.clamp(min=0)
        if not self.center:
            end = torch.where(end > now, (now + 1).clamp(min=self.min_window), end)
        beyond = (end[None] - frames[:, None]).clamp(min=0)
        return (start[None] - beyond).clamp(min=0), end[None] - beyond

    def extra_repr(self) -> str:
        """The options."""
        text = f"cmn_window={self.cmn_window}, min_window={self.min_window}"
        return text + (", center=True" if self.center else "") + (", norm_vars=True" if self.norm_vars else "")


def _sums(values: torch.Tensor, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Sums of (B, N, F) over the frames from `start` to `end`, (B, N)."""
    total = torch.nn.functional.pad(values.cumsum(1), (0, 0, 1, 0))
    wide = (*start.shape, values.shape[2])
    return total.gather(1, end[..., None].expand(wide)) - total.gather(1, start[..., None].expand(wide))
