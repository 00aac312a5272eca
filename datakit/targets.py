"""What the command line is pointed at: a dataset or a loader, from what was typed, and a chain from `-t` options."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch.utils.data import DataLoader, IterableDataset

from datakit import audio, catalog, transforms
from datakit.chain import Compose, Transform
from datakit.dataset import Dataset
from datakit.derived import Mapped
from datakit.errors import DatakitError, MissingDataError, TargetError, UnknownNameError, suggest
from datakit.loader import Loader
from datakit.streams import Stream
from datakit.text.lines import TEXT_SUFFIXES, TextLines

if TYPE_CHECKING:
    from datakit.audio import KaldiData

_FORMS = (
    "a catalog name (see `datakit list`), a folder of images, sounds or texts, a text file, or package.module:object"
)
_NOT_TYPED = {"Compose", "Random"}
_LOOKED_AT = 10_000  # files of a folder
_HEAD = 256  # records of a stream
_FEATURES = (
    "Cmvn",
    "Deltas",
    "Fbank",
    "Mfcc",
    "Plp",
    "SlidingCmvn",
    "Splice",
)  # its Spectrogram has the name of a transform


@dataclass(frozen=True)
class Target:
    """What to look at or to measure.

    Attributes:
        name: as it was typed.
        dataset: its records; None for a loader over something without an index.
        loader: the user's own loader, where the target is one.
        note: what was left out of it, and why; may be empty.
    """

    name: str
    dataset: Dataset | None
    loader: DataLoader[Any] | None = None
    note: str = ""

    @property
    def source(self) -> DataLoader[Any] | Dataset:
        """The loader, or else the dataset."""
        source = self.dataset if self.loader is None else self.loader
        if source is None:
            raise TargetError(f"{self.name} is neither a dataset nor a loader")
        return source


def open_target(
    name: str,
    *,
    root: str | Path | None = None,
    split: str | None = None,
    synthetic: int | None = None,
    transform: Transform | None = None,
) -> Target:
    """The dataset or loader that `name` means.

    Args:
        name: a catalog name, an existing folder of images, sounds or texts, a text file, a data directory of
            Kaldi's, or `package.module:object`, where the object is a dataset, a loader, or a function or class without
            arguments that makes one.
        root: where the data of a catalog name lie.
        split: of a catalog name.
        synthetic: records of a synthetic copy to use instead of `root`.
        transform: takes the place of the dataset's own.

    Raises:
        TargetError: for a name of no known form, and options that do not go together.
        UnknownNameError: with the nearest name of the catalog.
        MissingDataError: what the dataset needs is not below `root`.
    """
    places = {"root": root, "split": split, "synthetic": synthetic}
    given = {key: value for key, value in places.items() if value is not None}
    return target_of(name, made_from(name, given), transform)


def target_of(name: str, made: Any, transform: Transform | None = None) -> Target:
    """The target of a dataset or a loader that is there already.

    Args:
        name: as it was typed.
        made: as `made_from` gives it.
        transform: takes the place of the dataset's own.

    Raises:
        TargetError: it is neither, or a loader with a transform for it.
    """
    if isinstance(made, DataLoader):
        if transform is not None:
            raise TargetError(f"{name} is a loader and brings its own transforms; give its dataset to try others")
        return Target(name, _records(made), made, _left_out(getattr(made, "records", None)))
    dataset = as_dataset(name, made)
    if transform is not None:
        dataset = dataset.with_transform(transform)
    return Target(name, _with_index(dataset), note=_left_out(dataset))


def made_from(name: str, given: dict[str, Any]) -> Any:
    """What a name means, a dataset, a loader or whatever an object of the user's gives; see `open_target`."""
    if name in catalog.names():
        return _from_class(name, catalog.find(name), given)
    if name and Path(name).is_dir():
        _refuse(given, name, "is a folder")
        return _from_folder(name)
    if name and Path(name).is_file() and name.lower().endswith(TEXT_SUFFIXES):
        _refuse(given, name, "is a file")
        return TextLines(name)
    if name and Path(name).is_file() and name.lower().endswith(".parquet"):
        _refuse(given, name, "is a file")
        from datakit.hugging_face.parquet import load

        return load(name)
    if name and Path(name).exists():
        raise TargetError(f"{name} is a file; give the folder that it is in, or {_FORMS}")
    if ":" in name:
        return _from_object(name, given)
    if os.sep in name or name.startswith("."):
        raise TargetError(f"there is no folder {Path(name).absolute()}; a target is {_FORMS}")
    raise UnknownNameError(f"unknown dataset {name!r}; {suggest(name, catalog.names())}\na target is {_FORMS}")


