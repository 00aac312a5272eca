"""What a text says, in bits that know nothing of its case, its blanks and its punctuation."""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from typing import Any

import numpy as np

from datakit.check.alike.bits import BITS, TEXT, packed
from datakit.inspection.text import texts_in

SHORT = 15
"""Words below which the bits are those of a digest: nothing is near to a short text but the same one."""

_RUN = 16  # characters a word on average, from which on a text is one without blanks: Chinese, Japanese, Thai
_MOST = 2048  # words that are looked at: those of the least hash values, the same ones in both texts
_STEP = np.uint64(0x9E3779B97F4A7C15)


def text_sketch(text: str) -> np.ndarray | None:
    """Of a text as `normal` gives it; None of one without letters and digits.

    Of a long one each bit is that of the word that is the least by a hash function of its own. It is the same in two
    texts with probability (1 + J) / 2, J being the share of the words that both have, of those that either has: P. Li
    and C. König, b-Bit Minwise Hashing, 2010.
    """
    if not text:
        return None
    words = words_of(text)
    if len(words) < SHORT:
        digest = hashlib.blake2b(letters_of(text).encode(), digest_size=BITS // 8).digest()
        return packed(TEXT, np.unpackbits(np.frombuffer(digest, np.uint8)))
    hashes = np.array([zlib.crc32(word.encode()) for word in set(words)], np.uint64)
    hashes = np.sort(_mixed(hashes))[:_MOST]
    least = _mixed(hashes[None] ^ _SALTS[:, None]).min(1)
    return packed(TEXT, ((least >> np.uint64(7)) & np.uint64(1)).astype(np.uint8))


def texts_of(sample: Any) -> str:
    """All texts of a sample, a line each; those of a tuple are its values that are texts."""
    if isinstance(sample, str):
        return sample
    values = sample if isinstance(sample, list | tuple) else texts_in(sample).values()
    return "\n".join(value for value in values if isinstance(value, str))


def normal(text: str) -> str:
    """Letters, marks and digits, case folded and composed (NFKC), with one blank where there were some."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(char for char in folded if _is_said(char) or char.isspace()).split())


def letters_of(text: str) -> str:
    """A normal text without its blanks: `well-known`, `well known` and `wellknown` are the same."""
    return text.replace(" ", "")


def words_of(text: str) -> list[str]:
    """The words of a normal text; the characters of one that is written without blanks."""
    words = text.split()
    return words if len(text) < _RUN * len(words) else list(letters_of(text))


def _is_said(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _mixed(values: np.ndarray) -> np.ndarray:
    """A hash of each value, uint64: SplitMix64, G. Steele, D. Lea and C. Flood, 2014."""
    values = values + _STEP
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


_SALTS = _mixed(np.arange(1, BITS + 1, dtype=np.uint64))
