"""What a reference keeps from step to step for its tables and pictures, and must still have after `--resume`."""

from __future__ import annotations

from typing import Any


class Kept(list[Any]):
    """A list that belongs to the checkpoint: of tensors, numbers, text, and tuples of these.

    Examples:
        >>> from datakit.reference.kept import Kept
        >>> again = Kept()
        >>> again.load_state_dict(Kept(["epoch 1"]).state_dict())
        >>> again
        ['epoch 1']
    """

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"items": list(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As it was saved."""
        self[:] = state["items"]