def _from_class(name: str, cls: type[Dataset], given: dict[str, Any]) -> Dataset:
    root, records = given.get("root"), given.get("synthetic")
    options = {"split": given["split"]} if "split" in given else {}
    if root is not None and records is None:
        return cls(root, **options)
    if root is not None or records is None:
        need = "needs its data" if root is None else "gets its data from one place"
        raise TargetError(f"{name} {need}: --root DIR for the real ones, --synthetic for a small drawn copy")
    try:
        return cls.synthetic(records, **options)
    except NotImplementedError as error:
        raise TargetError(f"{name}: {error}; give --root DIR") from error


def _from_folder(name: str) -> Dataset:
    from datakit.audio import AudioFiles, AudioFolder, KaldiData
    from datakit.vision import ImageFiles, ImageFolder

    if (Path(name) / "utt2spk").is_file():
        return _without_commands(KaldiData(name))
    has_folders = any(entry.is_dir() and not entry.name.startswith(".") for entry in Path(name).iterdir())
    kind = _kind_of_files(name)
    if kind == "texts":
        return TextLines(name)
    if kind == "sounds":
        return AudioFolder(name) if has_folders else AudioFiles(name)
    return ImageFolder(name) if has_folders else ImageFiles(name)


def _without_commands(data: KaldiData) -> KaldiData:
    """The data directory, without its audio where that comes from commands: what is looked at must not run any."""
    from datakit.audio import KaldiData

    has_commands = "waveform" in data.parts and any("|" in str(entry) for entry in data.columns.column("audio_entry"))
    return KaldiData(data.root, parts=data.parts[1:]) if has_commands else data


def _with_index(dataset: Dataset) -> Dataset:
    """The dataset, or of a stream the first records."""
    return dataset.take(_HEAD) if isinstance(dataset, Stream) else dataset


def _left_out(dataset: Dataset | None) -> str:
    from datakit.audio import KaldiData

    if isinstance(dataset, Stream):
        return f"{dataset!r} is a stream, and has no index: what is seen here are its first {_HEAD} records"

    if not isinstance(dataset, KaldiData) or "waveform" in dataset.parts or not (dataset.root / "wav.scp").exists():
        return ""
    return (
        f"{dataset.root / 'wav.scp'} names commands, which are not run: the samples have no waveform. To run them, "
        "make KaldiData(..., allow_commands=True) in a module of your own"
    )


def _kind_of_files(folder: str) -> Literal["images", "sounds", "texts"]:
    """What the files of a folder are; texts only where there are neither images nor sounds.

    Raises:
        TargetError: where it has both.
    """
    from datakit.audio.io import AUDIO_SUFFIXES
    from datakit.files.walking import files_below
    from datakit.vision.io import IMAGE_SUFFIXES

    files = list(islice(files_below(Path(folder), (*AUDIO_SUFFIXES, *IMAGE_SUFFIXES)), _LOOKED_AT))
    sounds = [file for file in files if file.lower().endswith(AUDIO_SUFFIXES)]
    images = [file for file in files if file.lower().endswith(IMAGE_SUFFIXES)]
    if not files:
        if next(files_below(Path(folder), TEXT_SUFFIXES), None) is not None:
            return "texts"
        raise MissingDataError(
            f"{Path(folder).absolute()} has neither images ({', '.join(IMAGE_SUFFIXES)}) nor sounds "
            f"({', '.join(AUDIO_SUFFIXES)}) nor texts ({', '.join(TEXT_SUFFIXES)}), and is no data directory of "
            "Kaldi's: it has no utt2spk"
        )
    if sounds and images:
        raise TargetError(
            f"{folder} has sounds ({sounds[0]}) and images ({images[0]}); say which: "
            f"datakit.audio:AudioFolder or datakit.vision:ImageFolder with --root {folder}"
        )
    return "sounds" if sounds else "images"


def _from_object(name: str, given: dict[str, Any]) -> Any:
    made = import_named(name)
    if isinstance(made, type) and issubclass(made, Dataset) and (given or _needs_arguments(made)):
        return _from_class(name, made, given)
    _refuse(given, name, "is an object of your own")
    if not isinstance(made, type) and (isinstance(made, DataLoader) or hasattr(made, "__getitem__")):
        return made
    if not callable(made):
        raise TargetError(f"{name} is {_article(made)}, not a dataset, a loader, or a function that makes one")
    if missing := _needs_arguments(made):
        raise TargetError(f"{name} needs arguments, {missing}; give a function without any that makes it")
    return made()


