"""A Kaldi data directory as a dataset."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from datakit import collate
from datakit.audio import io
from datakit.audio.kaldi.data_writing import write_tables
from datakit.audio.kaldi.objects import read_matrix
from datakit.audio.kaldi.reading import read_place
from datakit.audio.kaldi.recordings import MAX_OVERSHOOT, Segment, read_recording
from datakit.audio.kaldi.scp import Place, file_of, found, located, parse_place
from datakit.audio.kaldi.tables import Table
from datakit.audio.kaldi.validation import checked_tables
from datakit.chain import Transform
from datakit.columns import Columns, Record
from datakit.dataset import Dataset
from datakit.errors import DatakitError, MissingDataError, SampleError, UnknownNameError
from datakit.sample import Sample

Part: TypeAlias = Literal["waveform", "features"]

_PARTS: dict[Part, str] = {"waveform": "wav.scp", "features": "feats.scp"}
_FIELDS: dict[str, tuple[str, type[str | float | int]]] = {  # column: its file, and what its values are
    "text": ("text", str),
    "duration": ("utt2dur", float),
    "num_frames": ("utt2num_frames", int),
    "language": ("utt2lang", str),
}


class KaldiData(Dataset):
    """A Kaldi data directory, such as `data/train`: a sample an utterance, in the order of `utt2spk`.

    Reads `utt2spk`, `spk2utt`, and of these what is there: `wav.scp`, `segments`, `text`, `spk2gender`, `feats.scp`,
    `utt2dur`, `utt2num_frames`, `utt2lang`; `reco2dur`, `utt2uniq`, `vad.scp`, `cmvn.scp`, `utt2warp`, `spk2warp` and
    `reco2file_and_channel` are checked, and written again by `write`. All are held against the rules of
    `utils/validate_data_dir.sh`: sorted as by `LC_ALL=C sort`, each id once, the same ids in all files, `spk2utt` the
    inverse of `utt2spk`, good values. Audio and features are opened when a sample is read.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | waveform | (C, T) | float32 | the utterance, [-1, 1]; where there is `wav.scp` |
    | sample_rate | () | int | Hz |
    | features | (F, D) | float32 or float64 | frames and their coefficients, as stored; where there is `feats.scp` |
    | text | () | str | the transcript |
    | speaker, gender | () | str | the speaker's id; `m` or `f` |
    | utterance | () | str | its id |
    | recording | () | str | id of the recording; where there are `segments` |
    | start, end | () | float | seconds in the recording; -1 for its end |
    | channel | () | int | of the recording, from 0; -1 where none is named |
    | duration | () | float | seconds, of `utt2dur` |
    | num_frames | () | int | of `utt2num_frames` |
    | language | () | str | of `utt2lang` |
    | index | () | int | line of `utt2spk`, from 0 |
    | path | () | str | the file of the audio, else of the features |

    A `Loader` makes batches of it by `collate.pad`. A segment is cut as by `extract-segments`: samples from
    `int(start * rate)` to `int(end * rate)`; one that ends up to `max_overshoot` seconds behind its recording ends
    with it, and further behind is an error. A whole recording is read for a segment only where it comes from a
    command.

    Args:
        root: the data directory.
        transform: a callable on a sample.
        parts: what is read, of `waveform` and `features`; by default both, as far as there are files for them.
        allow_commands: run entries that are commands (`sph2pipe … |`) in the shell, as Kaldi does. Without it such an
            entry is an error where it is asked for: leave its part out by `parts`, and all else can be read.
        files_root: the folder that relative names in `wav.scp` and `feats.scp` belong to. By default the current
            folder, as in Kaldi; what is not there is looked for in the data directory.
        max_overshoot: seconds.
        speakers_sorted: whether the speakers of `utt2spk` must be in order, as Kaldi asks unless `--no-spk-sort` is
            given.

    Source: https://kaldi-asr.org/doc/data_prep.html

    Raises:
        MissingDataError: the folder or `utt2spk` is not there; a part is asked for whose file is not.
        CorruptDataError: with the first problems, by file and line, and their number; where a sample is read, with the
            line of the entry.
        UnknownNameError: another part.

    Examples:
        >>> from datakit.audio import KaldiData
        >>> data = KaldiData.synthetic(n=8)
        >>> sample = data[3]
        >>> tuple(sample["waveform"].shape), tuple(sample["features"].shape), sample["speaker"], sample["text"]
        ((1, 3200), (38, 8), 's000', 'SIX')
        >>> KaldiData.synthetic(n=8, parts=["features"])[3].keys() & {"waveform", "features"}
        {'features'}
    """

    collate_fn = staticmethod(collate.pad)

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        *,
        parts: Collection[Part] | None = None,
        allow_commands: bool = False,
        files_root: str | Path | None = None,
        max_overshoot: float = MAX_OVERSHOOT,
        speakers_sorted: bool = True,
    ) -> None:
        wanted: Collection[Part] | None = [parts] if isinstance(parts, str) else parts  # type: ignore[list-item]
        for part in wanted or ():
            if part not in _PARTS:
                raise UnknownNameError.of("part", part, _PARTS)
        self.allow_commands, self.files_root, self.max_overshoot = allow_commands, files_root, max_overshoot
        self.speakers_sorted = speakers_sorted
        self._wanted = wanted
        super().__init__(root, transform=transform)

    def index(self) -> Columns:
        """The lines of the files, put together by utterance."""
        tables = checked_tables(self.root, speakers_sorted=self.speakers_sorted)
        there = [part for part, name in _PARTS.items() if name in tables]
        for part in self._wanted or ():
            if part not in there:
                raise MissingDataError(f"{self.root / _PARTS[part]}: there is no such file, and {part} is asked for")
        self.parts: tuple[Part, ...] = tuple(
            there if self._wanted is None else [part for part in there if part in self._wanted]
        )
        return Columns(**_columns(tables))

    def load(self, record: Record) -> Sample:
        """What the files say of an utterance, and the parts of it that are asked for."""
        fields = vars(record)
        sample = {name: value for name, value in fields.items() if not name.endswith(("_entry", "_line"))}
        if "waveform" in self.parts:
            place = self._place("wav.scp", record.audio_entry, record.audio_line)
            if place.command is None:
                sample["path"] = located(place, self.files_root, self.root)
            segment = Segment(record.start, record.end, record.channel) if "recording" in fields else None
            sample["waveform"], sample["sample_rate"] = read_recording(
                place, segment, self.files_root, self.root, max_overshoot=self.max_overshoot
            )
        if "features" in self.parts:
            place = self._place("feats.scp", record.features_entry, record.features_line)
            if place.command is None and "waveform" not in self.parts:
                sample["path"] = located(place, self.files_root, self.root)
            sample["features"] = read_place(place, read_matrix, self.files_root, self.root)
        return sample

    def durations(self) -> npt.NDArray[np.float64]:
        """How many seconds each utterance lasts, (n,): by `utt2dur`, else `segments`, else the headers of the files.

        Raises:
            SampleError: naming the utterance's file, where there is nothing else to go by and it is missing or broken,
                or comes from a command, which is not run for that.
        """
        if "duration" in self.columns.names:
            return np.asarray(self.columns.column("duration"), np.float64)
        return np.array([self._duration(index) for index in range(len(self))], np.float64)

    def lengths(self) -> npt.NDArray[np.float64]:
        """What `Loader(lengths=...)` needs, (n,): frames of the features where they alone are read, else seconds."""
        if "waveform" not in self.parts and "num_frames" in self.columns.names:
            return np.asarray(self.columns.column("num_frames"), np.float64)
        return self.durations()

    def _duration(self, index: int) -> float:
        record = self.columns[index]
        start, end = getattr(record, "start", 0.0), getattr(record, "end", -1.0)
        if end >= 0:
            return float(end - start)
        try:
            place = self._place("wav.scp", record.audio_entry, record.audio_line)
            if place.command is not None:
                raise DatakitError(f"{place.command!r} is a command, and no utt2dur says how long its sound is")
            return io.info(located(place, self.files_root, self.root)).duration - float(start)
        except Exception as error:
            what = {"index": index, "path": self.path_of(index), "stage": "looking for its duration"}
            raise SampleError.of(error, dataset=type(self).__name__, **what) from error

    def path_of(self, index: int) -> str | None:
        """The file of the audio, else of the features, else the data directory's own list."""
        for part, column in (("waveform", "audio_entry"), ("features", "features_entry")):
            if part in self.parts:
                entry = str(self.columns.column(column)[index])
                return entry if "|" in entry else file_of(entry) or entry
        return os.fspath(self.root / "utt2spk")

    def write(self, root: str | Path, *, absolute: bool = False) -> None:
        """Write the files of this directory to another: byte for byte as they are, checked anew.

        Args:
            root: a folder that is not there yet, or is empty; it appears when it is whole.
            absolute: write full paths instead of relative names into `wav.scp`, `feats.scp` and the other lists, so
                that the new directory can be read from anywhere. Commands stay as they are.

        Raises:
            CorruptDataError: the files have been changed meanwhile, and are not good any more.
            FileExistsError: there is something in `root`.

        Examples:
            >>> from datakit.audio import KaldiData
            >>> KaldiData.synthetic(n=8).write("copy", absolute=True)
            >>> KaldiData("copy")[3]["text"]
            'SIX'
        """
        tables = checked_tables(self.root, speakers_sorted=self.speakers_sorted)
        lines = {name: table.lines() for name, table in tables.items()}
        if absolute:
            for name in lines:
                if name.endswith(".scp"):
                    lines[name] = [self._absolute(tables[name], line) for line in range(len(tables[name]))]
        write_tables(root, lines)

    def _absolute(self, table: Table, line: int) -> str:
        entry = table.value(line)
        name = file_of(entry)
        if name is None or os.path.isabs(name):
            return table.keys[line] + table.rests[line]
        return f"{table.keys[line]} {os.path.abspath(found(name, self.files_root, self.root))}{entry[len(name) :]}"

    def _place(self, name: str, entry: str, line: int) -> Place:
        return parse_place(entry, f"{self.root / name}: line {line}", allow_commands=self.allow_commands)

    @staticmethod
    def synthesize(root: Path, n: int, rng: np.random.Generator) -> None:
        """Write `n` utterances of spoken digits, tones whose pitch tells the word and the speaker's gender."""
        from datakit.audio.kaldi.synthetic_speech import write_speech

        write_speech(root, n, rng)


