"""Objects in pictures: their colours, outlines and labels, and what is said of them in words."""

import math

import numpy as np
import pytest
import torch
from pages import Page
from PIL import Image, ImageDraw
from skimage import color, segmentation
from skimage import draw as shapes

from datakit import Loader, Mapped, collate
from datakit.inspection.look import look
from datakit.report import page
from datakit.report.drawing import draw
from datakit.report.objects import COLOURS, objects_of
from datakit.targets import Target
from datakit.transforms import ToTensor

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def linear(colours):
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def seen_as(colours, matrix):
    seen = np.clip(linear(colours) @ np.array(matrix).T, 0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)


def nearest(colours):
    """The distance of each colour to the nearest other one, in CIELAB."""
    lab = color.rgb2lab(colours[None])[0]
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min()


def disc(height, width, y, x, radius):
    mask = np.zeros((height, width), np.uint8)
    mask[shapes.disk((y, x), radius, shape=mask.shape)] = 1
    return mask


def box_of(mask):
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def sample_of(masks, labels=None, **more):
    boxes = np.array([box_of(mask) for mask in masks], np.float32)
    labels = np.ones(len(masks), np.int64) if labels is None else labels
    image = np.full((*masks[0].shape, 3), 90, np.uint8)
    return {"image": image, "boxes": boxes, "labels": labels, "masks": np.stack(masks), **more}


def crowd(count=30, size=320, seed=0):
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, size, (count, 2))
    return [disc(size, size, y, x, rng.uniform(6, 22)) for y, x in places]


@pytest.fixture
def labels(monkeypatch):
    """The places and texts of the labels that are drawn."""
    found = []
    rectangle, text = ImageDraw.ImageDraw.rounded_rectangle, ImageDraw.ImageDraw.text

    def note_box(pen, box, *rest, **options):
        found.append([tuple(box), "", pen._image.size])
        return rectangle(pen, box, *rest, **options)

    def note_text(pen, place, words, *rest, **options):
        found[-1][1] = words
        return text(pen, place, words, *rest, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "rounded_rectangle", note_box)
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note_text)
    return found


# --- colours


def test_thirty_colours_can_be_told_apart_also_without_red_or_green():
    colours = np.array(COLOURS) / 255
    assert len(colours) == 30
    assert nearest(colours) > 14
    assert nearest(colours[:8]) > 30
    for matrix in BLIND.values():
        assert nearest(seen_as(colours, matrix)) > 9
        assert nearest(seen_as(colours[:8], matrix)) > 20


def test_dark_letters_can_be_read_on_every_colour():
    luminance = linear(np.array(COLOURS) / 255) @ [0.2126, 0.7152, 0.0722]
    ink = linear(np.full(3, 20 / 255)) @ [0.2126, 0.7152, 0.0722]
    assert ((luminance + 0.05) / (ink + 0.05)).min() >= 4.5  # WCAG 2, AA


def test_every_instance_has_its_own_colour_and_boxes_alone_go_by_class():
    masks = crowd()
    sample = sample_of(masks, np.arange(30) % 3)
    assert len(set(objects_of(sample).colours)) == 30
    del sample["masks"]
    by_class = objects_of(sample).colours
    assert len(set(by_class)) == 3
    assert by_class[0] == by_class[3] != by_class[1]
    one_class = objects_of({**sample, "labels": np.ones(30, np.int64)})
    assert len(set(one_class.colours)) == 30


# --- masks


@pytest.mark.parametrize("size", [(120, 160), (400, 300), (900, 1200)])
def test_an_outline_follows_the_edge_of_its_mask(size):
    height, width = size
    mask = disc(height, width, height * 0.5, width * 0.4, min(size) * 0.3)
    drawn = draw({"image": np.full((*size, 3), 90, np.uint8), "masks": mask[None]})
    pixels = np.asarray(drawn.image).astype(int)
    there = np.asarray(Image.fromarray(mask * 255).resize(drawn.image.size, Image.Resampling.BILINEAR)) > 127
    edge = segmentation.find_boundaries(there, mode="inner")
    near = segmentation.expand_labels(edge.astype(int), 4) > 0
    colour = np.array(COLOURS[0])
    outlined = np.abs(pixels - colour).max(2) <= 3
    assert outlined.sum() > 0.9 * edge.sum()
    assert not outlined[~near].any()
    inner = there & ~(segmentation.expand_labels(edge.astype(int), 8) > 0)
    share = (pixels[inner] - 90) / (colour - 90)
    assert np.ptp(share) < 0.05
    assert 0.2 < share.mean() < 0.45
    outside = ~there & ~near
    assert (pixels[outside] == 90).all()


