import random

import numpy as np
import pytest
import torch

from datakit import Loader, Mapped, collate
from datakit.chain import same
from datakit.inspection.findings import find
from datakit.inspection.look import look
from datakit.sampling import Key
from datakit.targets import Target
from datakit.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Rescale,
    ToTensor,
)
from datakit.vision import FaceLandmarks, ImageFolder

IMAGENET = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def made(n=6, **keys):
    """Samples with a noisy image and what else is asked for: a value, or a function of the record's index."""
    samples = []
    for index in range(n):
        rng = np.random.default_rng(index)
        sample = {"image": rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)}
        sample.update({key: value(index) if callable(value) else value for key, value in keys.items()})
        samples.append(sample)
    return samples


def objects(count=2, **changes):
    """A detection sample's per-object keys; `changes` in place of some of them."""
    boxes = np.array([[2, 3, 12, 13], [0, 0, 30, 20]], np.float32)[:count]
    masks = np.zeros((count, 20, 30), np.uint8)
    masks[:, 3:13, 2:12] = 1
    return {"boxes": boxes, "labels": np.ones(count, np.int64), "masks": masks, **changes}


def findings(samples, *chain, classes=(), **options):
    dataset = Mapped(samples, transform=Compose(chain) if chain else None)
    dataset.classes = classes
    options = {"draws": 3, "batch_size": max(1, len(samples)), **options}
    return look(Target("made", dataset), **options).findings


def only(found, pattern):
    """The one finding, of which the text begins so."""
    (finding,) = found
    assert finding.text.startswith(pattern), finding.text
    assert finding.hint
    return finding


def image(change):
    """A step of a chain that changes the image."""

    def step(sample):
        return {**sample, "image": change(sample["image"])}

    step.__qualname__ = "changed"
    return step


def key(name, change):
    def step(sample):
        return {**sample, name: change(sample[name])}

    step.__qualname__ = "changed"
    return step


# --- no false alarms


@pytest.mark.parametrize(
    "chain",
    [
        [ToTensor()],
        [ToTensor(), IMAGENET],
        [ToTensor(scale=False), IMAGENET],
        [Rescale(16), RandomCrop(12), RandomHorizontalFlip(), ColorJitter(0.3, 0.3, 0.3), ToTensor()],
        [image(lambda pixels: pixels.astype(np.float32)), ToTensor(), Normalize((123, 117, 104), (58, 57, 57))],
    ],
)
def test_clean_images_give_no_findings(chain):
    assert findings(made(label=lambda index: index % 3), *chain, classes=("a", "b", "c")) == ()


def test_clean_objects_waveforms_and_texts_give_no_findings():
    assert findings([{**sample, **objects()} for sample in made()], RandomHorizontalFlip(), ToTensor()) == ()
    several = Mapped([{**sample, **objects(place % 3)} for place, sample in enumerate(made())], transform=ToTensor())
    detector = Loader(several, 3, collate_fn=collate.detection)
    assert look(Target("detector", detector.records, detector)).findings == ()
    assert findings([{"waveform": torch.linspace(-1, 1, 50)[None] * sign} for sign in (-1, 1)]) == ()
    assert findings([{"text": "a", "label": 1}, {"text": "bc", "label": 0}], classes=("x", "y")) == ()
    assert findings([]) == ()


def test_dark_and_flat_pictures_are_no_trouble():
    dark = [{"image": np.full((6, 6, 1), value, np.uint8)} for value in (0, 1, 255)]
    assert findings(dark, ToTensor()) == ()
    half = np.zeros((8, 16, 1), np.uint8)
    half[:, 9:] = 200
    assert findings([{"image": half}, {"image": 255 - half}], ToTensor(), Normalize((0.1,), (0.3,))) == ()


def test_what_ends_at_the_border_is_inside():
    samples = made(landmarks=np.array([[0, 0], [30, 20]], np.float32), **objects(2))
    assert findings(samples, RandomHorizontalFlip(1.0), Rescale((40, 50)), ToTensor()) == ()


def test_real_photographs_give_no_findings(hymenoptera):
    chain = Compose([RandomResizedCrop(224), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4), ToTensor(), IMAGENET])
    seen = look(Target("ants", ImageFolder(hymenoptera / "train", chain)), samples=24, survey_records=64)
    assert (seen.findings, seen.errors) == ((), [])
    plain = ImageFolder(hymenoptera / "train", Compose([Rescale(64), CenterCrop(64), ToTensor()]))
    seen = look(Target("ants", plain), samples=40, survey_records=8)
    assert (seen.findings, seen.draws) == ((), ())


