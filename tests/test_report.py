import json
import math
import re

import click
import numpy as np
import pytest
import torch
from pages import Page, decoded
from PIL import Image

from datakit import Concat, Loader, Mapped, Subset, collate
from datakit.files.writing import write_whole
from datakit.inspection import look as inspection
from datakit.inspection import picture, summary
from datakit.inspection.batch import split
from datakit.inspection.look import look
from datakit.phrasing import number, shorten, size
from datakit.report import drawing, page, terminal
from datakit.report.drawing import draw
from datakit.targets import Target, TargetError, open_target
from datakit.transforms import FACE68_PAIRS, Compose, Normalize, RandomCrop, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import FaceLandmarks

NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def chain(*more):
    return Compose([Rescale(72), RandomCrop(64), RandomHorizontalFlip(pairs=FACE68_PAIRS), ToTensor(), *more])


def faces(n=8, transform=None):
    return FaceLandmarks.synthetic(n=n, transform=transform)


# --- tables of keys


def test_a_row_agrees_with_numpy():
    rng = np.random.default_rng(0)
    values = {
        "image": rng.integers(0, 256, (5, 4, 3), dtype=np.uint8),
        "landmarks": rng.normal(size=(68, 2)).astype(np.float32),
        "waveform": torch.from_numpy(rng.normal(size=(1, 50))).half(),
        "mask": torch.tensor([True, False, False]),
    }
    rows = {row.key: row for row in summary.summarise(values)}
    assert list(rows) == list(values)
    for key, value in values.items():
        array = np.asarray(value).astype(np.float64)
        assert rows[key].shape == array.shape
        assert (rows[key].low, rows[key].high) == (array.min(), array.max())
        assert rows[key].mean == pytest.approx(array.mean(), rel=1e-6)
        assert rows[key].kind == str(value.dtype).removeprefix("torch.")
    assert rows["landmarks"].unit == "px"
    assert rows["image"].size == "(5, 4, 3)"


def test_values_that_are_not_finite_are_counted_and_left_out():
    (row,) = summary.summarise({"x": np.array([1.0, np.nan, 3.0, np.inf])})
    assert (row.low, row.high, row.mean, row.not_finite) == (1, 3, 2, 2)
    (row,) = summary.summarise({"x": np.array([np.nan])})
    assert (row.low, row.not_finite) == (None, 1)
    (row,) = summary.summarise({"x": torch.zeros(0, 4)})
    assert (row.low, row.size) == (None, "(0, 4)")


def test_single_values_and_text_are_shown():
    sample = {"index": 3, "path": "/a/b/c/d.jpg", "text": "one\ntwo " * 50, "label": torch.tensor(2), "none": None}
    rows = {row.key: row for row in summary.summarise(sample)}
    assert rows["index"].text == "3"
    assert rows["path"].text == "…/c/d.jpg"
    assert rows["text"].text.startswith("one two one")
    assert len(rows["text"].text) == 80
    assert (rows["label"].text, rows["label"].kind, rows["label"].size) == ("2", "int64", "")
    assert rows["none"].text == "None"


def test_nested_batches_are_taken_apart():
    batch = (
        [torch.zeros(3, 4, 5), torch.ones(3, 6, 5)],
        [{"boxes": torch.zeros(2, 4), "image_id": 7}, {"boxes": torch.ones(1, 4), "image_id": 8}],
    )
    rows = {row.key: row for row in summary.summarise(batch)}
    assert rows["0"].size == "2 × (3, ?, 5)"
    assert rows["0"].mean == pytest.approx(90 / 150)
    assert rows["1.boxes"].size == "2 × (?, 4)"
    assert rows["1.boxes"].unit == "px"
    assert rows["1.image_id"].text == "7, 8"
    assert [row.key for row in summary.summarise([torch.zeros(2), torch.zeros(2)])] == ["0", "1"]
    assert [row.key for row in summary.summarise(["one", "two"])] == ["sample"]
    assert [row.key for row in summary.summarise(torch.zeros(3))] == ["sample"]
    packed = torch.nn.utils.rnn.pack_sequence([torch.ones(2), torch.ones(1)])
    assert summary.summarise({"tokens": packed})[0].key == "tokens.data"


def test_changes_are_named():
    before = {"same": np.ones(3), "as tensor": np.arange(3), "changed": np.array([1.0, 2.0]), "gone": 1}
    after = {"same": np.ones(3), "as tensor": torch.arange(3), "changed": np.array([2.0, 1.0]), "new": 2}
    found = {change.key: change for change in summary.compare(before, after)}
    assert {key: change.status for key, change in found.items()} == {
        "same": "same", "as tensor": "same", "changed": "changed", "gone": "dropped", "new": "added",
    }  # fmt: skip
    assert found["changed"].before == found["changed"].after  # the same numbers in another order count as changed


