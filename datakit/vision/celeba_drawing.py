"""Aligned schematic faces with attributes and identities: the synthetic copy of CelebA.

Colours of skin and hair belong to a person; glasses, lipstick and an open mouth to one picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datakit.vision.face_drawing import Look, face_shape, paint_face, random_look

ATTRIBUTES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose"),
    *("Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses"),
    *("Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks"),
    *("Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick"),
    *("Wearing_Necklace", "Wearing_Necktie", "Young"),
)
_LANDMARKS = [
    f"{point}_{axis}" for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
]
_SIZE = (178, 218)  # width, height
_EYES = np.array([89.0, 112.0])  # the middle between them, where upstream aligned it
_UNIT = 45.0  # pixels to half a face
_HAIR: dict[str, tuple[int, ...] | None] = {
    "Black_Hair": (25, 22, 20),
    "Blond_Hair": (225, 190, 95),
    "Brown_Hair": (105, 60, 30),
    "Gray_Hair": (165, 165, 170),
    "Bald": None,
}
_LIPSTICK = (190, 15, 50)
_OPEN = 0.11  # half the gap between the lips, in halves of a face


class _Person(NamedTuple):
    look: Look
    attributes: frozenset[str]


def write_faces(folder: Path, n: int, rng: np.random.Generator) -> None:
    """Write `n` JPEGs and the text files to `folder`; two or three images of each person, who is in one part only."""
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    people = [_person(rng) for _ in range((n + 2) // 3)]
    held_out = max(1, len(people) // 10) if len(people) >= 3 else 0  # in `valid` and in `test`
    rows: list[tuple[str, set[str], np.ndarray[Any, Any], int]] = []
    for number in range(n):
        person = number * len(people) // n
        image, points, attributes = _face(people[person], rng)
        rows.append((f"{number + 1:06d}.jpg", attributes, points, person))
        image.save(images / rows[-1][0], quality=92)
    parts = [max(0, 2 - (len(people) - 1 - person) // held_out) if held_out else 0 for *_, person in rows]
    signs = [f"{name} {' '.join(f'{1 if a in has else -1:2d}' for a in ATTRIBUTES)}" for name, has, *_ in rows]
    points_text = [f"{name} {' '.join(map(str, points.ravel()))}" for name, _, points, _ in rows]
    _write(folder / "list_attr_celeba.txt", [n, " ".join(ATTRIBUTES), *signs])
    _write(folder / "list_landmarks_align_celeba.txt", [n, " ".join(_LANDMARKS), *points_text])
    _write(folder / "identity_CelebA.txt", (f"{name} {person + 1}" for name, _, _, person in rows))
    _write(folder / "list_eval_partition.txt", (f"{row[0]} {part}" for row, part in zip(rows, parts, strict=True)))


def _write(path: Path, lines: Iterable[object]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _person(rng: np.random.Generator) -> _Person:
    """Skin and hair, with the attributes that they show."""
    is_pale, kind = bool(rng.random() < 0.4), str(rng.choice(list(_HAIR)))
    skin = (
        _near((250, 225, 205), 4, rng) if is_pale else _near(np.array([210, 165, 135]) * rng.uniform(0.5, 0.95), 4, rng)
    )
    colour = _HAIR[kind]
    hair = skin if colour is None else _near(colour, 8, rng)
    lips = tuple(int(value * part) for value, part in zip(skin, (0.85, 0.6, 0.6), strict=True))
    look = random_look(rng)._replace(skin=skin, hair=hair, lips=lips)
    return _Person(look, frozenset([kind] + ["Pale_Skin"] * is_pale))


def _face(person: _Person, rng: np.random.Generator) -> tuple[Any, np.ndarray[Any, Any], set[str]]:
    """An image of a person: PIL image, points int (5, 2), x then y, and the attributes that hold."""
    from PIL import ImageDraw

    shape, attributes = face_shape(rng), set(person.attributes)
    points = _aligned(shape, rng)
    look = person.look._replace(background=random_look(rng).background)
    if rng.random() < 0.4:
        attributes.add("Wearing_Lipstick")
        look = look._replace(lips=_near(_LIPSTICK, 8, rng))
    if (shape[66, 1] - shape[62, 1]) / 2 > _OPEN:
        attributes.add("Mouth_Slightly_Open")
    image = paint_face(points, _SIZE, look, rng)
    if rng.random() < 0.4:
        attributes.add("Eyeglasses")
        _draw_glasses(ImageDraw.Draw(image), points)
    marks = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    return image, np.floor(marks).astype(int), attributes


def _aligned(shape: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """The shape scaled, turned and moved so that the eyes are nearly where they always are."""
    middle, turn = shape[36:48].mean(0), np.radians(rng.normal(0, 2))
    turned = (shape - middle) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(turned * _UNIT * rng.uniform(0.95, 1.05) + _EYES + rng.normal(0, 1, 2))


def _draw_glasses(draw: Any, points: np.ndarray[Any, Any]) -> None:
    eyes = [points[36:42].mean(0), points[42:48].mean(0)]
    for x, y in eyes:
        draw.ellipse((x - 15, y - 12, x + 15, y + 12), outline=(15, 15, 15), width=4)
    (left, y), (right, z) = eyes
    draw.line((left + 15, y, right - 15, z), fill=(15, 15, 15), width=4)


def _near(colour: Any, spread: float, rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in np.clip(rng.normal(colour, spread), 0, 255))
