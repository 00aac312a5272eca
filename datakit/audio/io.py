"""Stand-in: audio files by soundfile."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class AudioInfo(NamedTuple):
    """What a header says."""

    sample_rate: int
    frames: int
    channels: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.sample_rate


def info(source: Any) -> AudioInfo:
    """The header's facts."""
    import soundfile

    from datakit.errors import CorruptDataError, MissingDataError

    try:
        found = soundfile.info(source)
    except soundfile.LibsndfileError as error:
        kind = MissingDataError if "No such file" in str(error) or "System error" in str(error) else CorruptDataError
        raise kind(str(error)) from error
    return AudioInfo(found.samplerate, found.frames, found.channels)


def load(
    source: Any, *, start: int = 0, frames: int | None = None, channels_first: bool = True, streamed: bool = False
) -> tuple[torch.Tensor, int]:
    """(C, T) float32 and the rate."""
    import soundfile

    from datakit.errors import CorruptDataError, MissingDataError

    try:
        data, rate = soundfile.read(
            source, start=start, frames=-1 if frames is None else frames, dtype="float32", always_2d=True
        )
    except soundfile.LibsndfileError as error:
        kind = MissingDataError if "System error" in str(error) else CorruptDataError
        raise kind(str(error)) from error
    return torch.from_numpy(data.T.copy() if channels_first else data), rate
