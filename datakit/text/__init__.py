"""Datasets of text, and vocabularies."""

from datakit.text.lines import TextLines
from datakit.text.names import Names
from datakit.text.normalization import (
    ENGLISH_PREFIXES,
    NAME_LETTERS,
    normalize_sentence,
    unicode_to_ascii,
    unicode_to_letters,
)
from datakit.text.pairs import TranslationPairs
from datakit.vocab import SPECIALS, Coverage, Vocab

__all__ = [
    "ENGLISH_PREFIXES",
    "NAME_LETTERS",
    "SPECIALS",
    "Coverage",
    "Names",
    "TextLines",
    "TranslationPairs",
    "Vocab",
    "normalize_sentence",
    "unicode_to_ascii",
    "unicode_to_letters",
]
