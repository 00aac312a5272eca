"""Surnames that nobody has: syllables and endings of six languages."""

from __future__ import annotations

import numpy as np

_STYLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Chinese": (
        ("B", "Ch", "D", "F", "G", "H", "J", "L", "M", "P", "Q", "Sh", "T", "W", "X", "Y", "Z", "Zh"),
        ("ai", "an", "ang", "ao", "en", "eng", "i", "ia", "ian", "iao", "in", "ing", "iu", "ong", "ou", "u", "uan"),
    ),
    "Greek": (
        ("Alex", "Christ", "Dimitr", "Georg", "Kost", "Manol", "Nikol", "Papad", "Petr", "Stavr", "Theod", "Vasil"),
        ("opoulos", "akis", "idis", "iou", "atos", "ellis", "oglou", "akos", "oudis", "aras"),
    ),
    "Irish": (
        ("Mc", "O'", "Mac", "Fitz"),
        ("Brien", "Carthy", "Connell", "Donagh", "Guire", "Kenna", "Leary", "Mahon", "Neill", "Reilly", "Shea"),
    ),
    "Italian": (
        ("Bar", "Bell", "Cant", "Dell", "Ferr", "Giann", "Lomb", "Mart", "Ross", "Salv", "Tozz", "Zan"),
        ("ini", "elli", "ucci", "oni", "etti", "acci", "ani", "ese", "olo", "ardi"),
    ),
    "Japanese": (
        ("Aka", "Fuji", "Hara", "Ishi", "Kawa", "Kobaya", "Matsu", "Mori", "Naka", "Taka", "Yama", "Yoshi"),
        ("da", "gawa", "hara", "kami", "mura", "moto", "no", "shi", "shima", "saki", "ta", "yama"),
    ),
    "Russian": (
        ("Bar", "Dem", "Grig", "Iv", "Kuz", "Mikhail", "Pavl", "Rozh", "Sidor", "Tikhon", "Vor", "Zakhar"),
        ("ov", "ev", "sky", "in", "enko", "ovich", "insky", "yakov", "evsky", "kin"),
    ),
}


def drawn_names(n: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """`n` names, evenly over six languages, or over fewer, so that a language has two different ones at least."""
    names: dict[str, list[str]] = {}
    languages = list(_STYLES.items())[: max(1, n // 2)]
    for place, (language, (begins, ends)) in enumerate(languages):
        count = n // len(languages) + (place < n % len(languages))
        pairs = [begin + end for begin in begins for end in ends]
        order = rng.permutation(max(len(pairs), count)) % len(pairs)
        names[language] = [pairs[number] for number in order[:count]]
    return names
