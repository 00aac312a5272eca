"""Ten things drawn from a few shapes on their usual grounds: the synthetic copy of CIFAR-10."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from datakit.files.file_array import Bytes

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_SIDE, _SCALE = 32, 4  # drawn larger and scaled down, for smooth edges
_SKY, _ROAD, _GRASS, _SEA, _ROOM, _WOOD = (
    *((140, 185, 235), (130, 130, 135), (110, 165, 80)),
    *((50, 95, 150), (190, 170, 150), (90, 110, 60)),
)
_DARK, _WHITE = (30, 30, 35), (240, 240, 240)
_BROWN, _TAN, _ORANGE, _RED, _GREEN, _YELLOW = (
    *((110, 70, 40), (175, 130, 85), (220, 140, 60)),
    *((200, 40, 40), (70, 190, 60), (230, 190, 50)),
)
_Part = tuple[str, tuple[int, int, int], tuple[float, ...]]


def _wheels(*places: float) -> list[_Part]:
    return [("ellipse", _DARK, (x - 0.16, 0.34, x + 0.16, 0.66)) for x in places]


def _legs(*places: float) -> list[_Part]:
    return [("rectangle", _BROWN, (x, 0.2, x + 0.1, 0.85)) for x in places]


_EYES: list[_Part] = [("ellipse", _DARK, (x, -0.2, x + 0.16, 0)) for x in (-0.38, 0.22)]
_THINGS: tuple[tuple[tuple[int, int, int], list[_Part]], ...] = (
    (_SKY, [
        ("ellipse", _WHITE, (-0.9, -0.15, 0.9, 0.15)),
        ("polygon", _WHITE, (0.2, 0, -0.3, 0.7, -0.1, 0, -0.3, -0.7)),
        ("polygon", _WHITE, (-0.7, 0, -0.95, -0.5, -0.5, 0)),
    ]),
    (_ROAD, [
        ("rectangle", _RED, (-0.85, -0.05, 0.85, 0.5)),
        ("polygon", _RED, (-0.55, 0, -0.35, -0.45, 0.3, -0.45, 0.55, 0)),
        *_wheels(-0.5, 0.5),
    ]),
    (_SKY, [
        ("ellipse", _BROWN, (-0.35, -0.2, 0.35, 0.25)),
        ("ellipse", _BROWN, (0.2, -0.35, 0.5, -0.05)),
        ("polygon", _BROWN, (-0.1, 0, -0.8, -0.6, 0.15, -0.1)),
        ("polygon", _YELLOW, (0.48, -0.25, 0.7, -0.18, 0.48, -0.12)),
    ]),
    (_ROOM, [
        ("ellipse", _ORANGE, (-0.65, -0.5, 0.65, 0.7)),
        ("polygon", _ORANGE, (-0.6, -0.1, -0.6, -0.9, -0.1, -0.4)),
        ("polygon", _ORANGE, (0.6, -0.1, 0.6, -0.9, 0.1, -0.4)),
        *_EYES,
    ]),
    (_WOOD, [
        ("ellipse", _TAN, (-0.6, -0.1, 0.4, 0.35)),
        ("polygon", _TAN, (0.2, 0.1, 0.35, -0.55, 0.6, -0.5, 0.4, 0.2)),
        ("polygon", _WHITE, (0.35, -0.5, 0.15, -0.95, 0.45, -0.6, 0.75, -0.95, 0.5, -0.5)),
        *_legs(-0.5, -0.3, 0.1, 0.3),
    ]),
    (_GRASS, [
        ("ellipse", _TAN, (-0.6, -0.6, 0.6, 0.7)),
        ("ellipse", _BROWN, (-0.85, -0.5, -0.45, 0.4)),
        ("ellipse", _BROWN, (0.45, -0.5, 0.85, 0.4)),
        ("ellipse", _DARK, (-0.2, 0.15, 0.2, 0.4)),
        *_EYES,
    ]),
    (_BROWN, [
        ("ellipse", _GREEN, (-0.8, -0.2, 0.8, 0.7)),
        ("ellipse", _GREEN, (-0.5, -0.55, -0.05, 0)),
        ("ellipse", _GREEN, (0.05, -0.55, 0.5, 0)),
        *_EYES,
    ]),
    (_GRASS, [
        ("ellipse", _BROWN, (-0.7, -0.3, 0.5, 0.35)),
        ("polygon", _BROWN, (0.2, 0, 0.5, -0.85, 0.95, -0.5, 0.7, -0.35, 0.45, 0.2)),
        *_legs(-0.6, -0.4, 0.15, 0.35),
    ]),
    (_SEA, [
        ("polygon", _DARK, (-0.9, 0.05, 0.9, 0.05, 0.65, 0.5, -0.7, 0.5)),
        ("rectangle", _WHITE, (-0.4, -0.3, 0.4, 0.05)),
        ("rectangle", _RED, (-0.1, -0.65, 0.15, -0.3)),
    ]),
    (_ROAD, [
        ("rectangle", _WHITE, (-0.95, -0.7, 0.4, 0.45)),
        ("rectangle", _YELLOW, (0.45, -0.2, 0.95, 0.45)),
        *_wheels(-0.6, -0.1, 0.65),
    ]),
)  # fmt: skip
"""Ground and parts of each thing, half a picture wide = 1, y down."""


def draw_thing(label: int, rng: np.random.Generator) -> Bytes:
    """One thing, (32, 32, 3), `uint8`: any size, place, light and side."""
    from PIL import Image, ImageDraw

    side = _SIDE * _SCALE
    ground, parts = _THINGS[label]
    image = Image.new("RGB", (side, side), _tinted(ground, rng))
    pen = ImageDraw.Draw(image)
    size, middle = rng.uniform(0.7, 0.95), rng.uniform(-0.15, 0.15, 2)
    for shape, colour, points in parts:
        places = ((np.reshape(points, (-1, 2)) * size + middle + 1) * side / 2).tolist()
        getattr(pen, shape)([tuple(place) for place in places], fill=_tinted(colour, rng))
    pixels = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    pixels = pixels[:, :: int(rng.choice((-1, 1)))] * rng.uniform(0.6, 1.1)
    return np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)


def _tinted(colour: tuple[int, int, int], rng: np.random.Generator) -> Any:
    return tuple(int(value) for value in np.clip(colour + rng.normal(0, 20, 3), 0, 255))


def write_batches(folder: Path, n: int, rng: np.random.Generator) -> None:
    """Write `n` things to five batches, as many to the test batch, and `batches.meta`."""
    folder.mkdir(parents=True)
    names = {f"data_batch_{number}": f"training batch {number} of 5" for number in range(1, 6)}
    labels = np.array_split(rng.permutation(np.arange(n) % len(NAMES)), len(names))
    own = [*labels, rng.permutation(np.arange(n) % len(NAMES))]
    titles = {**names, "test_batch": "testing batch 1 of 1"}
    for (name, title), batch in zip(titles.items(), own, strict=True):
        things = [draw_thing(int(label), rng).transpose(2, 0, 1).ravel() for label in batch]
        files = [f"{NAMES[label]}_{row:06d}.png" for row, label in enumerate(batch)]
        data = np.array(things, np.uint8).reshape(-1, 3 * _SIDE**2)
        entries = {"batch_label": title, "labels": batch.tolist(), "data": data, "filenames": files}
        (folder / name).write_bytes(python2_pickle(entries))
    meta = {"num_cases_per_batch": len(labels[0]), "label_names": list(NAMES), "num_vis": 3 * _SIDE**2}
    (folder / "batches.meta").write_bytes(python2_pickle(meta))


def python2_pickle(value: Any) -> bytes:
    """A pickle of protocol 2 with strings as Python 2 wrote them: the bytes of an array lie in it as they are."""
    return b"\x80\x02" + _written(value) + b"."


def _written(value: Any) -> bytes:
    if isinstance(value, str | bytes):
        data = value.encode("ascii") if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(data)) + data
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_written, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_written(part) for pair in value.items() for part in pair) + b"u"
    shape = b"(" + b"".join(map(_written, value.shape)) + b"t"
    dtype = b"cnumpy\ndtype\n(" + _written("u1") + _written(0) + _written(1) + b"tR("
    dtype += _written(3) + _written("|") + b"NNN" + _written(-1) * 2 + _written(0) + b"tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + _written(0) + b"t" + _written("b") + b"tR"
    return empty + b"(" + _written(1) + shape + dtype + b"\x89" + _written(value.tobytes()) + b"tb"
