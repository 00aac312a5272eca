"""Records that are nearly the same: what each looks or sounds like in bits, the pairs that are near, a look at each."""

from __future__ import annotations

from datakit.check.alike.bits import WORDS
from datakit.check.alike.comparing import confirm, sketch
from datakit.check.alike.likeness import Likeness
from datakit.check.alike.search import Candidates, candidates

__all__ = ["WORDS", "Candidates", "Likeness", "candidates", "confirm", "sketch"]