def test_numbers_and_sizes_are_short():
    assert [number(value) for value in (None, 0, 255.0, 1234567.0, 0.48921, -2.1179, 1e-9)] == [
        "", "0", "255", "1,234,567", "0.4892", "-2.118", "1e-09",
    ]  # fmt: skip
    assert (size(900), size(1_234_567)) == ("1 kB", "1.2 MB")
    assert shorten("a " * 40, 10) == "a a a a a…"


# --- pixels


def test_images_of_every_kind_are_shown_as_they_are():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (pixels, planes, planes / 255, planes.double() / 255, torch.from_numpy(pixels), pixels / 255):
        shown = picture.shown(image)
        np.testing.assert_array_equal(shown.pixels, pixels)
        assert shown.note == ""
    grey = picture.shown(pixels[:, :, :1])
    np.testing.assert_array_equal(grey.pixels, pixels[:, :, :1].repeat(3, 2))
    clear = np.concatenate([pixels, np.zeros((6, 5, 1), np.uint8)], 2)
    assert (picture.shown(clear).pixels == 255).all()


def test_normalisation_is_undone():
    planes = torch.rand(3, 6, 5)
    shown = picture.shown(NORMALIZE.on(planes), NORMALIZE)
    assert np.abs(shown.pixels - (planes * 255).permute(1, 2, 0).numpy()).max() <= 1
    assert shown.note == "Normalize undone"


def test_values_of_an_unknown_range_are_stretched_and_that_is_said():
    shown = picture.shown(torch.tensor([[[-2.0, 0.0, 2.0, math.nan]]]))
    assert shown.pixels[0, :, 0].tolist() == [0, 128, 255, 0]
    assert shown.note == "-2 … 2 shown as black … white"


def test_images_are_found():
    image = torch.zeros(3, 4, 4)
    assert picture.image_in({"image": image}) is image
    assert picture.image_in((image, 3)) is image
    assert picture.image_in([Image.new("L", (3, 2)), 1]).shape == (2, 3, 1)
    for sample in ({"text": "x"}, {"image": "x"}, ("a", 1), torch.zeros(7, 7, 7), None, {"image": np.zeros((0, 4, 3))}):
        assert picture.image_in(sample) is None


def test_normalisations_are_found_wherever_they_are():
    from torchvision.transforms import v2

    own = faces(4, chain(NORMALIZE))
    foreign = Mapped([1, 2], transform=v2.Compose([v2.Normalize([0.5], [0.2])]))
    inside = type("Foreign", (list,), {"transform": v2.Normalize([0.1], [0.3])})([1])
    assert picture.normalizers(own) == {repr(NORMALIZE): NORMALIZE}
    assert picture.normalizers(Concat([Subset(own, [0]), own])) == {repr(NORMALIZE): NORMALIZE}
    assert list(picture.normalizers(foreign).values()) == [Normalize((0.5,), (0.2,))]
    assert picture.normalizers(Mapped(inside)) == {"loaded": Normalize((0.1,), (0.3,))}
    assert picture.normalizers(faces(4, chain())) == {}
    assert picture.normalizers(None) == {}


# --- drawings


@pytest.mark.parametrize("canvas", [(28, 20), (90, 160), (200, 150), (1500, 1000)])
def test_a_point_is_drawn_where_it_is(canvas):
    height, width = canvas
    point = np.array([[width * 0.7, height * 0.3]], np.float32)
    drawn = draw({"image": np.zeros((*canvas, 3), np.uint8), "landmarks": point})
    pixels = np.asarray(drawn.image).astype(float).sum(2)
    assert max(drawn.image.size) <= 448
    rows, columns = np.nonzero(pixels > 200)
    assert len(rows) >= 9
    place = (columns.mean() + 0.5) / drawn.image.width, (rows.mean() + 0.5) / drawn.image.height
    assert place == pytest.approx((0.7, 0.3), abs=1.5 / min(drawn.image.size))
    assert drawn.size == canvas


def test_the_order_of_points_can_be_seen_and_dense_points_stay_apart():
    image = np.zeros((200, 200, 3), np.uint8)
    points = np.stack([np.linspace(20, 180, 5), np.full(5, 100)], 1).astype(np.float32)
    there, back = (np.asarray(draw({"image": image, "landmarks": order}).image) for order in (points, points[::-1]))
    assert np.abs(there.astype(int) - back).max() > 100
    dense = draw({"image": image, "landmarks": points * 0.15 + 80})
    row = np.asarray(dense.image).astype(int).sum(2)[round((100 * 0.15 + 80) * dense.image.height / 200)]
    assert (np.diff((row > 200).astype(int)) == 1).sum() == 5


def test_points_that_are_nowhere_do_not_matter():
    image = np.zeros((60, 60, 3), np.uint8)
    points = np.array([[-500, 20], [math.nan, 3], [1e6, 1e6]], np.float32)
    assert not np.asarray(draw({"image": image, "landmarks": points}).image).any()


