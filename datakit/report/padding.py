"""How long the sequences of a batch are, and what its padding costs, in words."""

from __future__ import annotations

from typing import Any

from datakit.inspection.batch import Padding
from datakit.inspection.text import Coders
from datakit.inspection.text_batch import token_batches
from datakit.phrasing import number

_MUCH = 0.25  # of the batch


def padding_line(padding: Padding) -> str:
    """The range of the lengths and the share of padding, such as `18 … 44 frames, 31.2 % padding`."""
    low, high = int(padding.lengths.min()), int(padding.lengths.max())
    span = number(low) if low == high else f"{number(low)} … {number(high)}"
    seconds = ""
    if padding.rate:
        times = [f"{steps / padding.rate:.3g}" for steps in dict.fromkeys((low, high))]
        seconds = f" ({' … '.join(times)} s)"
    return f"{span} {_unit(padding)}{seconds}, {padding.share:.1%} of the batch is padding".replace("%", " %")


def packed_line(batch: Any) -> str:
    """The range of the lengths in a batch whose tokens were packed, such as `3 … 12 tokens, packed`; else empty."""
    packed = next((one for one in token_batches(batch, Coders()) if one.packed is not None), None)
    if packed is None:
        return ""
    low, high = int(packed.lengths.min()), int(packed.lengths.max())
    span = number(low) if low == high else f"{number(low)} … {number(high)}"
    return f"{span} tokens, packed: no step is padding"


def padding_hint(padding: Padding) -> str:
    """What may be done about much padding; empty where there is little."""
    return "Loader(lengths=…) batches like lengths together" if padding.share > _MUCH else ""


def padding_json(padding: Padding | None) -> dict[str, Any] | None:
    """Of the batch; None where nothing was padded."""
    if padding is None:
        return None
    return {"key": padding.key, "lengths": padding.lengths.tolist(), "steps": padding.steps, "share": padding.share}


def _unit(padding: Padding) -> str:
    units = {"spectrogram": "frames", "features": "frames", "tokens": "tokens", "target_tokens": "tokens"}
    return units.get(padding.key, "steps")
