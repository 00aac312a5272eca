"""Datasets by name. Listing the names imports nothing.

Other packages add theirs as entry points in the group `datakit.datasets`: `stamps = "mypackage.stamps:Stamps"`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from datakit.errors import DatakitError, UnknownNameError

BUILT_IN = {
    "celeba": "datakit.vision:CelebA",
    "cifar10": "datakit.vision:CIFAR10",
    "common-voice": "datakit.audio:CommonVoice",
    "faces": "datakit.vision:FaceLandmarks",
    "fashion-mnist": "datakit.vision:FashionMNIST",
    "librispeech": "datakit.audio:LibriSpeech",
    "mnist": "datakit.vision:MNIST",
    "names": "datakit.text:Names",
    "penn-fudan": "datakit.vision:PennFudan",
    "spoken-digits": "datakit.audio:SpokenDigits",
    "translation-pairs": "datakit.text:TranslationPairs",
    "vctk": "datakit.audio:VCTK",
    "yesno": "datakit.audio:YesNo",
}


def names() -> list[str]:
    """The names that `find` knows, sorted.

    Examples:
        >>> import datakit
        >>> "faces" in datakit.names()
        True
    """
    return sorted(targets())


def find(name: str) -> Any:
    """The dataset class called `name`, such as `faces`.

    Raises:
        UnknownNameError: with the nearest name.
        DatakitError: where an entry point does not import.

    Examples:
        >>> import datakit
        >>> datakit.find("faces").__name__
        'FaceLandmarks'
        >>> datakit.find("face")
        Traceback (most recent call last):
        datakit.errors.UnknownNameError: unknown dataset 'face'; did you mean 'faces'?
    """
    known = targets()
    if name not in known:
        raise UnknownNameError.of("dataset", name, known)
    return import_object(known[name])


def import_object(target: str) -> Any:
    """The object behind `package.module:object`.

    Raises:
        DatakitError: for another form, a module that does not import, or a name that is not in it.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise DatakitError(f"{target!r} is not of the form package.module:object")
    try:
        value = import_module(module_name)
        for part in path.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise DatakitError(f"cannot import {target!r}: {type(error).__name__}: {error}") from error
    return value


def targets() -> dict[str, str]:
    """Name of every dataset, and where its class is: `package.module:Class`."""
    found = {entry.name: entry.value for entry in entry_points(group="datakit.datasets")}
    return {**found, **BUILT_IN}
