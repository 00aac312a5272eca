"""Clean samples, and one defect each to plant in them."""

import copy

import numpy as np
import torch

from datakit import Mapped

CLASSES = ("background", "round", "square")
COUNT = 40


def picture(rng, height=48, width=64):
    """Blotches with grain: no two are alike."""
    coarse = rng.integers(20, 235, (height // 8, width // 8, 3))
    return np.clip(np.kron(coarse, np.ones((8, 8, 1))) + rng.integers(-15, 16, (height, width, 3)), 0, 255).astype(
        np.uint8
    )


def with_objects(rng):
    """An image with two boxes and a label for it."""
    corners = rng.integers(2, 20, (2, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.integers(8, 20, (2, 2))], 1).astype(np.float32)
    return {"image": picture(rng), "boxes": boxes, "labels": rng.integers(1, 3, 2)}


def with_masks(rng):
    """The same with masks, of which the boxes are made."""
    sample = with_objects(rng)
    masks = np.zeros((2, 48, 64), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, sample["boxes"].astype(int), strict=True):
        mask[top:bottom, left:right] = 1
    return {**sample, "masks": masks}


def with_points(rng):
    """An image with five points and a label."""
    points = (rng.random((5, 2)) * [60, 44] + 2).astype(np.float32)
    return {"image": picture(rng), "landmarks": points, "label": int(rng.integers(0, 3))}


def with_sound(rng):
    """Half a second of a tone in noise."""
    steps = int(rng.integers(3000, 5000))
    wave = 0.3 * np.sin(np.arange(steps) * rng.uniform(0.05, 0.5)) + 0.05 * rng.standard_normal(steps)
    return {
        "waveform": torch.tensor(wave[None], dtype=torch.float32),
        "sample_rate": 8000,
        "label": int(rng.integers(3)),
    }


def with_text(rng):
    """A sentence of eight words."""
    return {
        "text": " ".join("".join(rng.choice(list("abcdefghij"), 5)) for _ in range(8)),
        "label": int(rng.integers(3)),
    }


MAKERS = {"objects": with_objects, "masks": with_masks, "points": with_points, "sounds": with_sound, "texts": with_text}


def clean(kind, count=COUNT, seed=0):
    """Samples without a fault; each class comes."""
    rng = np.random.default_rng([seed, sorted(MAKERS).index(kind)])
    samples = [MAKERS[kind](rng) for _ in range(count)]
    for place in range(3):
        if "label" in samples[place]:
            samples[place]["label"] = place
    return samples


def dataset(samples, classes=CLASSES):
    """The samples as a dataset."""
    made = Mapped(samples)
    made.classes = classes
    return made


def put(key, change):
    """A plant: the value of a key, changed."""

    def plant(sample):
        value = copy.deepcopy(sample[key])
        sample[key] = change(value)

    return plant


def at(place, value):
    """A change: a value at a place of an array."""

    def change(array):
        array[place] = value
        return array

    return change


def drop(key):
    return lambda sample: sample.pop(key)


def both(*plants):
    def plant(sample):
        for one in plants:
            one(sample)

    return plant


PLANTS = {
    ("points", "not-finite"): put("landmarks", at((2, 0), np.nan)),
    ("points", "constant"): put("image", lambda image: np.full_like(image, 90)),
    ("points", "missing-key"): drop("landmarks"),
    ("points", "unknown-label"): put("label", lambda label: 3),
    ("points", "point-outside"): put("landmarks", at((0, 0), 70.0)),
    ("points", "identical-points"): put("landmarks", lambda points: points[:1].repeat(5, 0)),
    ("points", "outlier"): put("image", lambda image: np.concatenate([np.concatenate([image] * 5)] * 5, 1)),
    ("points", "drift"): put("image", lambda image: image.astype(np.float32) / 255),
    ("points", "range"): put("image", lambda image: (image > 100).astype(np.uint8)),
    ("objects", "box-outside"): put("boxes", at((0, 2), 90.0)),
    ("objects", "box-empty"): put("boxes", lambda boxes: boxes[:, [2, 1, 0, 3]]),
    ("objects", "box-twice"): both(
        put("boxes", lambda boxes: boxes[:1].repeat(2, 0)), put("labels", lambda labels: labels[:1].repeat(2))
    ),
    ("objects", "objects"): put("labels", lambda labels: labels[:1]),
    ("objects", "unknown-label"): put("labels", at(0, -1)),
    ("masks", "mask-mismatch"): put("boxes", at((1, 2), 60.0)),
    ("masks", "mask-empty"): put("masks", at(0, 0)),
    ("masks", "mask-values"): put("masks", lambda masks: masks * 255),
    ("sounds", "not-finite"): put("waveform", at((0, 7), torch.inf)),
    ("sounds", "constant"): put("waveform", torch.zeros_like),
    ("sounds", "empty"): put("waveform", lambda wave: wave[:, :0]),
    ("sounds", "outlier"): put("waveform", lambda wave: wave.repeat(1, 20)),
    ("sounds", "drift"): put("waveform", lambda wave: wave.repeat(2, 1)),
    ("sounds", "range"): put("waveform", lambda wave: wave * 32768),
    ("texts", "empty"): put("text", lambda text: " \n"),
    ("texts", "unreadable-text"): put("text", lambda text: text.encode("utf-16").decode("utf-8", "replace")),
    ("texts", "outlier"): put("text", lambda text: " ".join(text.split()[::-1] * 30)),
}
"""By base and kind of finding: what to do to a sample."""
