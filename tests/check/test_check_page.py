"""The page of `check`: what is on it, what is drawn, and what may be wrong with the data without breaking it."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from pages import Page, decoded

from datakit import Mapped
from datakit.audio import SpokenDigits
from datakit.check.findings import Finding, Offender, Part, Place, Report
from datakit.check.kinds import KINDS
from datakit.errors import CorruptDataError
from datakit.report.check.evidence import SHOWN
from datakit.report.check.marking import RED
from datakit.report.check.page import is_ours, render
from datakit.report.check.wrong import wrong_in
from datakit.text import Names
from datakit.transforms import Compose, Normalize, Rescale, ToTensor
from datakit.vision import FaceLandmarks, ImageFolder

GREY = np.full((80, 100, 3), 120, np.uint8)


def scene(**keys):
    return {"image": GREY, **keys}


def report(*findings, parts=("",), **options):
    return Report("data/pets", tuple(Part(part, "Data('data/pets')", 9, 9) for part in parts), findings, **options)


def found(kind, *indices, part="", **options):
    offenders = tuple(Offender(Place(part, index, f"cat/{index}.png")) for index in indices)
    return Finding(kind, f"these show {kind}", len(indices), 9, offenders, **options)


def page_of(samples, *findings, transform=None, **options):
    """The page over samples that are at hand."""
    dataset = samples if hasattr(samples, "trace") else Mapped(samples, transform=transform)
    return Page(render(report(*findings, chain=("Step()",) if transform else ()), {"": dataset}, **options))


def redness(pixels):
    """Where a picture is as red as marks are, (H, W)."""
    return (np.abs(pixels.astype(int) - RED).max(2) < 60) & (pixels[..., 0].astype(int) > pixels[..., 1] + 90)


# --- what is wrong, in red


BOXES = np.array(
    [[10, 10, 40, 40], [60, 20, 130, 50], [70, 60, 70, 75], [50, 60, 45, 70], [10, 10, 40, 40]], np.float32
)
MASKS = np.zeros((5, 80, 100), np.uint8)
MASKS[0, 10:40, 10:40] = 1
MASKS[1, 20:50, 60:100] = 1
MASKS[3, 60:71, 44:51] = 1
MASKS[4, 10:39, 10:40] = 1


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("box-outside", [1]),
        ("box-empty", [2, 3]),
        ("box-twice", [0, 4]),
        ("mask-empty", [2]),
        ("mask-mismatch", [1, 3]),
        ("unknown-label", [3]),
    ],
)
def test_objects_that_are_wrong_are_known(kind, wrong):
    labels = torch.tensor([0, 1, 0, 2, 1])
    sample = scene(boxes=torch.from_numpy(BOXES), masks=MASKS, labels=labels)
    seen = wrong_in(sample, kind, classes=("a", "b"))
    assert np.flatnonzero(seen.bad_objects).tolist() == wrong
    assert not seen.bad_points.any()
    kept = [place for place in range(5) if place not in wrong and place != 4]
    whole = {key: sample[key][kept] for key in ("boxes", "masks", "labels")}
    if kind != "mask-mismatch":  # of those that are near their masks the farthest is marked
        assert wrong_in({**sample, **whole}, kind, ("a", "b")) is None


def test_points_that_are_wrong_are_known():
    landmarks = np.array(
        [[5, 5], [100, 80], [100.5, 3], [-1, 4], [5, 5], [np.nan, np.nan], [np.nan, np.nan]], np.float32
    )
    keypoints = torch.tensor([[[0.0, 0, 0], [50, 90, 2]]])
    sample = scene(landmarks=landmarks, keypoints=keypoints)
    assert np.flatnonzero(wrong_in(sample, "point-outside").bad_points).tolist() == [2, 3, 7]
    assert np.flatnonzero(wrong_in(sample, "identical-points").bad_points).tolist() == [0, 4]
    assert wrong_in({"image": GREY, "landmarks": landmarks[:2]}, "point-outside") is None
    assert wrong_in({"landmarks": landmarks}, "point-outside") is None
    assert wrong_in(sample, "range") is None


def picture_of(sample, kind, **options):
    (image,) = page_of([sample], found(kind, 0), **options).all("img")
    return decoded(image["src"]), image


def test_a_box_outside_is_drawn_red_beyond_the_image():
    pixels, image = picture_of(scene(boxes=np.array([[10, 10, 40, 40], [60, 20, 120, 50]], np.float32)), "box-outside")
    scale = pixels.shape[1] / (100 + 20 + 6)  # as far as the box goes, and 6 % of air
    assert pixels.shape[0] == pytest.approx(80 * scale, abs=2)
    red = redness(pixels)
    assert red[round(35 * scale), round(118 * scale) : round(122 * scale)].any()
    assert red[round(49 * scale) : round(51 * scale), round(90 * scale)].any()
    assert not red[:, : round(50 * scale)].any()  # the other box is right
    outside = pixels[round(70 * scale) :, round(104 * scale) :]
    assert outside.min() > 190
    assert np.abs(pixels[round(70 * scale), : round(98 * scale)].astype(int) - 120).max() < 12
    assert image["alt"] == "record 0, as loaded, 100 by 80 pixels, with 2 objects"


@pytest.mark.parametrize("box", [[50, 30, 50, 60], [50, 30, 50, 30], [70, 60, 50, 30]])
def test_an_empty_or_inverted_box_can_be_seen(box):
    pixels, _ = picture_of(scene(boxes=np.array([box], np.float32)), "box-empty")
    scale = pixels.shape[1] / 100
    around = redness(pixels)[round(24 * scale) : round(66 * scale), round(44 * scale) : round(76 * scale)]
    assert around.sum() > 30
    assert redness(pixels).sum() < 0.2 * pixels.shape[0] * pixels.shape[1]


def test_points_outside_are_red_and_those_inside_are_not():
    landmarks = np.array([[50, 40], [110, 40], [9000, -9000]], np.float32)
    pixels, _ = picture_of(scene(landmarks=landmarks), "point-outside")
    inner = np.abs(pixels.astype(int) - 120).max(2) < 12  # grey: the image itself
    rows, columns = np.flatnonzero(inner.any(1)), np.flatnonzero(inner.any(0))
    scale = (columns[-1] - columns[0]) / 100
    at = lambda x, y: (round(rows[0] + y * scale), round(columns[0] + x * scale))  # noqa: E731
    red = redness(pixels)
    assert red[at(110, 40)]
    assert not red[at(50, 40)]
    assert red[: rows[0], columns[-1] :].any()  # the far one at the edge, with where it is
    assert max(pixels.shape) <= 401


def test_a_mask_that_disagrees_is_tinted_beside_its_box():
    boxes, masks = np.array([[10, 10, 40, 40], [60, 20, 90, 50]], np.float32), np.zeros((2, 80, 100), np.uint8)
    masks[0, 10:40, 10:40] = 1
    masks[1, 50:70, 20:40] = 1
    pixels, _ = picture_of(scene(boxes=boxes, masks=masks), "mask-mismatch")
    scale = pixels.shape[1] / 100
    tinted = pixels[round(60 * scale), round(30 * scale)].astype(int)
    assert tinted[0] > tinted[2] + 60
    assert redness(pixels)[round(20 * scale), round(60 * scale) : round(90 * scale)].any()
    assert not redness(pixels)[:, : round(45 * scale)].any()


def test_the_first_stage_that_is_wrong_is_shown():
    def spoil(sample):
        return {**sample, "boxes": sample["boxes"] + 70}

    chain = Compose([spoil, lambda sample: sample])
    page = page_of([scene(boxes=BOXES[:1])], found("box-outside", 0), transform=chain)
    (image,) = page.all("img")
    assert image["alt"].startswith("record 0, after ")
    assert "spoil" in image["alt"]
    assert "red: 1 of 1 boxes" in page.words()


# --- which pictures


def test_copies_stand_beside_each_other():
    place = Place("val", 0, "b.png")
    offender = Offender(Place("train", 1, "a.png"), "3 bits differ", (place, *(Place("val", at) for at in range(1, 6))))
    one = Finding("near-leak", "one is", 1, 9, (offender,))
    datasets = {name: Mapped([scene(label=at) for at in range(6)]) for name in ("train", "val")}
    datasets["train"].classes = ("cat", "dog")
    html = Page(
        render(report(one, parts=("train", "val")), datasets, commands={"val": "datakit inspect x --split val"})
    )
    assert [image["alt"].split(",")[0] for image in html.all("img")] == ["train[1]", "val[0]", "val[1]", "val[2]"]
    for text in ("and 3 more that it goes with", "3 bits differ", "a.png", "b.png", "dog", "label 2"):
        assert text in html.words()
    assert "datakit inspect x --split val --index 0" in html.words()


class Counted(list):
    """Samples, and how often they were asked for."""

    asked = 0

    def __getitem__(self, index):
        self.asked += 1
        return super().__getitem__(index)


def fails(sample):
    raise ValueError("<b>no</b>")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_shown_over_every_kind_of_sample(kind):
    boxes = {"boxes": BOXES, "labels": np.arange(5), "masks": MASKS, "landmarks": BOXES[:, :2]}
    samples = [
        scene(**boxes),
        scene(boxes=BOXES[:, :3], labels=np.arange(9)),
        scene(boxes=np.full((2, 4), np.nan, np.float32), masks=MASKS[:, :7, :8], landmarks=np.full((3, 2), np.inf)),
        {"image": torch.full((3, 4, 4), torch.nan), "boxes": torch.zeros(0, 4)},
        {"image": np.zeros((0, 4, 3), np.uint8)},
        {"waveform": torch.zeros(1, 800), "sample_rate": 8000},
        {"waveform": torch.zeros(0, 0), "text": ""},
        {"text": "a\x00b", "tokens": np.arange(3)},
        (GREY, 3),
        None,
        7,
    ]
    html = page_of(samples[:SHOWN], found(kind, *range(8)), transform=Compose([lambda sample: sample]))
    rest = page_of(samples[SHOWN:], found(kind, *range(3)))
    assert html.words().count("record ") >= 8
    assert rest.words().count("record ") >= 3
    assert "it could not be drawn" not in html.words() + rest.words()
    assert len(html.all("img")) >= (0 if kind == "unreadable" else 4)


def test_what_cannot_be_read_or_drawn_is_text():
    dataset = Mapped([scene()], transform=fails)
    html = page_of(dataset, found("chain", 0), found("range", 0), found("leak", 0, 5), found("leak", 0, part="gone"))
    assert html.words().count("<b>no</b>") == 2
    assert len(html.all("img")) == 3  # a leak is about the data: the chain is left alone
    for text in ("Mapped[5]: there are 1 records", "there is no dataset to read it from"):
        assert text in html.words()


def test_what_cannot_be_read_is_not_read_again():
    samples = Counted([scene()])
    broken = found("unreadable", 0)
    told = replace(broken, offenders=(replace(broken.offenders[0], detail="truncated PNG at byte 7"),))
    assert "truncated PNG at byte 7" in page_of(Mapped(samples), told).words()
    assert samples.asked == 0

    def missing(sample):
        raise CorruptDataError("truncated PNG at byte 9")

    words = page_of(Mapped([1], missing), broken).words()
    assert words.count("truncated PNG at byte 9") == 1


def test_an_error_that_the_finding_tells_already_stands_there_once():
    told = Finding("chain", "fails", 1, 9, (Offender(Place("", 0), "ValueError: <b>no</b>"),))
    assert page_of(Mapped([scene()], transform=fails), told).words().count("<b>no</b>") == 1


def test_without_patience_nothing_is_read():
    samples = Counted([scene()] * 9)
    html = page_of(Mapped(samples), found("range", 0, 1), patience=0)
    assert samples.asked == 0
    assert html.words().count("there was no time left for it") == 2
    assert "cat/1.png" in html.words()


def test_a_normalisation_is_undone_unless_it_is_what_is_wrong():
    normalize = Normalize((0.5, 0.5, 0.5), (0.1, 0.1, 0.1))
    dataset = Mapped([scene()], transform=Compose([ToTensor(), normalize]))
    looks = {kind: page_of(dataset, found(kind, 0)) for kind in ("constant", "normalized")}
    assert "Normalize undone" in looks["constant"].words()
    assert "Normalize undone" not in looks["normalized"].words()
    grey = [decoded(html.all("img")[-1]["src"]).mean() for html in looks.values()]
    assert abs(grey[0] - 120) < 2
    assert abs(grey[1] - 120) > 60


def test_an_impure_record_is_read_twice():
    state = iter(range(1000))

    def drifts(sample):
        return {"image": np.full((60, 60, 3), 20 * (next(state) % 12), np.uint8)}

    images = page_of([scene()], found("impure", 0), transform=drifts).all("img")
    assert [image["alt"].split(", ")[1] for image in images] == ["read once", "read again under the same key"]
    first, second = (decoded(image["src"]).mean() for image in images)
    assert abs(second - first) > 5


def test_the_same_seed_draws_the_same_page():
    chain = Compose([lambda sample, rng=None: {"image": rng.integers(0, 255, (30, 40, 3)).astype(np.uint8)}])
    pages = [
        render(report(found("range", 0)), {"": Mapped([scene()], transform=chain)}, seed=seed) for seed in (0, 0, 1)
    ]
    assert pages[0] == pages[1] != pages[2]


def test_sounds_are_drawn_and_heard_and_texts_are_read():
    digits = SpokenDigits.synthetic(n=4)
    html = page_of(digits, found("duplicate", 0, 2))
    assert len(html.all("svg")) == len(html.all("audio")) == 2
    names = Names.synthetic(n=8)
    words = page_of(names, found("outlier", 3)).words()
    assert names[3]["text"] in words


def test_a_long_sound_and_a_long_text_do_not_fill_the_page():
    samples = [
        {"waveform": torch.rand(1, 400_000) - 0.5, "sample_rate": 16000},
        {"text": "<&>" * 300_000},
        {"spectrogram": torch.rand(1, 600, 1500), "sample_rate": 16000},
        {f"key{place}": place for place in range(5000)},
    ]
    html = render(report(*(found("drift", 0, 1, 2, 3) for _ in range(10))), {"": Mapped(samples)})
    assert len(html) < 1.4e6
    assert len(Page(html).all("audio")) == 10


# --- the page as a whole


@pytest.fixture(scope="module")
def whole():
    """A page with everything on it."""
    faces = FaceLandmarks.synthetic(n=24, transform=Compose([Rescale(72), ToTensor()]))
    many = tuple(Offender(Place("train", place % 24, f"{place}.jpg"), "far") for place in range(30))
    findings = (
        Finding("unreadable", "1 record cannot be read", 1, 24, (Offender(Place("train", 3, "3.jpg"), "truncated"),)),
        Finding("leak", "2 are", 2, 9, (Offender(Place("test", 1), "", (Place("train", 2),)),)),
        Finding("range", "30 of 9,000 are", 9000, 24, many),
        Finding("memory", "it grows by 3 MB a batch"),
        Finding("memory", "it grows by 4 MB a batch", advice="use Columns"),
        Finding("imbalance", "9 to 1"),
    )
    parts = Part("train", "Faces: 24 records", 24, 24, 20), Part("test", "Faces: 9 records", 9, 5)
    seen = Report("faces", parts, findings, ("Rescale(72)", "ToTensor()"), 16, 2.5, ("sounds: no fingerprint",))
    return render(seen, {"train": faces, "test": faces}, commands={"train": "datakit inspect faces --root 'my data'"})


def test_it_loads_nothing_and_runs_its_one_script_only(whole):
    assert not re.search(r"https?:|url\(|@import|<iframe|<object|EventSource", whole)
    html = Page(whole)
    for tag, attributes in html.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert len(html.all("script")) == 1
    (policy,) = (meta["content"] for meta in html.all("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_it_is_made_for_reading(whole):
    html = Page(whole)
    tags = [tag for tag, _ in html.elements]
    assert [tags.count(tag) for tag in ("h1", "main", "header", "footer", "nav")] == [1, 1, 1, 1, 1]
    assert tags.count("figure") == tags.count("figcaption") == len(html.all("img")) == 2 + 8 * 2
    identifiers = [attributes["id"] for _, attributes in html.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert all(link["href"][1:] in identifiers for link in html.all("a"))
    assert all("scope" in cell for cell in html.all("th"))
    assert all(image["alt"] for image in html.all("img"))


def test_it_says_everything(whole):
    words = Page(whole).words()
    for text in (
        "2 errors, 3 warnings, 1 note in 24 records of train and 5 of 9 of test.",
        "16 records", "2.5 s", "sounds: no fingerprint", "truncated", "it grows by 4 MB a batch", "use Columns",
        "datakit inspect faces --root 'my data' --index 0,1,2,3,4,5,6,7", "22 more by name", "8.jpg", "and 8,970 more",
        KINDS["leak"].why, KINDS["leak"].hint, "1 of 24", "9,000 of 24",
    ):  # fmt: skip
        assert text in words, text
    anchors = [link["href"] for link in Page(whole).all("a") if link["href"].startswith("#finding-")]
    assert anchors == [f"#finding-{place}" for place in range(1, 7)]


def test_what_comes_from_the_data_stays_text():
    foul = "<script>alert(1)</script>\x1b\u202e'\"&"
    place = Place(foul, 0, foul)
    finding = Finding("empty", foul, 1, 1, (Offender(place, foul, (place,)),) * 12, foul)
    seen = Report(foul, (Part(foul, foul, 1, 1),), (finding,), (foul,), 1, 1.0, (foul,), foul)
    dataset = Mapped([{"text": foul, foul: foul, "label": 0}])
    dataset.classes = (foul + "\udcff",)
    text = render(seen, {foul: dataset}, commands={foul: "datakit inspect '<script>\udcff'"})
    html = Page(text)
    assert len(html.all("script")) == 1
    assert text.count("<script") == 1
    assert html.words().count("<script>alert(1)</script>") > 30
    assert not {"\x1b", "\u202e"} & set(text)
    text.encode("utf-8")  # raises where half a surrogate pair is left


def test_nothing_found_and_stopped_midway():
    html = Page(render(report(notes=("sounds",)), {}))
    assert "Nothing found. Looked at 9 records." in html.words()
    assert html.all("fieldset") == []
    assert "sounds" in html.words()
    stopped = Page(render(report(found("leak", 0), interrupted="reading records, 4 of 9"), {})).words()
    assert "Stopped at reading records, 4 of 9" in stopped
    assert "1 error so far in 9 records." in stopped
    assert "Nothing found so far." in Page(render(report(interrupted="reading records"), {})).words()


def test_only_pages_of_datakit_are_ours(tmp_path, whole):
    (tmp_path / "page.html").write_text(whole)
    (tmp_path / "other.html").write_text("<!DOCTYPE html><html></html>")
    assert is_ours(tmp_path / "page.html")
    assert not is_ours(tmp_path / "other.html")
    assert is_ours(tmp_path / "none.html")


def test_progress_is_told():
    told = []
    page_of([scene()], found("leak", 0), found("range", 0), progress=lambda *what: told.append(what))
    assert told == [("drawing leak", 0, 2), ("drawing range", 1, 2)]


def test_twenty_findings_of_eight_photos_are_small(hymenoptera):
    photos = ImageFolder(hymenoptera / "train", transform=Compose([Rescale((224, 224)), ToTensor()]))
    kinds = ("range", "constant", "duplicate", "drift", "leak")
    findings = [found(kind, *range(at, 244, 31)) for at in range(4) for kind in kinds]
    assert [len(finding.offenders) for finding in findings] == [8] * 20
    html = render(replace(report(*findings), chain=("Rescale(224)", "ToTensor()")), {"": photos})
    assert len(Page(html).all("img")) >= 150
    assert len(html) < 2e6
