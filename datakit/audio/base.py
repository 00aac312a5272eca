"""The base of datasets of sound files: what all of them read, and how long their sounds are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datakit import collate
from datakit.audio import io
from datakit.columns import Record
from datakit.dataset import Dataset
from datakit.errors import SampleError
from datakit.sample import Sample


class SoundDataset(Dataset):
    """A dataset with a sound file for each record: a subclass writes `index` alone.

    The column `file` is the path of the sound, relative to `root`. A sample is the waveform and its sample rate, the
    other columns as they are, and the path. A `Loader` makes batches of it by `collate.pad`.

    Examples:
        >>> from datakit.audio import YesNo
        >>> words = YesNo.synthetic(n=8)
        >>> next(words.records())["text"]
        'no no yes no no no yes no'
        >>> words.lengths()[:3], words.durations()[:3]
        (array([25600, 25600, 25600]), array([3.2, 3.2, 3.2]))
    """

    collate_fn = staticmethod(collate.pad)

    def load(self, record: Record) -> Sample:
        """The sound, and what the index says of it."""
        fields = dict(vars(record))
        path = f"{self.root}/{fields.pop('file')}"
        waveform, rate = io.load(path)
        sample = {"waveform": waveform, "sample_rate": rate}
        for key, value in fields.items():
            sample[key] = value.copy() if isinstance(value, np.ndarray) else value
        sample["path"] = path
        return sample

    def lengths(self) -> npt.NDArray[np.int64]:
        """How many frames each sound has, (n,), from the headers alone, which are read once.

        Raises:
            SampleError: with dataset, index and path, for the first file that is missing or broken.
        """
        return self._headers()[0].copy()

    def durations(self) -> npt.NDArray[np.float64]:
        """How many seconds each sound lasts, (n,), from the headers alone, which are read once.

        Raises:
            SampleError: with dataset, index and path, for the first file that is missing or broken.
        """
        frames, rates = self._headers()
        return frames / rates

    def _headers(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Frames and sample rates of all records."""
        kept: Any = self.__dict__.get("_headers_kept")
        if kept is None or kept[0] is not self.columns:
            found = np.array([self._header(index) for index in range(len(self))], np.int64).reshape(-1, 2)
            kept = self.__dict__["_headers_kept"] = (self.columns, found[:, 0], found[:, 1])
        return kept[1], kept[2]

    def _header(self, index: int) -> tuple[int, int]:
        file = str(self.columns.column("file")[index])
        try:
            about = io.info(f"{self.root}/{file}")
        except Exception as error:
            raise SampleError.of(
                error, dataset=type(self).__name__, index=index, path=file, stage="reading its header"
            ) from error
        return about.frames, about.sample_rate

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be read again: workers need no lengths."""
        return {name: value for name, value in self.__dict__.items() if not name.endswith("_kept")}