def test_small_things_and_things_at_the_border_are_drawn_too():
    masks = [np.zeros((1000, 1400), np.uint8) for _ in range(4)]
    masks[0][500, 700] = 1  # a pixel, of which the picture shows a third
    masks[1][:40, :40] = 1
    masks[2][960:, 1360:] = 1
    masks[3][shapes.line(600, 200, 900, 600)] = 1  # a hair
    drawn = np.asarray(draw({"image": np.full((1000, 1400, 3), 90, np.uint8), "masks": np.stack(masks)}).image)
    changed = np.abs(drawn.astype(int) - 90).max(2) > 15
    assert changed[158:163, 222:227].any()
    assert changed[:12, :12].any()
    assert changed[-12:, -12:].any()
    assert not changed[100:140].any()
    assert changed[195:285, 60:200].any(1).all()


def test_pixels_of_small_masks_stay_pixels():
    mask = np.zeros((1, 20, 20), np.uint8)
    mask[0, 5:9, 5] = 1
    drawn = draw({"image": np.full((20, 20, 3), 90, np.uint8), "masks": mask})
    step = drawn.image.width // 20
    changed = np.abs(np.asarray(drawn.image).astype(int) - 90).max(2) > 5
    expected = np.kron(mask[0], np.ones((step, step), np.uint8)) > 0
    np.testing.assert_array_equal(changed, expected)


def test_real_nuclei_have_outlines_in_their_colours(nuclei):
    crowd = next(sample for sample in nuclei if len(sample["masks"]) == 30)
    image, masks = crowd["image"], crowd["masks"]
    drawn = draw({"image": image, "masks": masks, "labels": np.ones(30, np.int64)}, classes=("", "nucleus"))
    pixels = np.asarray(drawn.image).astype(int)
    scale = drawn.image.width / image.shape[1]
    for mask, colour in zip(masks, COLOURS, strict=True):
        left, top, right, bottom = (np.array(box_of(mask)) * scale).astype(int)
        inside = pixels[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
        assert (np.abs(inside - colour).max(2) <= 8).any(), colour


# --- labels


def test_few_objects_are_named_with_their_scores(labels):
    masks = [disc(300, 300, 60, 60, 25), disc(300, 300, 200, 220, 40)]
    draw(sample_of(masks, np.array([1, 2])), classes=("background", "cat", "dog"))
    assert sorted(text for _, text, _ in labels) == ["cat", "dog"]
    labels.clear()
    draw(sample_of(masks, np.array([1, 7]), scores=np.array([0.123, 0.987])), classes=("background", "cat", "dog"))
    assert [text for _, text, _ in labels] == ["7 0.99", "cat 0.12"]  # the surest first
    labels.clear()
    bare = sample_of(masks, scores=np.array([0.5, 0.25]))
    del bare["labels"]
    draw(bare)
    assert [text for _, text, _ in labels] == ["0.50", "0.25"]


def test_a_crowd_is_not_drowned_in_labels(labels):
    masks = crowd()
    draw(sample_of(masks), classes=("background", "nucleus"))
    assert labels == []
    draw(sample_of(masks, scores=np.linspace(0, 1, 30)), classes=("background", "nucleus"))
    assert 10 < len(labels) <= 30
    assert all("nucleus" not in text for _, text, _ in labels)


def test_a_small_picture_is_crowded_sooner(labels):
    few = sample_of(crowd(8))
    for side, count in ((448, 8), (200, 0)):
        labels.clear()
        draw(few, classes=("background", "nucleus"), side=side)
        assert len(labels) == count


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("side", [448, 200])
def test_labels_lie_inside_the_picture_and_hide_nothing(labels, seed, side):
    masks = crowd(25, seed=seed)
    sample = sample_of(masks, np.arange(25) % 4, scores=np.random.default_rng(seed).random(25))
    draw(sample, classes=("cell", "nucleus", "debris", "a name that is longer than all the others"), side=side)
    places = [place for place, _, _ in labels]
    width, height = labels[0][2]
    assert len(places) >= 3
    for left, top, right, bottom in places:
        assert 0 <= left < right <= width + 1e-6
        assert 0 <= top < bottom <= height + 1e-6
    for place, one in enumerate(places):
        assert not any(shared_area(one, other) > 1e-6 for other in places[:place])
    for box in sample["boxes"] * (width / 320):
        area = (box[2] - box[0]) * (box[3] - box[1])
        assert all(shared_area(box, place) <= 0.13 * area for place in places)


def shared_area(one, other):
    wide, high = (min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis]) for axis in (0, 1))
    return max(wide, 0) * max(high, 0)