def test_real_faces_say_only_what_is_true(faces):
    sizes = [faces[index]["image"].shape[:2] for index in range(69)]
    outside = [
        int(((points < -0.01) | (points > (width + 0.01, height + 0.01))).any(1).sum())
        for points, (height, width) in zip(faces.columns.column("landmarks"), sizes, strict=True)
    ]
    inside = [index for index in range(69) if not outside[index]][:20]
    scaled = faces.with_transform(Compose([Rescale((64, 64)), ToTensor(), IMAGENET]))
    assert look(Target("faces", scaled), indices=inside, survey_records=40).findings == ()
    found = only(look(Target("faces", scaled), indices=range(69), survey_records=0).findings, "")
    bad = [index for index in range(69) if outside[index]]
    expected = (
        f"{sum(outside)} of the {68 * len(bad)} landmarks in {len(bad)} of 69 samples lie outside the image as loaded"
    )
    assert found.text == expected
    assert "annotation" in found.hint
    assert found.indices == tuple(bad[:5])


def test_points_that_a_crop_cuts_off_are_called_normal(faces):
    cropped = faces.with_transform(Compose([Rescale(96), RandomCrop(64), ToTensor()]))
    seen = look(Target("faces", cropped), indices=[0, 1, 2, 3], survey_records=0)
    counts = []
    for index in range(4):
        points = np.asarray(cropped[Key(0, 0, index)]["landmarks"])
        counts.append(int(((points < -0.01) | (points > 64.01)).any(1).sum()))
    found = only(seen.findings, f"{sum(counts)} of the {68 * sum(map(bool, counts))} landmarks in ")
    assert "after RandomCrop(64)" in found.text
    assert found.hint.startswith("normal for a crop")


# --- values


def test_values_that_are_not_finite():
    def broken(index):
        return np.array([1.0, np.nan, np.inf]) if index == 2 else np.ones(3)

    found = only(findings(made(score=broken)), "score has 2 values that are not finite as loaded, in 1 of 6 samples")
    assert found.indices == (2,)
    divided = findings(made(score=broken)[:2], ToTensor(), key("score", lambda score: score / 0))
    only(divided, "score has 6 values that are not finite after changed, in 2 of 2 samples")


def test_a_float_image_that_is_still_in_bytes():
    found = findings(made(), image(lambda pixels: pixels.astype(np.float32)), ToTensor(), IMAGENET)
    assert "ToTensor" in only(found, "image is floating point from 0 to 255 after changed, in 6 of 6 samples").hint
    foreign = [(torch.rand(3, 8, 8) * 255, 1) for _ in range(3)]
    only(findings(foreign), "image is floating point from")


def test_an_image_outside_its_range_without_normalize():
    found = findings(made(), ToTensor(), image(lambda pixels: pixels * 4 - 2))
    assert only(found, "image goes from -2 to 2 after changed, in 6 of 6 samples").indices[:1] != ()


def test_an_image_that_was_divided_twice():
    found = findings(made(), ToTensor(), image(lambda pixels: pixels / 255), IMAGENET)
    only(found, "image is at most 0.003922 after changed, in 6 of 6 samples: it looks divided by 255 twice")
    only(findings([(torch.rand(3, 8, 8) / 255, 1) for _ in range(3)]), "image is at most 0.003")


def test_normalize_with_statistics_of_bytes():
    found = findings(made(), ToTensor(), Normalize((123, 117, 104), (58, 57, 57)))
    assert "divide the mean and std by 255" in only(found, "image goes from -2.1").hint
    only(findings(made(), ToTensor(), Normalize((123, 117, 104), (0.2, 0.2, 0.2))), "image goes from -615")


def test_normalize_with_a_far_result():
    only(findings(made(), ToTensor(), Normalize((0.5,), (0.01,))), "image goes from -50 to 50 after Normalize")


def test_torchvision_normalize_counts_too():
    from torchvision.transforms import v2

    chain = [ToTensor(), v2.Normalize([0.5, 0.5, 0.5], [0.2, 0.2, 0.2])]
    assert findings(made(), *chain) == ()
    only(findings(made(), ToTensor(), v2.Normalize([0.5] * 3, [0.002] * 3)), "image goes from -250 to 250 after Normal")


def test_an_image_that_was_wiped_out():
    found = findings(made(), ToTensor(), image(lambda pixels: pixels * 0), IMAGENET)
    only(found, "image has the same value in every pixel after changed, in 6 of 6 samples")


