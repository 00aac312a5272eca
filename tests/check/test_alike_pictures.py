"""Pictures that are nearly the same, and pictures that only look alike."""

from functools import lru_cache

import numpy as np
import pytest
import scipy.fft
import torch
from alterations import PICTURES, cut, framed, resized, through

from datakit.check.alike import WORDS, candidates, confirm, sketch
from datakit.check.alike.bits import BITS, PICTURE, SIDE, VIEWS, turned
from datakit.check.alike.picture_likeness import turned_pixels
from datakit.vision import CIFAR10, MNIST, FashionMNIST


@lru_cache(maxsize=64)
def photograph(seed, height=150, width=200):
    """Clouds of colour of all sizes, as strong as those of photographs, and some edges."""
    rng = np.random.default_rng(seed)
    down, across = np.meshgrid(np.fft.fftfreq(height) * height, np.fft.fftfreq(width) * width, indexing="ij")
    spectrum = rng.normal(size=(3, height, width)) / np.hypot(np.hypot(down, across), 1) ** 1.2
    pixels = np.fft.ifft2(spectrum * np.exp(2j * np.pi * rng.random((3, height, width)))).real
    pixels = pixels[:1] + 0.3 * pixels
    for _ in range(6):
        top, left = rng.integers(height), rng.integers(width)
        pixels[:, top : top + height // 4, left : left + width // 4] += rng.normal(0, pixels.std(), (3, 1, 1))
    pixels = (pixels - pixels.mean()) / pixels.std() * 45 + 120
    return pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def bits_between(one, other):
    return int(np.bitwise_count(sketch(one)[1:] ^ sketch(other)[1:]).sum())


@pytest.mark.parametrize("name", PICTURES)
def test_an_altered_copy_is_found_among_others(name):
    originals = [photograph(seed) for seed in range(12)]
    copies = [PICTURES[name](pixels) for pixels in originals]
    rows = np.array([sketch({"image": pixels}) for pixels in (*originals, *copies)])
    pairs = set(map(tuple, candidates(rows).pairs.tolist()))
    found = [(place, place + 12) in pairs for place in range(12)]
    same = [confirm({"image": one}, {"image": other}) for one, other in zip(originals, copies, strict=True)]
    bar = 10 if "crop" in name or "border" in name else 12
    assert sum(found) >= bar
    assert sum(likeness is not None for likeness in same) >= bar


def test_different_pictures_are_not_the_same():
    samples = [{"image": photograph(seed)} for seed in range(40)]
    rows = np.array([sketch(sample) for sample in samples])
    assert not len(candidates(rows).pairs)
    others = zip(samples[:20], samples[20:], strict=True)
    assert all(confirm(one, other) is None for one, other in others)


def test_a_picture_with_something_else_in_it_is_another_one():
    one, other = photograph(0), photograph(0).copy()
    other[40:110, 50:150] = photograph(1)[40:110, 50:150]
    assert confirm({"image": one}, {"image": other}) is None


@pytest.mark.parametrize(
    ("alteration", "ways"),
    [
        (lambda pixels: pixels.copy(), ("identical",)),
        (through("JPEG", quality=75), ("compressed or saved again",)),
        (resized(0.5), ("at another size",)),
        (lambda pixels: pixels[:, ::-1], ("mirrored",)),
        (np.rot90, ("turned by 90°",)),
        (lambda pixels: np.rot90(pixels, 2), ("turned by 180°",)),
        (PICTURES["in grey"], ("in grey",)),
        (lambda pixels: (pixels * 0.8).astype(np.uint8), ("darker", "of less contrast")),
        (lambda pixels: (pixels[:, ::-1] * 0.8).astype(np.uint8), ("mirrored", "darker", "of less contrast")),
        (cut(0.04), ("cropped or framed",)),
        (framed(0.02, 128), ("cropped or framed",)),
    ],
)
def test_it_says_how(alteration, ways):
    one = photograph(5)
    likeness = confirm({"image": one}, {"image": alteration(one)})
    assert likeness.what == "picture"
    assert likeness.ways == ways
    assert 0.97 < likeness.figure <= 1


@pytest.mark.parametrize("view", VIEWS)
def test_bits_turn_with_the_picture(view):
    pixels = photograph(3)
    theirs = sketch({"image": np.stack([turned_pixels(plane, view) for plane in pixels.transpose(2, 0, 1)], 2)})
    ours = turned(sketch({"image": pixels})[None, 1:], view)[0]
    assert np.bitwise_count(theirs[1:] ^ ours).sum() <= 4


def test_bits_are_the_signs_of_a_cosine_transform():
    grey = photograph(7)[:, :, 0].astype(np.float64)
    theirs = scipy.fft.dctn(grey, type=2)[:SIDE, :SIDE]
    row, column = np.mgrid[:SIDE, :SIDE]
    order = np.lexsort((row.ravel(), (row + column).ravel()))[1:]
    truth = np.append(theirs.ravel()[order] > 0, False)
    words = sketch({"image": grey.astype(np.uint8)[:, :, None]})
    assert words.shape == (WORDS,)
    assert words[0] == PICTURE
    ours = np.unpackbits(words[1:].astype(">u8").view(np.uint8))
    assert len(ours) == BITS
    assert (ours != truth).sum() <= 1  # one may be nearly nothing


def test_type_range_and_layout_do_not_matter():
    pixels = photograph(2)
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    first = {"image": pixels}
    mean, std = torch.tensor([0.5, 0.4, 0.6])[:, None, None], torch.tensor([0.2, 0.2, 0.2])[:, None, None]
    for other in (planes, planes.float() / 255, (planes / 255 - mean) / std, planes.to(torch.bfloat16) / 255):
        assert bits_between(first, {"image": other}) <= 3
        assert confirm(first, {"image": other}) is not None
        assert confirm((planes, 3), (other, 3)) is not None


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 6, (256, 256, 3)).astype(np.uint8),  # a night
        np.full((64, 64, 1), np.nan, np.float32),
        np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8),
    ],
)
def test_there_is_nothing_to_compare_in_a_constant_or_tiny_one(pixels):
    assert sketch({"image": pixels}) is None
    other = pixels.copy()
    other[0, 0] = 9
    assert confirm({"image": pixels}, {"image": other}) is None