def test_names_in_any_script_and_long_ones_fit(labels):
    mask = disc(100, 100, 50, 50, 20)
    draw(sample_of([mask]), classes=("", "клетка"))
    draw(sample_of([mask]), classes=("", "w" * 300), side=100)
    assert labels[0][1] == "клетка"
    (left, _, right, _), text, (width, _) = labels[1]
    assert text.endswith("…")
    assert right - left <= 0.75 * width


# --- what detectors give


def test_a_prediction_is_drawn_as_it_is():
    image = np.full((100, 120, 3), 90, np.uint8)
    chances = torch.zeros(2, 1, 100, 120)
    chances[0, 0, 20:60, 20:60], chances[1, 0, 30:90, 70:110] = 0.9, 0.4  # more likely not than so
    found = {
        "boxes": torch.tensor([[20.0, 20, 60, 60], [70, 30, 110, 90]], requires_grad=True),
        "labels": torch.tensor([1, 1]),
        "scores": torch.tensor([0.9, 0.4], requires_grad=True),
        "masks": chances.requires_grad_(),
    }
    objects = objects_of(found, ("background", "nucleus"))
    assert objects.masks.sum((1, 2)).tolist() == [1600, 0]
    assert objects.labels(448) == ["nucleus 0.90", "nucleus 0.40"]
    drawn = np.asarray(draw({"image": image, **found}).image).astype(int)
    assert drawn.shape == (300, 360, 3)
    assert np.abs(drawn[120, 120] - 90).max() > 15
    assert np.abs(drawn[180, 270] - 90).max() == 0


def test_values_that_do_not_go_together_do_no_harm():
    image = np.full((50, 60, 3), 90, np.uint8)
    plain = np.asarray(draw({"image": image}).image)
    boxes = torch.tensor([[math.nan, 0, 5, 5], [0, 0, math.inf, 3]])
    np.testing.assert_array_equal(np.asarray(draw({"image": image, "boxes": boxes}).image), plain)
    masks = np.ones((3, 9, 9), np.uint8)
    for keys in ({"masks": masks}, {"masks": masks, "boxes": boxes}, {"boxes": boxes, "labels": np.ones(7, int)}):
        assert draw({"image": image, **keys}).image.size == (420, 350)
    assert objects_of({"boxes": torch.zeros(2, 4), "masks": masks, "scores": torch.ones(2)}).scores is None


# --- in words


def test_objects_in_words():
    sample = sample_of(crowd(23), np.arange(23) % 2)
    assert objects_of(sample, ("cell", "nucleus")).in_words() == "23 objects: 12 cell, 11 nucleus"
    many = {**sample, "labels": np.arange(23)}
    assert objects_of(many, "abcdef").in_words() == "23 objects: 1 a, 1 b, 1 c, 1 d, …"
    assert objects_of({**sample, "labels": np.ones(23, int)}, ("", "cell")).in_words() == "23 objects: cell"
    one = {"boxes": torch.zeros(1, 4)}
    assert objects_of(one).in_words() == "1 object"
    assert objects_of({}).in_words() == objects_of(None).in_words() == objects_of({"boxes": []}).in_words() == ""


class Cells(list):
    classes = ("background", "cell")


def test_the_page_says_how_many_objects_there_are():
    records = Cells([sample_of(crowd(count, 96)) for count in (3, 14)])
    dataset = Mapped(records, transform=ToTensor())
    seen = look(Target("cells", dataset, Loader(dataset, 2, collate_fn=collate.detection)), indices=[0, 1])
    html = Page(page.render(seen))
    texts = [image["alt"] for image in html.all("img")]
    assert len(texts) == 2 * 2 + 2
    for text, count in zip(texts, (3, 3, 14, 14, 3, 14), strict=True):
        assert text.endswith(f"96 by 96 pixels, with {count} objects: cell")
    assert "96 × 96 · 14 objects: cell" in html.words()


def test_key_points_are_drawn_where_they_are_labelled():
    sample = {
        "image": np.zeros((100, 100, 3), np.uint8),
        "boxes": np.float32([[5, 5, 95, 95]]),
        "keypoints": np.float32([[[30, 40, 2], [70, 60, 1], [0, 0, 0]]]),
    }
    bare = draw({key: sample[key] for key in ("image", "boxes")}, side=400).image
    drawn = np.asarray(draw(sample, side=400).image).astype(int)
    changed = np.abs(drawn - np.asarray(bare)).sum(2) > 60
    for x, y in ((30, 40), (70, 60)):
        assert changed[y * 4 - 2 : y * 4 + 2, x * 4 - 2 : x * 4 + 2].all()
    assert not changed[:100].any()
    assert not changed[:, :80].any()
