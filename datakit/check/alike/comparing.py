"""What is compared in a sample: its picture, else its sound, else its texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from datakit.check.alike.likeness import Likeness
from datakit.check.alike.picture_likeness import picture_likeness
from datakit.check.alike.pictures import picture_sketch
from datakit.check.alike.sound_likeness import sound_likeness
from datakit.check.alike.sounds import sound_sketch
from datakit.check.alike.text_likeness import text_likeness
from datakit.check.alike.texts import normal, text_sketch, texts_of
from datakit.inspection.picture import image_in
from datakit.inspection.sound import Sound, sounds_in


def sketch(sample: Any) -> np.ndarray | None:
    """What a sample as loaded looks or sounds like, in bits: uint64 (WORDS,), the first word says of what kind it is.

    Nearly the same samples have nearly the same bits. Of the picture, where there is one; else of the waveform with its
    rate, else of the texts.

    Args:
        sample: a dict, or a tuple of a foreign dataset.

    Returns:
        None where there is nothing to compare: no picture, waveform or text, or a constant, empty or tiny one.

    Examples:
        >>> from datakit.check.alike import sketch
        >>> one, other = sketch({"text": "Is this it?"}), sketch({"text": "is this  it"})
        >>> one.shape, bool((one == other).all()), sketch({"text": "?"})
        ((5,), True, None)
    """
    if (image := image_in(sample)) is not None:
        return picture_sketch(image)
    if (sound := _sound(sample)) is not None:
        return sound_sketch(sound)
    return text_sketch(normal(texts_of(sample)))


def confirm(one: Any, other: Any) -> Likeness | None:
    """How the second of two samples is the first one again, by pixels, samples of sound, or characters.

    Returns:
        None where they are different, if alike: two photographs of one scene, two takes of a word.

    Examples:
        >>> from datakit.check.alike import confirm
        >>> print(confirm({"text": "Is this it?"}, {"text": "is this  it"}))
        the same text, with other punctuation, case or blanks (1.000)
        >>> print(confirm({"text": "I am happy."}, {"text": "I am sad."}))
        None
    """
    images = image_in(one), image_in(other)
    if all(image is not None for image in images):
        return picture_likeness(*images)
    first, second = _sound(one), _sound(other)
    if first is not None and second is not None:
        return sound_likeness(first, second)
    if any(each is not None for each in (*images, first, second)):
        return None
    return text_likeness(texts_of(one), texts_of(other))


def _sound(sample: Any) -> Sound | None:
    return next((sound for sound in sounds_in(sample) if sound.key == "waveform"), None)
