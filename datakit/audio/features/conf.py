"""Kaldi's configuration files: lines `--name=value`, as `--config=conf/mfcc.conf` takes them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, get_type_hints

from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError

# What changes no value: memory, messages and the like.
IDLE = {"max_feature_vectors", "verbose", "print_args", "debug_mel"}
# What has to be done before or after, with the value that asks for nothing.
ELSEWHERE = {
    "allow_downsample": (False, "resample before with resample_waveform"),
    "allow_upsample": (False, "resample before with resample_waveform"),
    "channel": (-1, "choose the channel of the waveform before"),
    "vtln_map": ("", "give the factors to the module with vtln_warp="),
    "utt2spk": ("", "give the factors to the module with vtln_warp="),
}


def read(path: str | Path, features: type) -> dict[str, Any]:
    """The options of a file, by the names and kinds of the dataclass `features`.

    Raises:
        MissingDataError: there is no such file.
        UnknownNameError: naming the line, for an option that is none of `features`.
        CorruptDataError: naming the line, for what is no option or has a value of another kind.
    """
    if not os.path.isfile(path):
        raise MissingDataError(f"{path}: there is no such file")
    kinds = get_type_hints(features)
    known = {field.name: kinds[field.name] for field in dataclasses.fields(features)}
    found = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CorruptDataError(f"{path}: not a text in UTF-8 (byte {error.start}), and so no configuration") from error
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if text:
            found.update(_option(f"{path}: line {number}", text, known, features.__name__))
    return found


def _option(place: str, text: str, known: dict[str, Any], owner: str) -> dict[str, Any]:
    if not text.startswith("--") or len(text) == 2:
        raise CorruptDataError(f"{place}: an option, --name=value, is due here, and there is {text!r}")
    name, has_value, value = text[2:].partition("=")
    name = name.strip().replace("-", "_").lower()
    if name in IDLE:
        return {}
    if name in ELSEWHERE:
        idle, advice = ELSEWHERE[name]
        if _value(place, name, value if has_value else "true", type(idle)) != idle:
            raise UnknownNameError(f"{place}: {owner} has no --{name.replace('_', '-')}; {advice}")
        return {}
    if name not in known or name == "scale":
        error = UnknownNameError.of(f"option of {owner}", name.replace("_", "-"), (n.replace("_", "-") for n in known))
        raise UnknownNameError(f"{place}: {error}")
    return {name: _value(place, name, value if has_value else "true", known[name])}


def _value(place: str, name: str, text: str, kind: Any) -> Any:
    """The value as Kaldi's `ParseOptions` reads it; an option without one is true."""
    text = text.strip()
    truths = {"true": True, "t": True, "1": True, "": True, "false": False, "f": False, "0": False}
    try:
        if kind is bool:
            return truths[text.lower()]
        return kind(text) if kind in (int, float) else text.strip("\"'")
    except (KeyError, ValueError) as error:
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise CorruptDataError(f"{place}: --{name.replace('_', '-')} takes {wanted}, got {text!r}") from error
