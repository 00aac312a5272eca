"""A line such as `torch>=2.11` of a package's metadata, and whether a version fits it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;(.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_MODULES = {"pillow": "PIL", "scikit-image": "skimage"}


@dataclass(frozen=True)
class Requirement:
    """What a package needs.

    Attributes:
        name: of the distribution.
        bounds: such as `>=2.11,<3`; may be empty.
        extra: which asks for it; empty where it is always needed.
        marker: other conditions, as they stand.
    """

    name: str
    bounds: str
    extra: str = ""
    marker: str = ""

    @property
    def module(self) -> str:
        """What is imported of it."""
        return _MODULES.get(self.name.lower(), self.name.replace("-", "_"))

    def __str__(self) -> str:
        return f"{self.name}{self.bounds}"

    def fits(self, version: str) -> bool:
        """Whether a version is within the bounds; one that nothing can compare is taken to be.

        Examples:
            >>> from datakit.doctor.requirement import parsed
            >>> [parsed("torch>=2.11,<3").fits(version) for version in ("2.9.1", "2.11.0+cu130", "3.0")]
            [False, True, False]
        """
        try:
            from packaging.specifiers import SpecifierSet

            return SpecifierSet(self.bounds).contains(version, prereleases=True)
        except Exception:  # packaging is missing, or broken like anything else may be
            return all(_fits(bound, version) for bound in self.bounds.split(",") if bound.strip())


def parsed(line: str) -> Requirement:
    """A line of `Requires-Dist`."""
    match = _LINE.match(line)
    if match is None:
        return Requirement(line.strip(), "")
    marker = (match[3] or "").strip()
    extra = _EXTRA.search(marker)
    bounds = "".join(match[2].split())
    return Requirement(match[1], bounds, extra[1] if extra else "", "" if extra else marker)


def numbers(version: str) -> tuple[int, ...]:
    """`2.11.0rc1+cu130` as (2, 11, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _fits(bound: str, version: str) -> bool:
    """One bound, by the numbers alone."""
    match = re.match(r"\s*(===|==|!=|<=|>=|~=|<|>)\s*([^\s]+)", bound)
    if match is None or not numbers(version):
        return True
    operator, wanted = match[1], numbers(match[2])
    width = max(len(wanted), len(numbers(version)))
    have = numbers(version) + (0,) * (width - len(numbers(version)))
    if match[2].endswith(".*"):
        same = have[: len(wanted)] == wanted
        return same if operator == "==" else not same
    want = wanted + (0,) * (width - len(wanted))
    if operator == "~=":
        return have >= want and have[: len(wanted) - 1] == wanted[:-1]
    return {
        "==": have == want, "===": have == want, "!=": have != want,
        "<": have < want, "<=": have <= want, ">": have > want, ">=": have >= want,
    }[operator]  # fmt: skip