def test_a_waveform_that_is_too_loud():
    sounds = [{"waveform": torch.sin(torch.arange(80.0))[None] * 32767} for _ in range(3)]
    assert "32768" in only(findings(sounds), "waveform goes from -3.277e+04 to").hint
    scaled = [{"waveform": sound["waveform"] / 32767} for sound in sounds]
    only(findings(scaled, key("waveform", lambda wave: wave * 3)), "waveform goes from -3 to 3 after changed")


def test_labels_outside_the_classes():
    found = only(
        findings(made(label=lambda index: index - 1), classes=("a", "b", "c")),
        "3 of the 3 values of label in 3 of 6 samples are outside the 3 classes as loaded: from -1 to 4",
    )
    assert sorted(found.indices) == [0, 4, 5]
    many = [{**sample, **objects(labels=np.array([1, 7]))} for sample in made()]
    only(findings(many, classes=("background", "cat")), "6 of the 12 values of labels in 6 of 6 samples are outside")
    only(findings([(torch.zeros(3), 2)] * 3, classes=("a", "b")), "3 of the 3 values of label")


@pytest.mark.parametrize(("names", "said"), [(("Train", "val"), True), (("train", "bus"), False), (("test",), False)])
def test_splits_that_were_taken_for_classes(names, said):
    found = findings(made(label=lambda index: 0), classes=names)
    assert [one.text.endswith("these look like the splits of a dataset") for one in found] == [True] * said


def test_labels_that_only_the_survey_met():
    samples = made(40, label=lambda index: 9 if index == 13 else 0)
    found = findings(samples, classes=("a", "b"), indices=[0, 1], survey_records=None)
    only(found, "1 of 40 values of label are outside the 2 classes: 9")


def test_masks_that_are_not_binary():
    samples = [{**sample, **objects(masks=objects()["masks"] * 255)} for sample in made()]
    only(findings(samples), "masks go from 0 to 255 as loaded, with other values than 0 and 1, in 6 of 6 samples")


# --- places


def test_points_that_did_not_move_with_the_image():
    samples = made(landmarks=np.array([[5, 5], [25, 15]], np.float32))
    found = findings(samples, image(lambda pixels: np.ascontiguousarray(pixels[:10, :10])))
    only(found, "6 of the 12 landmarks in 6 of 6 samples lie outside the image after changed")
    assert found[0].hint == "does this transform move the landmarks with the image?"


def test_points_and_boxes_outside_in_the_data():
    found = findings(made(landmarks=lambda index: np.array([[31.0, 5], [5, 5]]) if index else np.zeros((2, 2))))
    assert "annotation" in only(found, "5 of the 10 landmarks in 5 of 6 samples lie outside the image as loaded").hint
    wide = np.array([[2, 3, 12, 13], [0, 0, 30, 20.5]], np.float32)
    found = findings([{**sample, **objects(boxes=wide)} for sample in made()])
    only(found, "6 of the 12 boxes in 6 of 6 samples lie outside the image as loaded")


def test_boxes_outside_after_the_chain():
    samples = [{**sample, **objects()} for sample in made()]
    only(
        findings(samples, key("boxes", lambda boxes: boxes + 5)),
        "6 of the 12 boxes in 6 of 6 samples lie outside the image after changed",
    )


def test_boxes_that_end_before_they_begin():
    widths = np.array([[12, 13, 2, 3], [0, 0, 30, 20]], np.float32)
    found = findings([{**sample, **objects(boxes=widths)} for sample in made()])
    assert "x, y, width, height" in only(found, "6 of the 12 boxes in 6 of 6 samples are empty or inverted").hint


def test_objects_that_lost_their_labels():
    samples = [{**sample, **objects(labels=np.ones(1, np.int64))} for sample in made()]
    found = only(findings(samples), "per-object keys differ in length as loaded, in 6 of 6 samples")
    assert found.text.endswith("boxes 2, labels 1, masks 2")
    bare = [{key: value for key, value in {**sample, **objects()}.items() if key != "labels"} for sample in made()]
    only(findings(bare), "boxes come without labels as loaded, in 6 of 6 samples")
    torchvision = [(torch.rand(3, 20, 30), {"boxes": torch.tensor([[0.0, 0, 40, 9]]), "labels": torch.ones(1)})]
    only(findings(torchvision), "1 of the 1 boxes in 1 of 1 samples lie outside the image as loaded")