def test_boxes_masks_and_names_are_drawn():
    image = np.full((100, 200, 3), 90, np.uint8)
    boxes = torch.tensor([[20.0, 30, 80, 90], [120, 10, 180, 60]])
    masks = np.zeros((2, 100, 200), np.uint8)
    masks[0, 40:80, 30:70] = 1
    sample = {"image": image, "boxes": boxes, "labels": torch.tensor([1, 5]), "masks": masks}
    drawn = np.asarray(draw(sample, classes=("background", "cat")).image).astype(int)
    assert drawn.shape == (200, 400, 3)
    changed = np.abs(drawn - 90).sum(2) > 20
    assert changed[120, 100]  # in the mask
    assert changed[120, 40]  # on the edge of the first box
    assert not changed[120, 50]  # between the two
    assert not changed[190, 380]
    other_name = np.asarray(draw(sample, classes=("background", "dog")).image).astype(int)
    assert np.abs(drawn - other_name).max() > 50
    no_objects = {"image": image, "boxes": boxes[:0], "labels": torch.zeros(0, dtype=torch.int64), "masks": masks[:0]}
    assert (np.asarray(draw(no_objects).image) == 90).all()


def test_small_images_keep_their_pixels_and_large_ones_fit():
    tiny = np.zeros((28, 28, 1), np.uint8)
    tiny[3, 5] = 255
    drawn = draw({"image": tiny})
    pixels = decoded(drawn.data_uri())
    assert drawn.pixelated
    assert set(np.unique(pixels)) == {0, 255}
    step = pixels.shape[0] // 28
    assert (pixels[3 * step : 4 * step, 5 * step : 6 * step] == 255).all()
    large = draw({"image": np.zeros((3000, 40, 3), np.uint8)})
    assert large.image.size == (6, 448)
    assert draw({"text": "no image"}) is None


# --- batches


def test_batches_of_every_form_are_taken_apart():
    images = torch.rand(4, 3, 8, 8)
    stacked = collate.stack([{"index": i, "image": image, "label": i} for i, image in enumerate(images)])
    assert [sample["label"] for sample in split(stacked)] == [0, 1, 2, 3]
    assert torch.equal(split(stacked)[2]["image"], images[2])
    samples = [{"image": image, "boxes": torch.zeros(1, 4)} for image in images]
    assert split(collate.detection(samples))[3]["boxes"].shape == (1, 4)
    assert [sample["label"] for sample in split([images, torch.arange(4)])] == [0, 1, 2, 3]
    assert len(split(images)) == 4
    for batch in ({"tokens": torch.zeros(4, 3)}, [], "text", None, [torch.zeros(4), torch.zeros(4)], {"image": ["a"]}):
        assert split(batch) == []


# --- files


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_whole(path, b"first")
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"second")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert path.read_bytes() == b"first"


def _umask():
    import os

    current = os.umask(0)
    os.umask(current)
    return current


# --- looking


def test_samples_are_the_first_of_the_shuffled_loader():
    dataset = faces(8, chain())
    seen = look(Target("faces", dataset), samples=3, batch_size=4, seed=5)
    assert [sample.key.index for sample in seen.samples] == seen.batch["index"][:3].tolist()
    for place, sample in enumerate(seen.samples):
        assert torch.equal(sample.stages[-1].sample["image"], seen.batch["image"][place])
        assert torch.equal(torch.as_tensor(sample.stages[-1].sample["landmarks"]), seen.batch["landmarks"][place])
    assert seen.chain[0] == "Rescale(72)"
    assert len(seen.samples[0].stages) == 5
    assert seen.errors == []
    again = look(Target("faces", dataset), samples=3, batch_size=4, seed=5)
    assert page.render(again) == page.render(seen)


def test_chosen_indices():
    dataset = faces(8)
    assert [sample.key.index for sample in look(Target("x", dataset), indices=[3, -1, 3]).samples] == [3, 7, 3]
    with pytest.raises(TargetError, match="index 8 is outside"):
        look(Target("x", dataset), indices=[8])
    assert look(Target("x", dataset), samples=0).samples == ()


def fails_on_three(sample):
    if sample["index"] == 3:
        raise ValueError("<b>three</b> & no more")
    return sample


def test_errors_take_the_place_of_what_is_missing():
    dataset = faces(8, Compose([Rescale((32, 32)), fails_on_three, ToTensor()]))
    seen = look(Target("faces", dataset), indices=[2, 3], batch_size=8)
    bad = seen.samples[1]
    assert [stage.name for stage in bad.stages] == ["loaded", "Rescale((32, 32))"]
    assert "FaceLandmarks[3]" in bad.error
    assert "fails_on_three" in bad.error
    assert seen.batch is None
    assert seen.errors == [bad.error]  # the batch failed for the same reason, which is said once
    html = Page(page.render(seen))
    assert "<b>three</b> & no more" in html.words()
    assert len(html.all("img")) == 4 + 2
    assert "b" not in [tag for tag, _ in html.elements if tag == "script"]


