"""What a text says, in bits that know nothing of its case, its blanks and its punctuation."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import numpy as np

from datakit.check.alike.bits import BITS, TEXT, packed
from datakit.inspection.text import texts_in

SHINGLE = 5
"""Characters that are looked at together."""

LONG = 10
"""Words below which two texts are the same only if they are equal: in a short one, a word is much of what it says."""

_MOST = 2048  # shingles that are looked at: those of the least hash values, the same ones in both texts
_ODD = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio, D. E. Knuth, The Art of Computer Programming 3, 6.4


def text_sketch(text: str) -> np.ndarray | None:
    """Of a text as `normal` gives it; None of one without letters or digits.

    Of a long text each bit is that of the least of its shingles by a hash function of its own, and so it is the same in
    two texts with probability (1 + J) / 2, J being the share of shingles that they have in common: P. Li and C. König,
    b-Bit Minwise Hashing, 2010. Of a short one, a digest.
    """
    if not text:
        return None
    if len(text.split()) < LONG:
        digest = hashlib.blake2b(text.encode(), digest_size=BITS // 8).digest()
        return packed(TEXT, np.unpackbits(np.frombuffer(digest, np.uint8)))
    hashes = np.unique(_mixed(shingles(text)))[:_MOST]
    each = _mixed(hashes[None] ^ _SALTS[:, None]).min(1)
    return packed(TEXT, ((each >> np.uint64(7)) & np.uint64(1)).astype(np.uint8))


def texts_of(sample: Any) -> str:
    """All texts of a sample, a line each; those of a tuple are its values that are texts."""
    if isinstance(sample, str):
        return sample
    values = sample if isinstance(sample, list | tuple) else texts_in(sample).values()
    return "\n".join(value for value in values if isinstance(value, str))


def normal(text: str) -> str:
    """Compatible forms composed (NFKC), case folded, and one blank for what is neither letter, mark nor digit.

    An apostrophe inside a word is left out without a blank, so that `don't` and `dont` are one word.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = folded.replace("'", "").replace("\u2019", "")
    kept = (char if char.isalnum() or unicodedata.category(char)[0] == "M" else " " for char in folded)
    return " ".join("".join(kept).split())


def shingles(text: str) -> np.ndarray:
    """Numbers of all strings of `SHINGLE` characters that occur in a text, uint64, each once."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    if len(codes) < SHINGLE:
        codes = np.pad(codes, (0, SHINGLE - len(codes)))
    total = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
    for place in range(SHINGLE):
        total = _mixed(total ^ codes[place : len(codes) - SHINGLE + 1 + place])
    return np.unique(total)


def _mixed(values: np.ndarray) -> np.ndarray:
    """A hash of each value: the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, 2014)."""
    values = values + _ODD
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


_SALTS = _mixed(np.arange(1, BITS + 1, dtype=np.uint64))