# --- batches


def test_the_key_that_keeps_a_batch_from_being_made():
    samples = made(tokens=lambda index: np.zeros(3 + index % 2, np.int64))
    found = only(findings(samples, ToTensor()), "tokens keeps the batch from being made: int64 (")
    assert "collate.pad" in found.hint
    assert len(found.indices) == 2
    assert found.indices[0] % 2 != found.indices[1] % 2
    types = made(score=lambda index: np.zeros(2, np.float32 if index else np.float64))
    assert "one type" in only(findings(types, ToTensor()), "score keeps the batch from being made").hint
    cropped = findings(made(), image(lambda pixels: pixels[: 8 + int(pixels[0, 0, 0]) % 7]), ToTensor())
    assert "one size" in only(cropped, "image keeps the batch from being made: float32 (3, ").hint
    missing = findings([{"a": 1, "b": 2}, {"a": 1}], ToTensor())
    assert "same keys" in only(missing, "b keeps the batch from being made").hint


def test_foreign_collate_functions_are_looked_behind():
    dataset = [(torch.zeros(3, 8 + index, 9), index) for index in range(4)]
    loader = torch.utils.data.DataLoader(dataset, 4)
    seen = look(Target("mine", Mapped(dataset), loader), samples=0)
    only(seen.findings, "field 0 keeps the batch from being made: float32 (3, 8, 9) at index 0, float32 (3, 9, 9) at")
    assert len(seen.errors) == 1


def test_raw_samples_of_many_sizes_are_a_note_and_no_finding():
    seen = look(Target("faces", FaceLandmarks.synthetic(n=8)))
    assert seen.findings == ()
    assert len(seen.notes) == 1


def test_a_bad_record_is_no_trouble_of_the_batch():
    seen = look(Target("mine", Mapped(Torn())), batch_size=8, indices=[0])
    found = only(seen.findings, "1 of 8 records could not be read: Mapped[3]: ValueError: torn")
    assert "on_error" in found.hint
    assert seen.batch is None
    assert len(seen.errors) == 1
    named = look(Target("mine", Mapped(Torn())), batch_size=8, indices=[0, 3])
    assert (named.findings, named.errors) == ((), seen.errors)  # said as an error, and not again


class Torn:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 3:
            raise ValueError("torn")
        return {"x": index}


# --- chance


class OwnGenerator:
    def __init__(self):
        self.rng = random.Random(0)

    def __call__(self, sample):
        return {**sample, "noise": self.rng.random()}

    def __repr__(self):
        return "OwnGenerator()"


def test_a_transform_that_is_not_under_the_key():
    found = only(findings(made(), ToTensor(), OwnGenerator()), "two runs under the same key give different samples")
    assert "after OwnGenerator()" in found.text
    assert len(found.indices) == 5


@pytest.mark.parametrize("verify", [True, False])
def test_the_users_loader_keeps_its_check(verify):
    dataset = Mapped(made(), transform=Compose([ToTensor(), OwnGenerator()]))
    loader = Loader(dataset, 2, verify=verify)
    seen = look(Target("mine", loader.records, loader))
    only(seen.findings, "two runs under the same key")
    assert seen.errors == []
    assert seen.batch["image"].shape == (2, 3, 20, 30)
    assert loader.verify is verify


class FailsTheSecondTime:
    def __init__(self):
        self.calls = 0

    def __call__(self, sample):
        self.calls += 1
        if self.calls == 2:
            raise ValueError("again?")
        return sample

    def __repr__(self):
        return "FailsTheSecondTime()"


def test_a_second_run_that_fails_is_another_one():
    found = findings(made(1), ToTensor(), FailsTheSecondTime(), draws=1)
    assert "after FailsTheSecondTime()" in only(found, "two runs under the same key").text


def test_draws_are_the_epochs_of_one_sample():
    dataset = FaceLandmarks.synthetic(n=8, transform=Compose([Rescale(72), RandomCrop(64), ToTensor()]))
    seen = look(Target("faces", dataset), samples=3, seed=4, draws=5, survey_records=0)
    index = seen.samples[0].key.index
    assert [draw.key for draw in seen.draws] == [Key(4, epoch, index) for epoch in range(5)]
    for draw in seen.draws:
        assert same(draw.stages[-1].sample, dataset[draw.key])
        assert draw.stages[0] is seen.samples[0].stages[0]
    assert len({draw.stages[-1].sample["image"].sum().item() for draw in seen.draws}) > 1
    assert seen.survey is None


