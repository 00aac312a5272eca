"""What is checked together: the splits of a dataset, those of a folder, or several datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from datakit import catalog
from datakit.chain import Transform
from datakit.dataset import Dataset
from datakit.errors import DatakitError, MissingDataError, TargetError, UnknownNameError
from datakit.inspection.labels import is_split
from datakit.targets import Target, as_dataset, import_named, made_from, open_target, target_of

Parts = dict[str, Dataset]


@dataclass(frozen=True)
class Opened:
    """What was asked for.

    Attributes:
        name: as it was typed.
        parts: the datasets, by name.
        loader: the user's own, where the target is one.
        notes: what was left out, and why.
        unopened: folders of splits that are no dataset, and why.
        typed: by part, the arguments that mean it on the command line, where there are such.
    """

    name: str
    parts: Mapping[str, Dataset]
    loader: DataLoader[Any] | None = None
    notes: tuple[str, ...] = ()
    typed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unopened: Mapping[str, str] = field(default_factory=dict)


def open_parts(
    names: Sequence[str],
    *,
    root: str | Path | None = None,
    split: str | None = None,
    synthetic: int | None = None,
    transform: Transform | None = None,
) -> Opened:
    """The datasets that the names mean; the splits of one that has some, unless `split` asks for one of them.

    Args:
        names: targets as `datakit.targets.open_target` takes them, or a folder of splits, or an object that gives a
            mapping of datasets. Several are checked against each other.
        root: as for `open_target`.
        split: the one to check.
        synthetic: as for `open_target`.
        transform: takes the place of the datasets' own.

    Raises:
        TargetError: for names that `open_target` refuses, and a loader beside other targets.
        MissingDataError: none of the splits is there.
    """
    options = {"root": root, "split": split, "synthetic": synthetic, "transform": transform}
    opened = [_opened(name, options) for name in names]
    if len(opened) == 1:
        return opened[0]
    if any(one.loader is not None for one in opened):
        raise TargetError("a loader is checked alone; give its dataset to compare it with others")
    parts: Parts = {}
    typed: dict[str, Sequence[str]] = {}
    for one in opened:
        for name, dataset in one.parts.items():
            own = _free(f"{one.name} {name}".strip(), parts)
            parts[own] = dataset
            if name in one.typed:
                typed[own] = one.typed[name]
    notes = tuple(note for one in opened for note in one.notes)
    unopened = {f"{one.name} {name}": reason for one in opened for name, reason in one.unopened.items()}
    return Opened(", ".join(names), parts, None, notes, typed, unopened)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return next(one for one in (name, *(f"{name} ({number})" for number in range(2, 99))) if one not in taken)


def _opened(name: str, options: Mapping[str, Any]) -> Opened:
    splits = _splits_of(name) if options["split"] is None else ()
    if splits:
        return _each_split(name, splits, options)
    if folders := _split_folders(name):
        others = {key: value for key, value in options.items() if key != "transform" and value is not None}
        if others:
            raise TargetError(f"{name} is a folder: --{next(iter(others))} goes with a name of the catalog only")
        return _each_folder(name, folders, options["transform"])
    places = {key: options[key] for key in ("root", "split", "synthetic") if options[key] is not None}
    is_object = ":" in name and not Path(name).exists()
    made = made_from(name, {} if is_object and _is_mapping(name) else places)
    if isinstance(made, Mapping):
        return Opened(name, dict(_datasets(name, made, options)))
    target = target_of(name, made, options["transform"])
    parts = {} if target.dataset is None else {"": target.dataset}
    split = ["--split", options["split"]] if options["split"] is not None else []
    return Opened(name, parts, target.loader, _notes(target), {"": [name, *split]})


def _notes(target: Target) -> tuple[str, ...]:
    return (target.note,) if target.note else ()


def _of_targets(
    name: str, targets: Mapping[str, Target], notes: Sequence[str] = (), *, typed: Mapping[str, Sequence[str]]
) -> Opened:
    parts = {split: target.dataset for split, target in targets.items() if target.dataset is not None}
    found = [f"{split}: {note}" for split, target in targets.items() for note in _notes(target)]
    return Opened(name, parts, None, (*notes, *found), typed)


def _each_folder(name: str, folders: Sequence[Path], transform: Transform | None) -> Opened:
    """The splits in the folders of a folder; one that is no dataset does not keep the others from being checked."""
    targets: dict[str, Target] = {}
    errors: dict[str, DatakitError] = {}
    for folder in folders:
        try:
            targets[folder.name] = open_target(str(folder), transform=transform)
        except DatakitError as error:
            errors[folder.name] = error
    if not targets:
        raise next(iter(errors.values()))
    opened = _of_targets(name, targets, typed={split: [target.name] for split, target in targets.items()})
    return replace(opened, unopened={split: str(error) for split, error in errors.items()})


def _splits_of(name: str) -> tuple[str, ...]:
    """The splits of a dataset class, without those that hold records of the others."""
    cls = catalog.find(name) if name in catalog.names() else None
    if cls is None and ":" in name and not Path(name).exists():
        made = import_named(name)
        cls = made if isinstance(made, type) and issubclass(made, Dataset) else None
    splits = () if cls is None else tuple(split for split in cls.splits if split not in cls.mixed_splits)
    return splits if len(splits) > 1 else ()


def _each_split(name: str, splits: Sequence[str], options: Mapping[str, Any]) -> Opened:
    targets: dict[str, Target] = {}
    errors: dict[str, MissingDataError] = {}
    for split in splits:
        try:
            targets[split] = open_target(name, **{**options, "split": split})
        except MissingDataError as error:
            errors[split] = error
    if not targets:
        raise next(iter(errors.values()))
    notes = [f"the split{'s' * (len(errors) > 1)} {', '.join(errors)} of {name} {'are' if len(errors) > 1 else 'is'} "
             f"not there, and not checked"] if errors else []  # fmt: skip
    return _of_targets(name, targets, notes, typed={split: [name, "--split", split] for split in targets})


def _split_folders(name: str) -> list[Path]:
    """The folders of a folder where all of them are splits by their names; what is trained on comes first."""
    if not name or name in catalog.names() or not Path(name).is_dir():
        return []
    found = [entry for entry in Path(name).iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    folders = sorted(found, key=lambda entry: (not entry.name.lower().startswith("train"), entry.name))
    if len(folders) == 1 and not is_split(folders[0].name):  # the folder that an archive unpacks to
        return _split_folders(str(folders[0]))
    return folders if len(folders) > 1 and all(is_split(folder.name) for folder in folders) else []


def _is_mapping(name: str) -> bool:
    """Whether an object is a mapping of datasets, of which --split may choose one."""
    return isinstance(import_named(name), Mapping)


def _datasets(name: str, made: Mapping[Any, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, Dataset]]:
    if options["split"] is not None and options["split"] not in made:
        raise UnknownNameError.of(f"split of {name}", options["split"], map(str, made))
    for key, value in made.items():
        if options["split"] in (None, key):
            dataset = as_dataset(f"{name}[{key!r}]", value)
            yield str(key), dataset if options["transform"] is None else dataset.with_transform(options["transform"])


def parts_of(what: Any) -> Mapping[str, Dataset]:
    """The datasets behind what `check` is given: a dataset, or a mapping of them by name.

    Raises:
        DatakitError: there is none in it.
    """
    given = what if isinstance(what, Mapping) else {"": what}
    parts = {str(name): as_dataset(str(name) or "the target", value) for name, value in given.items()}
    if not parts:
        raise DatakitError("there is nothing to check: the mapping is empty")
    return parts
