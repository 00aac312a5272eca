"""What every reader of sound refuses: too much of anything, and what is no number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datakit.errors import CorruptDataError

MAX_CHANNELS, MAX_RATE = 1024, 2**24
"""The first is libsndfile's; the second is far above the 768 kHz that converters reach, Hz."""


def check_format(channels: int, rate: int) -> None:
    """Refuse what no recording has.

    Raises:
        CorruptDataError: for no channels or no rate, or too much of either.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise CorruptDataError(f"the header says {channels:,} channels; 1 to {MAX_CHANNELS:,} are possible")
    if not 1 <= rate <= MAX_RATE:
        raise CorruptDataError(f"the header says a sample rate of {rate:,} Hz; 1 to {MAX_RATE:,} are possible")


def counted(total: int, start: int, frames: int | None) -> int:
    """How many frames there are from `start` on, `frames` at most.

    Raises:
        ValueError: `start` is behind the end.
    """
    if start > total:
        raise ValueError(f"start={start:,} is behind the end: {total:,} frames")
    return total - start if frames is None else min(total - start, frames)


def check_values(frames: int, channels: int, most: int) -> None:
    """Refuse what would fill the memory.

    Raises:
        CorruptDataError: there are more than `most` samples.
    """
    if frames * channels > most:
        raise CorruptDataError(
            f"{frames:,} frames of {channels:,} channels are over the limit of {most:,} samples; read a part with "
            "start= and frames=, or pass max_values="
        )


def check_finite(values: npt.NDArray[np.float32], start: int) -> None:
    """Refuse NaN and infinity.

    Args:
        values: (frames, channels).
        start: the frame in the file that the first row is.

    Raises:
        CorruptDataError: with frame and channel, counted from 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        frame, channel = (int(place) for place in bad[0])
        raise CorruptDataError(
            f"{len(bad):,} samples are not finite, the first {values[frame, channel]} in frame {start + frame:,} of "
            f"channel {channel}"
        )