@pytest.mark.parametrize("chain", [(), (Rescale((8, 8)), ToTensor()), (RandomCrop((20, 30)), ToTensor())])
def test_without_chance_there_are_no_draws(chain):
    dataset = Mapped(made(), transform=Compose(chain) if chain else None)
    assert look(Target("made", dataset)).draws == ()
    assert look(Target("made", dataset), draws=0).draws == ()


def test_draws_begin_with_a_sample_that_came_through():
    def second(sample, rng):
        if sample["index"] == 0:
            raise ValueError("first")
        return {**sample, "draw": rng.integers(2**62)}

    seen = look(Target("made", Mapped(made(), transform=second)), indices=[0, 3], draws=3)
    assert [draw.key.index for draw in seen.draws] == [3, 3, 3]


def test_a_record_that_fails_in_another_epoch():
    def picky(sample, rng):
        sample = {**sample, "draw": rng.integers(2**62)}
        if sample["draw"] % 2 != first % 2:
            raise ValueError("odd one out")
        return sample

    dataset = Mapped(made(1), transform=picky)
    free = dataset.with_transform(lambda sample, rng: {**sample, "draw": rng.integers(2**62)})
    first = free[Key(0, 0, 0)]["draw"]
    epochs = [epoch for epoch in range(8) if free[Key(0, epoch, 0)]["draw"] % 2 != first % 2]
    seen = look(Target("made", dataset), survey_records=0)
    found = only(seen.findings, "this record came through in epoch 0, and fails in epoch")
    assert f"fails in epoch {', '.join(map(str, epochs))}: Mapped[0]: ValueError: odd one out" in found.text
    assert seen.errors == []


# --- all together


def test_progress_covers_everything():
    calls = []
    dataset = Mapped(made(40), transform=Compose([RandomCrop(10), ToTensor()]))
    look(Target("made", dataset), samples=2, draws=3, survey_records=20, progress=lambda *call: calls.append(call))
    assert {total for *_, total in calls} == {2 + 2 + 1 + 20}
    assert [done for _, done, _ in calls] == [0, 1, 2, 3, 4, 5, 5 + 16, 5 + 20]
    names = [what for what, *_ in calls]
    assert names[0].startswith("sample ")
    assert names[2:] == ["draw 2 of 3", "draw 3 of 3", "batch", *["figures of 20 records"] * 3]


def test_figures_are_those_that_were_asked_for():
    target = Target("made", Mapped(made(30)))
    assert look(target, survey_records=0).survey is None
    assert look(target, survey_records=4).survey.read == 4
    assert look(target, survey_records=None).survey.read == 30
    assert look(Target("stream", None, torch.utils.data.DataLoader(Torn(), 2))).survey is None


def test_figures_that_cannot_be_made_are_a_finding():
    dataset = Mapped(made(4), transform=lambda sample: sample)
    dataset.fn = Dies()
    found = look(Target("mine", dataset), samples=0, batch_size=2, survey_workers=1).findings
    assert [finding.text.split(":")[0] for finding in found] == ["the figures of the dataset could not be made"]


class Dies:
    """Ends a worker process, and not this one."""

    def __call__(self, item):
        import os

        if torch.utils.data.get_worker_info() is not None:
            os._exit(1)
        return item


def test_several_defects_in_company():
    samples = made(
        8,
        label=lambda index: index,
        landmarks=np.array([[31.0, 5], [5, 5]]),
        tokens=lambda index: np.zeros(3 + index, np.int64),
        **objects(boxes=np.array([[12, 13, 2, 3], [0, 0, 30, 20]], np.float32)),
    )
    chain = [ToTensor(), image(lambda pixels: pixels / 255), OwnGenerator()]
    found = findings(samples, *chain, classes=("a", "b", "c"))
    for text in (
        "tokens keeps the batch", "two runs under the same key", "image is at most", "5 of the 5 values of label",
        "8 of the 16 landmarks", "8 of the 16 boxes",
    ):  # fmt: skip
        assert sum(finding.text.startswith(text) for finding in found) == 1, (text, found)
    assert len(found) == 6


def test_samples_looked_at_twice_count_once():
    dataset = Mapped(made(landmarks=np.array([[31.0, 5]])))
    found = look(Target("made", dataset), indices=[2, 2, -4], survey_records=0).findings
    assert only(found, "1 of the 1 landmarks in 1 of 1 samples").indices == (2,)
    assert find(()) == ()
