"""Schematic faces drawn from 68 landmarks: the synthetic copy of the face dataset.

The points follow from the picture, so that a model can learn them: every drawn line goes through its landmarks.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_SCALE = 2  # drawn larger and scaled down, for smooth lines


class Look(NamedTuple):
    """Colours of a face, RGB in [0, 255]."""

    background: tuple[int, ...]
    skin: tuple[int, ...]
    hair: tuple[int, ...]
    iris: tuple[int, ...]
    lips: tuple[int, ...]


def write_faces(folder: Path, n: int, rng: np.random.Generator) -> None:
    """Write `n` JPEGs and `face_landmarks.csv` to `folder`."""
    folder.mkdir(parents=True)
    header = ["image_name", *(f"part_{point}_{axis}" for point in range(68) for axis in "xy")]
    with (folder / "face_landmarks.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number in range(n):
            image, points = draw_face(rng)
            name = f"face-{number:04d}.jpg"
            image.save(folder / name, quality=92)
            writer.writerow([name, *points.round(1).ravel()])


def draw_face(rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """One face.

    Returns:
        image: a PIL image in RGB, 180 to 420 pixels a side.
        points: `float64` (68, 2), x then y, pixels.
    """
    width, height = (int(side) for side in rng.integers(180, 421, 2))
    points = _placed(face_shape(rng), width, height, rng)
    return paint_face(points, (width, height), random_look(rng), rng), points


def paint_face(points: np.ndarray, size: tuple[int, int], look: Look, rng: np.random.Generator) -> Any:
    """The face with these 68 points before a random background, slightly blurred and with noise.

    Args:
        points: (68, 2), x then y, pixels.
        size: (width, height), pixels.
        look: its colours.
        rng: decides background, blur and noise.

    Returns:
        A PIL image in RGB.
    """
    from PIL import Image, ImageDraw, ImageFilter

    width, height = size
    image = Image.new("RGB", (width * _SCALE, height * _SCALE), look.background)
    _draw_background(ImageDraw.Draw(image), image.size, rng)
    _draw(ImageDraw.Draw(image), points * _SCALE, look)
    image = image.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    noise = rng.normal(0, rng.uniform(1, 6), (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _arc(x: float, y: float, rx: float, ry: float, start: float, stop: float, n: int) -> np.ndarray:
    """`n` points on an ellipse, angles in degrees, clockwise from the right as y points down."""
    angle = np.radians(np.linspace(start, stop, n))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def face_shape(rng: np.random.Generator) -> np.ndarray:
    """68 points of an upright face about the origin, half a face wide = 1, in the iBUG 300-W order."""
    jaw_length, eye_open, mouth_open, mouth_width = rng.uniform((1.15, 0.06, 0.02, 0.32), (1.4, 0.13, 0.2, 0.46))
    brow_height, nose_length = rng.uniform((0.2, 0.42), (0.32, 0.55))
    eye_y, mouth_y = -0.2, 0.32 + nose_length * 0.45
    parts = [_arc(0, -0.15, 1, jaw_length, 180, 0, 17)]
    for x in (-0.42, 0.42):
        parts.append(_arc(x, eye_y - brow_height + 0.1, 0.28, 0.12, 200, 340, 5))
    parts.append(np.stack([np.zeros(4), np.linspace(eye_y, eye_y + nose_length, 4)], 1))
    parts.append(_arc(0, eye_y + nose_length + 0.05, 0.17, 0.09, 180, 0, 5))
    for x in (-0.42, 0.42):
        upper, lower = (_arc(x, eye_y, 0.17, eye_open, *sweep, 4) for sweep in ((180, 360), (0, 180)))
        parts += [upper, lower[1:3]]
    for width, rise in ((mouth_width, mouth_open + 0.1), (mouth_width * 0.8, mouth_open)):
        count = 7 if width == mouth_width else 5
        upper, lower = (_arc(0, mouth_y, width, rise, *sweep, count) for sweep in ((180, 360), (0, 180)))
        parts += [upper, lower[1:-1]]
    return np.concatenate(parts)


def _placed(shape: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """The shape turned a little, scaled and put somewhere inside the picture."""
    turn = np.radians(rng.uniform(-15, 15))
    turned = shape @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    low, high = turned.min(0), turned.max(0)
    high_room = high - low + (0, 0.5)  # hair above
    scale = min(width, height) / high_room.max() * rng.uniform(0.6, 0.95)
    room = np.array([width, height]) - high_room * scale
    corner = room * rng.uniform(0.1, 0.9, 2) + (0, 0.5 * scale)
    return np.asarray((turned - low) * scale + corner)


def random_look(rng: np.random.Generator) -> Look:
    """Colours of background, skin, hair, eyes and lips."""
    skin = np.array([232, 190, 160]) * rng.uniform(0.35, 1.05)
    hair, lips = rng.uniform(10, 110, 3), skin * (0.95, 0.5, 0.5)
    colours = (rng.uniform(60, 230, 3), skin, hair, rng.uniform(20, 140, 3), lips)
    return Look(*(tuple(int(value) for value in np.clip(colour, 0, 255)) for colour in colours))


def _draw_background(draw: Any, size: tuple[int, int], rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        radius = rng.uniform(0.05, 0.25) * max(size)
        colour = tuple(int(value) for value in rng.uniform(40, 240, 3))
        draw.rectangle((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _draw(draw: Any, points: np.ndarray, look: Look) -> None:
    unit = float(np.linalg.norm(points[16] - points[0])) / 2
    line = max(2, round(unit * 0.05))
    middle, across = (points[0] + points[16]) / 2, (points[16] - points[0]) / 2
    up = (middle - points[8]) * 0.85
    skull, fringe = (middle + _arc(0, 0, 1, 1, 0, -180, 25) @ np.stack([across, -up * high]) for high in (1, 0.55))
    draw.polygon(_flat([*points[:17], *skull]), fill=look.skin)
    draw.polygon(_flat([*skull, *fringe[::-1]]), fill=look.hair)
    draw.line(_flat(points[:17]), fill=look.lips, width=line, joint="curve")
    for brow in (points[17:22], points[22:27]):
        draw.line(_flat(brow), fill=look.hair, width=line * 2, joint="curve")
    for eye in (points[36:42], points[42:48]):
        draw.polygon(_flat(eye), fill=(250, 250, 250))
        centre, radius = eye.mean(0), float(np.ptp(eye[:, 1])) / 2
        draw.ellipse((*(centre - radius), *(centre + radius)), fill=look.iris)
    draw.line(_flat(points[27:31]), fill=look.lips, width=line)
    draw.line(_flat(points[31:36]), fill=look.lips, width=line, joint="curve")
    draw.polygon(_flat(points[48:60]), fill=look.lips)
    draw.polygon(_flat(points[60:68]), fill=(70, 20, 25))


def _flat(points: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]