@pytest.mark.slow
def test_digits_that_look_alike_are_not_the_same(shared):
    """The nearest ones of 4,000, by the distance of their pixels, and those that the search gives."""
    dataset = MNIST(shared, "test")
    samples = [dataset[index] for index in range(4000)]
    flat = np.stack([sample["image"].ravel() for sample in samples]).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    near = np.triu(flat @ flat.T, 1)
    pairs = np.argwhere(near > 0.96).tolist()
    assert len(pairs) > 20
    rows = np.array([sketch(sample) for sample in samples])
    pairs += candidates(rows, most=300).pairs.tolist()
    assert [pair for pair in pairs if confirm(samples[pair[0]], samples[pair[1]])] == []


def test_copies_among_digits_are_found(shared):
    dataset = MNIST(shared, "test")
    samples = [dataset[index] for index in range(4000)]
    copies = [{"image": through("JPEG", quality=90)(samples[index]["image"])} for index in range(0, 4000, 80)]
    rows = np.array([sketch(sample) for sample in (*samples, *copies)])
    pairs = set(map(tuple, candidates(rows).pairs.tolist()))
    assert sum((80 * place, 4000 + place) in pairs for place in range(50)) >= 48
    assert sum(confirm(samples[80 * place], copies[place]) is not None for place in range(50)) >= 48


def test_what_cifar_10_has_twice(cifar):
    """Pairs that were looked at, among them ones of both splits, and others that are near and different."""
    train, test = CIFAR10(cifar), CIFAR10(cifar, "test")
    both = [(train if index < 10_000 else test)[index % 10_000] for index in range(12_000)]
    same = [(5777, 11360), (855, 11775), (1378, 9975), (4439, 5994), (645, 8085), (8619, 11962), (1936, 1940)]
    mirrored = [(2437, 5295), (6856, 7238)]
    different = [(6505, 9865), (2850, 3865), (3129, 6674), (9836, 11971), (3752, 5791), (5328, 6833), (9788, 11540)]
    rows = np.array([sketch(sample) for sample in both])
    found = [tuple(pair) for pair in candidates(rows).pairs.tolist()]
    assert {*same, *mirrored} <= set(found)
    assert all(confirm(both[one], both[other]) for one, other in same)
    assert all("mirrored" in confirm(both[one], both[other]).ways for one, other in mirrored)
    assert [pair for pair in different if confirm(both[pair[0]], both[pair[1]])] == []
    confirmed = [pair for pair in found[:80] if confirm(both[pair[0]], both[pair[1]])]
    assert 25 <= len(confirmed) <= 45  # all of them were looked at


def test_real_photographs_are_all_different(faces, nuclei):
    for dataset in (faces, nuclei):
        samples = [dataset[index] for index in range(len(dataset))]
        near = candidates(np.array([sketch(sample) for sample in samples]))
        assert [pair for pair in near.pairs.tolist() if confirm(samples[pair[0]], samples[pair[1]])] == []


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, CIFAR10])
def test_drawings_of_synthetic_copies_are_all_different(kind):
    dataset = kind.synthetic(70)
    samples = [dataset[index] for index in range(len(dataset))]
    near = candidates(np.array([sketch(sample) for sample in samples]))
    assert [pair for pair in near.pairs.tolist() if confirm(samples[pair[0]], samples[pair[1]])] == []
