"""Which torch, torchvision and torchaudio belong together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datakit.doctor.installed import Installed
from datakit.doctor.pip import INDEX, pip_install
from datakit.doctor.requirement import numbers, parsed

PACKAGES = ("torch", "torchvision", "torchaudio")
LAST_TORCHAUDIO = (2, 11, 0)
"""torchaudio ends here; its compiled part uses only what torch keeps stable, so that it works with later ones."""


@dataclass(frozen=True)
class Trio:
    """Three versions that belong together.

    Examples:
        >>> from datakit.doctor.together import Trio
        >>> Trio.of("2.11.0")
        Trio(torch='2.11.0', torchvision='0.26.0', torchaudio='2.11.0')
        >>> Trio.of("2.7.1").torchvision, Trio.of("2.13.0").torchaudio
        ('0.22.1', '2.11.0')
    """

    torch: str
    torchvision: str
    torchaudio: str

    @classmethod
    def of(cls, torch: str) -> Trio:
        """What goes with a torch 2.N.P: torchvision 0.(N+15).P and torchaudio 2.N.P, at most 2.11.0.

        Source: https://github.com/pytorch/vision#installation and https://pytorch.org/audio/main/installation.html.
        """
        _, minor, patch = (*numbers(torch), 0, 0)[:3]
        audio = min((2, minor, patch), LAST_TORCHAUDIO)
        return cls(f"2.{minor}.{patch}", f"0.{minor + 15}.{patch}", ".".join(map(str, audio)))

    def command(self, build: str = "", *, force: bool = False) -> str:
        """The one line that installs all three; `build` such as `cu126` or `cpu` where PyPI's is not the one."""
        index = f"--index-url {INDEX}/{build}" if build else ""
        options = " ".join(filter(None, ["--force-reinstall" if force else "", index]))
        names = (f"torch=={self.torch}", f"torchvision=={self.torchvision}", f"torchaudio=={self.torchaudio}")
        return pip_install(*names, options=options)


def wanted(found: Mapping[str, Installed | None], least: str) -> Trio:
    """The versions to install: those of the torch that is there where it is at least `least`, else of that one."""
    torch = found.get("torch")
    is_new = torch is not None and numbers(torch.public)[:1] == (2,) and numbers(torch.public) >= numbers(least)
    return Trio.of(torch.public if torch is not None and is_new else least)


def disagreement(name: str, torch: Installed, other: Installed) -> str:
    """Why `other`, torchvision or torchaudio, is not for this torch; empty where it is.

    What its own metadata says is the authority; where that says nothing, the versions are those of `Trio`.
    """
    said = next((line for line in map(parsed, other.requires) if line.name == "torch" and line.bounds), None)
    if said is not None:
        if said.fits(torch.public):
            return ""
        return f"{name} {other.public} says that it needs torch{said.bounds}, found {torch.public}"
    expected = getattr(Trio.of(torch.public), name)
    if numbers(other.public)[:2] == numbers(expected)[:2]:
        return ""
    return f"{name} {other.public} is not for torch {torch.public}, which goes with {name} {expected}"


def mixture(torch: Installed, other: Installed) -> str:
    """How the builds of torch and another package differ; empty where they agree, or nothing says which they are."""
    if not torch.local or not other.local or torch.local == other.local:
        return ""
    if torch.cuda.split(".")[0] == other.cuda.split(".")[0] and torch.cuda and other.name == "torchvision":
        return ""  # torchvision compares the major versions alone
    if not torch.cuda and not other.cuda:
        return ""
    return f"{other.name} is a build for {_named(other)}, torch one for {_named(torch)}"


def _named(one: Installed) -> str:
    return f"CUDA {one.cuda} (+{one.local})" if one.cuda else f"the CPU (+{one.local})"
