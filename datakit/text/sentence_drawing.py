"""English sentences and their French, by a small grammar: who is, or is not, how."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np


class _Who(NamedTuple):
    english: str
    be: str
    french: str
    etre: str
    gender: int  # 1: feminine
    number: int  # 1: plural


_PEOPLE = (
    _Who("I", "am", "je", "suis", 0, 0),
    _Who("He", "is", "il", "est", 0, 0),
    _Who("She", "is", "elle", "est", 1, 0),
    _Who("We", "are", "nous", "sommes", 0, 1),
    _Who("You", "are", "vous", "êtes", 0, 1),
    _Who("They", "are", "ils", "sont", 0, 1),
    _Who("Tom", "is", "Tom", "est", 0, 0),
    _Who("Mary", "is", "Marie", "est", 1, 0),
)
_HOW = (  # English, French: masculine, feminine
    *[("tired", "fatigué", "fatiguée"), ("cold", "froid", "froide"), ("tall", "grand", "grande")],
    *[("small", "petit", "petite"), ("strong", "fort", "forte"), ("happy", "content", "contente")],
    *[("ready", "prêt", "prête"), ("alone", "seul", "seule"), ("naive", "naïf", "naïve")],
    *[("rich", "riche", "riche"), ("poor", "pauvre", "pauvre"), ("young", "jeune", "jeune")],
    *[("sad", "triste", "triste"), ("calm", "calme", "calme"), ("weak", "faible", "faible")],
    *[("busy", "occupé", "occupée"), ("mean", "méchant", "méchante"), ("clever", "malin", "maline")],
    *[("polite", "poli", "polie"), ("shy", "timide", "timide"), ("ugly", "laid", "laide")],
    *[("blond", "blond", "blonde"), ("tanned", "bronzé", "bronzée"), ("lost", "perdu", "perdue")],
    *[("funny", "drôle", "drôle"), ("hurt", "blessé", "blessée"), ("curious", "curieux", "curieuse")],
    *[("free", "libre", "libre"), ("honest", "honnête", "honnête"), ("brave", "brave", "brave")],
)
_VERY = (("", ""), ("very", "très"), ("too", "trop"), ("so", "si"), ("always", "toujours"), ("really", "vraiment"))


def drawn_pairs(n: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`n` different pairs, the short ones first, as in Tatoeba's file.

    Raises:
        ValueError: for more than the grammar has.
    """
    every = list(product(_PEOPLE, _HOW, _VERY, (False, True)))
    if n > len(every):
        raise ValueError(f"the grammar has {len(every):,} pairs, so that a copy cannot have {n:,}")
    drawn = [_pair(*every[place]) for place in rng.permutation(len(every))[:n]]
    return sorted(drawn, key=lambda pair: len(pair[0]))


def _pair(who: _Who, how: tuple[str, str, str], very: tuple[str, str], is_not: bool) -> tuple[str, str]:
    english = [who.english, who.be, "not" if is_not else "", very[0], how[0]]
    ne = "" if not is_not else "n'" if who.etre[0] in "eê" else "ne"
    form = how[1 + who.gender]
    agreed = form + ("s" if who.number and not form.endswith(("s", "x")) else "")
    french = [who.french, ne, who.etre, "pas" if is_not else "", very[1], agreed]
    sentence = " ".join(filter(None, french)).replace("n' ", "n'")
    return " ".join(filter(None, english)) + ".", sentence[0].upper() + sentence[1:] + "."