def _columns(tables: Mapping[str, Table]) -> dict[str, Any]:
    """The columns of the index, in the order of utt2spk."""
    spoken = tables["utt2spk"]
    utterances = [spoken.keys[line] for line in range(len(spoken))]
    speakers = [spoken.value(line) for line in range(len(spoken))]
    columns: dict[str, Any] = {"utterance": utterances, "speaker": speakers}
    if "spk2gender" in tables:
        genders = _by_id(tables["spk2gender"])
        columns["gender"] = [genders[speaker] for speaker in speakers]
    for column, (name, kind) in _FIELDS.items():
        if name in tables:
            values = _by_id(tables[name])
            columns[column] = [kind(values[utterance]) for utterance in utterances]
    recordings = utterances
    if "segments" in tables:
        columns.update(_segments(_by_id(tables["segments"]), utterances))
        recordings = columns["recording"]
    for name, column, ids in (("wav.scp", "audio", recordings), ("feats.scp", "features", utterances)):
        if name in tables:
            columns.update(_entries(tables[name], column, ids))
    return columns


def _by_id(table: Table) -> dict[str, str]:
    return {table.keys[line]: table.value(line) for line in range(len(table))}


def _segments(values: Mapping[str, str], utterances: Iterable[str]) -> dict[str, Any]:
    fields = [values[utterance].split() for utterance in utterances]
    return {
        "recording": [field[0] for field in fields],
        "start": np.array([float(field[1]) for field in fields]),
        "end": np.array([float(field[2]) for field in fields]),
        "channel": np.array([int(field[3]) if len(field) > 3 else -1 for field in fields], np.int64),
    }


def _entries(table: Table, column: str, ids: Iterable[str]) -> dict[str, Any]:
    places = table.places()
    lines = [places[key] for key in ids]
    return {f"{column}_entry": [table.value(line) for line in lines], f"{column}_line": np.array(lines) + 1}
