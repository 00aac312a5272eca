"""What the tutorials of PyTorch do to text before they look at it."""

from __future__ import annotations

import re
import string
import unicodedata

NAME_LETTERS = string.ascii_letters + " .,;'"
"""The 57 letters of the tutorial on names, in its order."""

ENGLISH_PREFIXES = (
    *("i am ", "i m ", "he is", "he s ", "she is", "she s "),
    *("you are", "you re ", "we are", "we re ", "they are", "they re "),
)
"""How the English sentences of the tutorial on translation begin."""

_END = re.compile(r"([.!?])")
_OTHER = re.compile(r"[^a-zA-Z!?]+")
_SENTENCES = re.compile(r"[^a-zA-Z.!?]+")


def unicode_to_ascii(text: str) -> str:
    """The text without accents: decomposed (NFD), without what is then a mark of its own (category Mn).

    What has no decomposition stays, such as the ł of Polish and the ß of German.

    Source: "Translation with a Sequence to Sequence Network and Attention", PyTorch tutorials.

    Examples:
        >>> from datakit.text import unicode_to_ascii
        >>> unicode_to_ascii("Ślusàrski"), unicode_to_ascii("Wałęsa")
        ('Slusarski', 'Wałesa')
    """
    return "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")


def unicode_to_letters(text: str, letters: str = NAME_LETTERS) -> str:
    """As `unicode_to_ascii`, and without what is not among `letters`: so the tutorial on names has it.

    Nothing tells that a letter was left out: `Wałęsa` becomes `Waesa`.

    Source: "Classifying Names with a Character-Level RNN", PyTorch tutorials.

    Examples:
        >>> from datakit.text import unicode_to_letters
        >>> unicode_to_letters("O'Néàl"), unicode_to_letters("Abl-Wałęsa")
        ("O'Neal", 'AblWaesa')
    """
    return "".join(char for char in unicode_to_ascii(text) if char in letters)


def normalize_sentence(text: str, *, full_stops: bool = False) -> str:
    """Lower case, without accents, sentence marks as words of their own, and anything else than letters as a blank.

    Args:
        text: a sentence.
        full_stops: keep them, as the tutorial did until 2023; it leaves them out since.

    Source: "Translation with a Sequence to Sequence Network and Attention", PyTorch tutorials.

    Examples:
        >>> from datakit.text import normalize_sentence
        >>> normalize_sentence("J'ai froid !"), normalize_sentence("I'm cold.", full_stops=True)
        ('j ai froid !', 'i m cold .')
    """
    marked = _END.sub(r" \1", unicode_to_ascii(text.lower().strip()))
    return (_SENTENCES if full_stops else _OTHER).sub(" ", marked).strip()