def import_named(name: str) -> Any:
    """The object behind `package.module:object`, looked for in the current folder too.

    Raises:
        TargetError: where it is not there, with the nearest name that is.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, path = name.partition(":")
    if module.endswith(".py"):
        dotted = module.removesuffix(".py").removeprefix("./").replace(os.sep, ".")
        raise TargetError(f"{name}: name the module, not the file: {dotted}:{path or 'object'}")
    try:
        return catalog.import_object(name)
    except DatakitError as error:
        cause, hint = error.__cause__, ""
        if isinstance(cause, AttributeError) and inspect.ismodule(cause.obj):
            hint = f"; {suggest(str(cause.name), [known for known in vars(cause.obj) if not known.startswith('_')])}"
        raise TargetError(f"{error}{hint}") from error


def _needs_arguments(made: Any) -> str:
    """The signature of a callable that cannot be called without arguments, else an empty text."""
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind()
    except TypeError:
        return str(signature)
    return ""


def as_dataset(name: str, made: Any) -> Dataset:
    """A dataset of datakit's from whatever a function of the user's gave.

    Raises:
        TargetError: it is none.
    """
    if isinstance(made, Dataset):
        return made
    if type(made).__module__.startswith("datasets.") and not isinstance(made, Mapping):
        from datakit.hugging_face.reading import from_hf

        return from_hf(made)
    if isinstance(made, IterableDataset):
        return Stream(made)
    if isinstance(made, Mapping):
        raise TargetError(f"{name} holds {', '.join(map(repr, made))}; give a function that returns one of them")
    try:
        return Mapped(made)
    except TypeError:
        raise TargetError(f"{name} gave {_article(made)}, neither a dataset with len() and [i] nor a loader") from None


def _records(loader: DataLoader[Any]) -> Dataset | None:
    if isinstance(loader, Loader):
        return _with_index(loader.records)
    if isinstance(loader.dataset, IterableDataset):
        return None
    try:
        return as_dataset("the loader", loader.dataset)
    except TargetError:
        return None


def _refuse(given: dict[str, Any], name: str, what: str) -> None:
    if given:
        raise TargetError(f"{name} {what}: --{next(iter(given))} goes with a name of the catalog only")


def _article(value: Any) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def chain_of(typed: Sequence[str], module_object: str | None = None) -> Compose | None:
    """The chain of transforms asked for: `typed` as `Rescale(256)`, or the user's own behind `package.module:object`.

    Raises:
        TargetError: for both at once, and for what `parse_transform` and `import_named` refuse.
    """
    if module_object is None:
        return Compose([parse_transform(text) for text in typed]) if typed else None
    if typed:
        raise TargetError("-t and --transform do not go together; put all of the chain into one of them")
    made = import_named(module_object)
    if isinstance(made, list | tuple):
        return Compose(made)
    if not callable(made) or isinstance(made, type):
        raise TargetError(f"{module_object} is {_article(made)}, not a transform or a list of them")
    return Compose([made])


def parse_transform(text: str) -> Transform:
    """A transform of `datakit.transforms` from text such as `RandomCrop(224, pad=True)`. Nothing is evaluated.

    `Fbank`, `Mfcc`, `Plp`, and `Cmvn` and the others after them, are those of `datakit.audio.features`, `OnSample`.

    Args:
        text: a name, with literal arguments where it needs any; a public constant such as `FACE68_PAIRS` counts as one.

    Raises:
        TargetError: for anything else; it repeats what was typed, and suggests what may have been meant.
    """
    name, positional, keywords = _parsed(text)
    known = [public for public in transforms.__all__ if isinstance(getattr(transforms, public), type)]
    known = [public for public in known if public not in _NOT_TYPED] + list(_FEATURES)
    if name not in known:
        raise TargetError(f"transform {text!r}: unknown name {name!r}; {suggest(name, known)}")
    cls = getattr(audio.features if name in _FEATURES else transforms, name)
    signature = inspect.signature(cls)
    if unknown := [keyword for keyword in keywords if keyword not in signature.parameters]:
        hint = suggest(unknown[0], signature.parameters)
        raise TargetError(f"transform {text!r}: no argument {unknown[0]!r}; {hint}")
    try:
        signature.bind(*positional, **keywords)
        made = cls(*positional, **keywords)
        return audio.features.OnSample(made) if name in _FEATURES else made
    except (TypeError, ValueError) as error:
        usage = str(signature).removesuffix(" -> None").replace("'", "")
        raise TargetError(f"transform {text!r}: {error}; it is {name}{usage}") from error


def _parsed(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TargetError(f"transform {text!r} is not of the form Name or Name(arguments)") from error
    call = ast.Call(tree, [], []) if isinstance(tree, ast.Name) else tree
    if isinstance(call, ast.Tuple):
        raise TargetError(f"transform {text!r}: give each one its own -t")
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise TargetError(f"transform {text!r} is not of the form Name or Name(arguments)")
    if any(keyword.arg is None for keyword in call.keywords):
        raise TargetError(f"transform {text!r}: ** is not allowed here")
    keywords = {str(keyword.arg): _literal(text, keyword.value) for keyword in call.keywords}
    return call.func.id, [_literal(text, argument) for argument in call.args], keywords


def _literal(text: str, node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in transforms.__all__:
        value = getattr(transforms, node.id)
        if not callable(value):
            return value
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise TargetError(
            f"transform {text!r}: {ast.unparse(node)!r} is no literal; numbers, text, tuples, True, False are allowed"
        ) from error
