"""A step of an optimizer, and learning rates over a run."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR


def learn(
    loss: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler | None = None,
    *,
    clip: float | None = None,
) -> None:
    """A step against the loss, and one of the learning rate; the gradient has at most the norm `clip`."""
    optimizer.zero_grad()
    loss.backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_([one for group in optimizer.param_groups for one in group["params"]], clip)
    optimizer.step()
    if schedule is not None:
        schedule.step()


class OneCycle(OneCycleLR):
    """Torch's, over a given number of steps; a run that is made longer goes on at the last, small rate.

    Examples:
        >>> import torch
        >>> from datakit.reference.schedules import OneCycle
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = OneCycle(optimizer, 1.0, total_steps=2)
        >>> for _ in range(5):
        ...     optimizer.step()
        ...     schedule.step()
        >>> optimizer.param_groups[0]["lr"] < 1e-3
        True
    """

    def step(self, epoch: int | None = None) -> None:
        """After a step of the optimizer."""
        if self.last_epoch < self.total_steps - 1:  # beyond that the cosine rises again
            super().step(epoch)