def test_a_batch_that_cannot_be_stacked_says_what_helps():
    seen = look(Target("faces", faces(8)))
    assert "key 'image' cannot be put into one batch" in seen.batch_error
    assert '-t "Rescale(256)"' in seen.batch_error
    assert '-t "' not in look(Target("faces", faces(8, Rescale(64)))).batch_error


def test_the_users_loader_gives_its_own_batch():
    loader = Loader(faces(8, chain()), 3, seed=9)
    seen = look(Target("mine", loader.records, loader))
    assert seen.seed == 9
    assert seen.batch["index"].tolist() == [0, 1, 2]
    assert seen.loader == "your Loader(batch_size=3, seed=9, shuffle=False, num_workers=0)"
    foreign = torch.utils.data.DataLoader([torch.rand(3, 9, 9) for _ in range(4)], batch_size=2)
    seen = look(Target("mine", Mapped(foreign.dataset), foreign), samples=1)
    assert seen.batch.shape == (2, 3, 9, 9)
    assert len(Page(page.render(seen)).all("img")) == 1 + 2


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from ({"x": torch.ones(2) * i} for i in range(5))


class Broken:
    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise ValueError("nothing here")


def test_loaders_over_streams_empty_ones_and_broken_ones():
    seen = look(Target("mine", None, torch.utils.data.DataLoader(Stream(), batch_size=2)))
    assert seen.samples == ()
    assert seen.batch["x"].shape == (2, 2)
    assert "The batch" in Page(page.render(seen)).words()
    empty = look(Target("mine", Mapped([])))
    assert empty.batch_error == "the loader is empty: it gave no batch at all"
    broken = torch.utils.data.DataLoader(Broken(), batch_size=2, num_workers=1)
    seen = look(Target("mine", Mapped(broken.dataset), broken), samples=1)
    assert seen.batch_error == "ValueError: nothing here (in a worker of the loader)"
    assert len(seen.errors) == 2


# --- the terminal


def test_lines_and_json_of_an_inspection():
    seen = look(Target("faces", faces(8, chain())), samples=2, batch_size=4)
    text = click.unstyle("\n".join(terminal.inspection_lines(seen)))
    assert "Rescale(72) → RandomCrop" in text
    assert re.search(r"image +uint8 \(\d+, \d+, 3\) +float32 \(3, 64, 64\)", text)
    assert re.search(r"image +float32 \(4, 3, 64, 64\)", text)
    document = json.loads(json.dumps(terminal.inspection_json(seen, "page.html"), allow_nan=False))
    assert [key["key"] for key in document["batch"]] == ["index", "image", "landmarks", "path"]
    image = document["samples"][0]["stages"][-1]["keys"][1]
    assert (image["shape"], image["type"]) == ([3, 64, 64], "float32")
    assert 0 <= image["min"] < image["mean"] < image["max"] <= 1


def test_errors_of_one_cause_are_one_line():
    errors = [f"Faces[{index}] faces/{index}.jpg: KeyError: 'x' (halve)" for index in (3, 8, 5)]
    other = ["Faces[9] faces/9.jpg: not an image", "the batch failed"]
    assert terminal.brief([*errors[:2], *other, errors[2]]) == [f"{errors[0]}; so does Faces[8], Faces[5]", *other]
    many = terminal.brief([f"Faces[{index}]: no" for index in range(30)])
    assert many == [f"Faces[0]: no; so does {', '.join(f'Faces[{index}]' for index in range(1, 11))} and 19 more"]
    assert terminal.brief([]) == []


def test_a_pil_image_is_told_by_mode_and_size():
    row = summary.summarise({"image": Image.new("L", (30, 20))})[0]
    assert row.text == "Image L 30 × 20"


def test_real_faces_have_their_points_on_them(faces):
    target = open_target("faces", root=faces.root, transform=Compose([Rescale(256), ToTensor()]))
    seen = look(target, indices=[65])
    assert seen.samples[0].path.endswith("person-7.jpg")
    bare = dict(seen.samples[0].stages[-1].sample)
    points = bare.pop("landmarks")
    with_points = draw({**bare, "landmarks": points})
    changed = np.abs(np.asarray(with_points.image).astype(int) - np.asarray(draw(bare).image)).sum(2) > 90
    scale = with_points.image.width / with_points.size[1]
    for x, y in (np.asarray(points) * scale).astype(int):
        assert changed[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()
    assert inspection.describe(ValueError("no")) == "ValueError: no"
    assert drawing.draw({"image": None}) is None
