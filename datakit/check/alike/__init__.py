"""Records that are nearly the same: sketches of 256 bits, the pairs among them that are near, and a look at each pair."""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.check.alike.bits import WORDS
from datakit.check.alike.search import Candidates, candidates

def sketch(sample):
    from datakit.check.alike.pictures import picture_sketch
    from datakit.check.alike.sounds import sound_sketch
    from datakit.check.alike.texts import text_sketch, text_of
    from datakit.inspection.picture import image_in
    from datakit.inspection.sound import sounds_in
    image = image_in(sample)
    if image is not None: return picture_sketch(image)
    sounds=[s for s in sounds_in(sample) if s.key=='waveform']
    if sounds: return sound_sketch(sounds[0])
    return text_sketch(text_of(sample))
