"""Pretrained weights when they can be had: from torch's own cache, a mirror or upstream, never without their digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from datakit.errors import CorruptDataError, DatakitError, StateError
from datakit.files import Remote, ensure

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's images in [0, 1]: what torchvision's weights were learnt with."""

_TIMEOUT, _RETRIES = 10.0, 1  # a training can do without them


@dataclass
class Pretrained:
    """The weights of a net, or why there are none. In a checkpoint it keeps a run from going on with the other.

    Attributes:
        state: the tensors by name; None where they cannot be had.
        reason: why there are none, in a few words; empty where there are.
    """

    state: Mapping[str, torch.Tensor] | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        return self.state is not None

    def state_dict(self) -> dict[str, Any]:
        """Whether there are any."""
        return {"pretrained": bool(self)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing, where it is as it was.

        Raises:
            StateError: where the run began with weights that are gone, or without those that are there now.
        """
        if state["pretrained"] != bool(self):
            began, now = ("with", self.reason) if state["pretrained"] else ("without", "now they are there")
            raise StateError(f"the run began {began} pretrained weights; {now}: give another --out")


def pretrained(url: str, *, download: bool = False) -> Pretrained:
    """The state dict behind an address of torchvision's weights, by way of the folder that torch.hub keeps them in.

    Mirrors in `$DATAKIT_MIRROR` come before upstream. The file is used only where its SHA-256 begins as its name says
    (`resnet18-f37072fd.pth`), and nothing in it is run.

    Args:
        url: such as `ResNet18_Weights.IMAGENET1K_V1.url`.
        download: fetch the file where it is not there; a server that does not answer is given up soon.

    Raises:
        ValueError: for an address whose file name has no digest.

    Examples:
        >>> from datakit.reference.weights import pretrained
        >>> pretrained("https://download.pytorch.org/models/no-such-net-01234567.pth").reason
        'no-such-net-01234567.pth is not in the cache of torch.hub, and was not to be downloaded'
    """
    name = Path(urlsplit(url).path).name
    found = re.fullmatch(r".+-([0-9a-f]{8,64})\.pth", name)
    if found is None:
        raise ValueError(f"{url!r} does not end in the digest that its file must have, such as resnet18-f37072fd.pth")
    path = place_of(url)
    try:
        if not path.is_file():
            if not download:
                return Pretrained(reason=f"{name} is not in the cache of torch.hub, and was not to be downloaded")
            _fetch(url, path, found[1])
        return Pretrained(_load(path, found[1]))
    except (DatakitError, OSError) as error:
        first, *others = str(error).splitlines()
        return Pretrained(reason="; ".join([first, *(line.strip() for line in others if line.startswith("  "))]))


def place_of(url: str) -> Path:
    """Where torch.hub keeps the file behind an address, whether it is there or not."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)


def _fetch(url: str, path: Path, digest: str) -> None:
    """Bring the file beside its place and move it there once it is verified: torch.hub trusts what it finds."""
    from filelock import FileLock

    home = path.parent / ".fetched"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "lock"):
        if path.is_file():  # another process brought it while this one waited
            return
        ensure([Remote(path.name, urls=(url,))], home, download=True, timeout=_TIMEOUT, retries=_RETRIES)
        try:
            _verify(home / path.name, digest)
            os.replace(home / path.name, path)
        finally:
            (home / path.name).unlink(missing_ok=True)


def _verify(path: Path, digest: str) -> None:
    with path.open("rb") as file:
        own = hashlib.file_digest(file, "sha256").hexdigest()
    if not own.startswith(digest):
        raise CorruptDataError(f"the SHA-256 of {path} begins with {own[: len(digest)]}, not as its name says")


def _load(path: Path, digest: str) -> Mapping[str, torch.Tensor]:
    _verify(path, digest)
    try:
        state: Mapping[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CorruptDataError(f"{path} holds no weights: {type(error).__name__}") from error
    return state
