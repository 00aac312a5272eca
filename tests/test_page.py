import base64
import hashlib
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from pages import Page, decoded
from PIL import Image

from datakit import Loader, Mapped
from datakit.errors import DatakitError
from datakit.inspection.look import Finding, Inspected, Stage, look
from datakit.inspection.normalize import with_normalize
from datakit.inspection.survey import Channels, ClassCounts, MeanShape, Survey
from datakit.report import figures, page
from datakit.report.charts import mean_shape, ratio_histogram, size_scatter
from datakit.report.contact_sheet import contact_sheet
from datakit.report.history import history
from datakit.report.room import SIDE, Room, room_of
from datakit.report.show import show
from datakit.sampling import Key
from datakit.targets import Target
from datakit.transforms import FACE68_PAIRS, Compose, Normalize, RandomCrop, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import FaceLandmarks

NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def chain(*more):
    return Compose([Rescale(72), RandomCrop(64), RandomHorizontalFlip(pairs=FACE68_PAIRS), ToTensor(), *more])


def synthetic(n=8, transform=None):
    return FaceLandmarks.synthetic(n=n, transform=transform)


def seen_in(dataset, **options):
    return look(Target("faces", dataset), **{"draws": 0, "survey_records": 0, **options})


@pytest.fixture(scope="module")
def seen():
    return replace(seen_in(synthetic(8, chain(NORMALIZE)), samples=3, batch_size=8), findings=())


@pytest.fixture(scope="module")
def rendered(seen):
    return page.render(seen)


# --- what is on it


def test_every_picture_is_there_and_described(rendered):
    images = Page(rendered).all("img")
    assert len(images) == 3 * 6 + 8
    for image in images:
        assert re.match(r"sample \d+ (as loaded|after \w+|in the batch)", image["alt"])
        assert "68 landmarks" in image["alt"]
        pixels = decoded(image["src"])
        assert pixels.std() > 5
        assert (pixels.shape[1], pixels.shape[0]) == (int(image["width"]), int(image["height"]))


def policy_of(html):
    (policy,) = (meta["content"] for meta in Page(html).all("meta") if "http-equiv" in meta)
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


def test_the_page_loads_nothing_and_runs_its_one_script_only(seen, rendered):
    assert not re.search(r"https?:|url\(|@import|<iframe|<object|EventSource", rendered)
    for tag, attributes in Page(rendered).elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "srcset", "href", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    for html in (rendered, page.render(seen, live="/events")):
        policy = policy_of(html)
        (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == f"'sha256-{digest}'"
    assert "connect-src" not in policy_of(rendered)


def test_a_live_page_listens_to_its_server(seen):
    html = page.render(seen, live="/stream?a=1&b=2")
    assert "EventSource" in html
    assert policy_of(html)["connect-src"] == "'self'"
    assert Page(html).all("body") == [{"data-live": "/stream?a=1&b=2"}]


def test_the_page_is_made_for_reading(rendered):
    html = Page(rendered)
    tags = [tag for tag, _ in html.elements]
    assert (tags.count("h1"), tags.count("main"), tags.count("header"), tags.count("footer")) == (1, 1, 1, 1)
    assert tags.count("figure") == tags.count("figcaption") == tags.count("img")
    assert tags.count("article") == 3
    assert html.all("html") == [{"lang": "en"}]
    assert "width=device-width" in rendered
    identifiers = [attributes["id"] for _, attributes in html.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for link in html.all("a"):
        assert link["href"][1:] in identifiers
    assert all("scope" in cell for cell in html.all("th"))


def test_the_page_says_what_was_done(rendered):
    words = Page(rendered).words()
    for expected in (
        "faces", "8 records", "RandomCrop(64)", "seed 0", "torch", "Normalize undone",
        "Key(seed=0, epoch=0, index=", "(8, 3, 64, 64)", "(8, 68, 2)", "float32", "px",
    ):  # fmt: skip
        assert expected in words


def test_captions_name_every_stage_in_order(rendered):
    captions = re.findall(r"<figcaption><b>([^<]*)</b>", rendered)[:6]
    assert captions == ["loaded", "Rescale", "RandomCrop", "RandomHorizontalFlip", "ToTensor", "Normalize"]


class Texts:
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return {"note": "<script>alert('&')</script>", "label": index}


def test_samples_without_an_image_are_tables():
    dataset = Mapped(Texts())
    parsed = Page(page.render(look(Target('<i>"x"</i>', dataset), samples=2, draws=0, survey_records=0)))
    assert parsed.all("img") == []
    assert len(parsed.all("table")) == 3
    assert all("open" in details for details in parsed.all("details"))
    assert len(parsed.all("script")) == 1
    assert parsed.all("i") == []
    assert "<script>alert('&')</script>" in parsed.words()


def test_very_many_samples_get_smaller_pictures():
    seen = seen_in(synthetic(8, chain(NORMALIZE)), indices=[0, 1, 2, 3] * 5, batch_size=8)
    assert room_of(seen).side < SIDE
    assert len(page.render(seen)) < 10e6


def test_page_of_ours_is_known(tmp_path, rendered):
    (tmp_path / "page.html").write_text(rendered)
    (tmp_path / "thesis.html").write_text("<!DOCTYPE html><html>")
    assert page.is_ours(tmp_path / "page.html")
    assert page.is_ours(tmp_path / "not there")
    assert not page.is_ours(tmp_path / "thesis.html")


# --- keys after every stage


def stage_by_stage():
    image = np.zeros((4, 6, 3), np.uint8)
    other = image + np.uint8(3)
    return [
        ("loaded", {"image": image, "label": 1, "path": "a"}),
        ("Same", {"image": image.copy(), "label": 1, "path": "a"}),
        ("Add(1)", {"image": other, "label": 1, "path": "a", "new": torch.ones(2)}),
        ("Drop", {"image": other, "label": 1}),
        ("Again", {"image": other[::-1].copy(), "label": 2, "path": "b"}),
    ]


def test_the_history_of_a_key_has_the_stages_that_touched_it():
    found = {key.key: [(step.stage, step.status) for step in key.steps] for key in history(stage_by_stage())}
    assert found == {
        "image": [("loaded", "loaded"), ("Add(1)", "changed")],
        "label": [("loaded", "loaded"), ("Again", "changed")],
        "path": [("loaded", "loaded"), ("Drop", "dropped"), ("Again", "added")],
        "new": [("Add(1)", "added"), ("Drop", "dropped")],
    }
    (image, *_) = history(stage_by_stage())
    assert (image.steps[1].before.high, image.steps[1].after.high) == (0, 3)
    assert image.is_changed
    assert history([]) == []
    assert not history(stage_by_stage()[:2])[0].is_changed


def test_changed_cells_are_marked_in_words_too(rendered):
    (marked,) = set(re.findall(r'<mark><span class="unseen">changed to </span>(float32)</mark>', rendered))
    assert marked == "float32"
    stages = tuple(Stage(name, sample) for name, sample in stage_by_stage())
    alone = Inspected(Key(0, 0, 7), None, stages)
    inspection = replace(seen_in(synthetic(4), samples=0), samples=(alone,), batch=None, batch_error=None)
    words = Page(page.render(inspection)).words()
    assert "Add added float32" in words
    assert "Drop dropped" in words
    assert "changed to 3 changed to 3 changed to 3" in words  # least, greatest and mean of the image


def test_other_values_of_the_same_numbers_are_said():
    before, after = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    alone = Inspected(Key(0, 0, 7), None, (Stage("loaded", {"x": before}), Stage("Turn", {"x": after})))
    inspection = replace(seen_in(synthetic(4), samples=0), samples=(alone,), batch=None, batch_error=None)
    assert "<mark>other values</mark>" in page.render(inspection)


# --- findings, epochs


def test_findings_lead_to_the_samples_on_the_page(seen):
    shown = seen.samples[1].key.index
    finding = Finding("3 of 68 <points> are outside", "crop less", (shown, 999))
    html = page.render(replace(seen, findings=(finding, Finding("second"))))
    words = Page(html).words()
    assert "Worth a look (2)" in words
    assert "3 of 68 <points> are outside" in words
    assert f"crop less · samples {shown} , 999" in words
    assert f'<a href="#sample-2">{shown}</a>' in html
    assert "Nothing unusual" not in words


def test_nothing_to_find_is_said_quietly(seen):
    assert "Nothing unusual was found in 3 samples and a batch." in Page(page.render(seen)).words()
    alone = replace(seen, batch=None, samples=seen.samples[:1])
    assert "Nothing unusual was found in 1 sample." in Page(page.render(alone)).words()
    only = replace(seen, samples=())
    assert "Nothing unusual was found in a batch." in Page(page.render(only)).words()
    broken = replace(seen, batch=None, batch_error="no")
    assert "Nothing unusual" not in Page(page.render(broken)).words()


def test_one_sample_in_several_epochs():
    dataset = synthetic(8, chain(NORMALIZE))
    draws = tuple(
        Inspected(Key(0, epoch, 5), None, tuple(Stage(*stage) for stage in dataset.trace(Key(0, epoch, 5))))
        for epoch in range(3)
    )
    failed = Inspected(Key(0, 3, 5), None, draws[0].stages[:1], "it broke")
    plain = seen_in(dataset, samples=1, batch_size=2)
    html = page.render(replace(plain, draws=(*draws, failed)))
    images = [image for image in Page(html).all("img") if "in epoch" in image["alt"]]
    assert [image["alt"].split(",")[0] for image in images] == [f"sample 5 in epoch {epoch}" for epoch in range(3)]
    shown = np.stack([decoded(image["src"]).astype(int) for image in images])
    assert (np.abs(shown[1:] - shown[0]).reshape(2, -1).mean(1) > 3).all()
    assert "epoch 3: it broke" in Page(html).words()
    assert "The same sample in other epochs" in Page(html).words()
    assert "other epochs" not in Page(page.render(plain)).words()


# --- a normalisation that was named


def undone(inspection):
    return [image["alt"] for image in Page(page.render(inspection)).all("img")], page.render(inspection).count(
        "Normalize undone"
    )


def normalized_somehow(sample):
    return {**sample, "image": NORMALIZE.on(sample["image"])}


def test_a_given_normalisation_is_undone_where_it_was_applied():
    plain = seen_in(synthetic(8, Compose([Rescale((32, 32)), ToTensor()])), samples=2, batch_size=4)
    own = seen_in(synthetic(8, Compose([Rescale((32, 32)), ToTensor(), normalized_somehow])), samples=2, batch_size=4)
    assert own.normalize == {}
    given = with_normalize(own, NORMALIZE)
    assert given.normalize == {"normalized_somehow": NORMALIZE}
    for before, after in zip(plain.samples, given.samples, strict=True):
        expected = figures.record_of(before, plain, Room(64)).figures[1]
        found = figures.record_of(after, given, Room(64)).figures
        assert [figure.details for figure in found] == [
            found[0].details, "32 × 32", "32 × 32", "32 × 32 · Normalize undone",
        ]  # fmt: skip
        assert np.abs(decoded(found[3].src).astype(int) - decoded(expected.src)).max() <= 1
    in_collate = with_normalize(replace(plain, batch={"image": NORMALIZE.on(plain.batch["image"])}), NORMALIZE)
    assert figures.grid_of(in_collate, Room(64))[0][0].details == "32 × 32 · Normalize undone"
    assert figures.record_of(in_collate.samples[0], in_collate, Room(64)).figures[-1].details == "32 × 32"


def test_a_given_normalisation_takes_the_place_of_the_one_in_the_chain(seen):
    other = Normalize((0.1,), (0.5,))
    assert with_normalize(seen, other).normalize == {repr(NORMALIZE): other}


# --- figures of the dataset


def survey_of(sizes, **parts):
    empty = {"failures": (), "channels": None, "classes": None, "shape": None}
    return Survey(**{**empty, "read": len(sizes), "total": 1000, "sizes": np.array(sizes).reshape(-1, 2), **parts})


def figures_page(seen, survey):
    return page.render(replace(seen, samples=(), survey=survey))


def axis_of(ticks):
    """From place to value, through the labels of an axis."""
    values = [float(tick.text.replace(",", "")) for tick in ticks]
    return np.polynomial.Polynomial.fit([tick.at for tick in ticks], values, 1)


@pytest.mark.parametrize("most", [30, 700, 12_000])
def test_circles_stand_where_the_axes_say(most):
    rng = np.random.default_rng(most)
    sizes = rng.integers(most // 3, most, (40, 2))
    sizes[:7] = sizes[0]
    chart = size_scatter(sizes)
    x, y = (axis_of(ticks) for ticks in (chart.across, chart.up))
    found = {(round(float(x(mark.x))), round(float(y(mark.y)))): mark for mark in chart.circles}
    kinds, counts = np.unique(sizes, axis=0, return_counts=True)
    assert set(found) == {(int(width), int(height)) for height, width in kinds}
    largest = max(chart.circles, key=lambda mark: mark.size)
    assert found[tuple(sizes[0, ::-1].tolist())] is largest
    assert largest.text.endswith(f": {counts.max()}")
    assert all(0 <= mark.x <= chart.width and 0 <= mark.y <= chart.height for mark in chart.circles)
    assert f"widths from {sizes[:, 1].min():,} to {sizes[:, 1].max():,} pixels" in chart.words


def test_very_many_sizes_are_merged_without_losing_any():
    sizes = np.random.default_rng(0).integers(100, 4000, (20_000, 2))
    chart = size_scatter(sizes)
    assert len(chart.circles) < 6000
    assert sum(int(mark.text.rsplit(": ")[1]) for mark in chart.circles) == 20_000


def test_bars_agree_with_numpy():
    rng = np.random.default_rng(3)
    sizes = np.stack([rng.integers(100, 300, 200), rng.integers(100, 300, 200)], 1)
    chart = ratio_histogram(sizes)
    counts, _ = np.histogram(np.log(sizes[:, 1] / sizes[:, 0]), bins=14)
    value = axis_of(chart.up)
    tops = [float(value(mark.y)) for mark in chart.bars]
    np.testing.assert_allclose(tops, counts[counts > 0], atol=1e-6)
    square = next(tick.at for tick in chart.across if tick.text == "1:1")
    below = sum(count for mark, count in zip(chart.bars, tops, strict=True) if mark.x + mark.size < square)
    assert below == pytest.approx((sizes[:, 1] < sizes[:, 0]).sum(), abs=int(counts.max()))
    assert ratio_histogram(np.array([[100, 200], [50, 100]])) is None


def test_the_mean_shape_is_drawn_as_it_is():
    points = np.array([[-0.5, -0.2], [0.5, -0.2], [0.0, 0.4]])
    spread = np.array([0.01, 0.1, 0.05])
    chart = mean_shape(MeanShape(points, spread, 12))
    dots = np.array(chart.dots)
    scale = (dots[1, 0] - dots[0, 0]) / 1.0
    np.testing.assert_allclose((dots - dots[0]) / scale, points - points[0], atol=1e-9)
    np.testing.assert_allclose([mark.size / scale for mark in chart.circles], spread, atol=1e-9)
    reach = np.array([mark.size for mark in chart.circles])[:, None]
    assert (dots - reach >= 0).all()
    assert (dots + reach <= (chart.width, chart.height)).all()
    assert "3 landmarks from 12 records" in chart.words
    assert "from 1.0% of the shape (point 0) to 10.0% (point 1)" in chart.words


def test_figures_of_the_dataset_are_said_in_words(seen):
    sizes = [(100, 200), (100, 200), (300, 150), (120, 120)]
    survey = survey_of(
        sizes,
        failures=("Faces[3]: truncated",),
        channels=Channels((0.4567, 0.4, 0.3), (0.2, 0.25, 0.31), "ToTensor()"),
        shape=MeanShape(np.array([[-0.5, 0], [0.5, 0.1]]), np.array([0.1, 0.2]), 4),
    )
    html = figures_page(seen, survey)
    words = Page(html).words()
    for expected in (
        "4 of 1,000 records read", "1 could not be read", "Faces[3]: truncated", "most often 200 × 100 (50 %)",
        "width 120 175 200", "height 100 110 300", "red 0.4567 0.2000", "blue 0.3000 0.3100",
        "Normalize(mean=(0.4567, 0.4000, 0.3000), std=(0.2000, 0.2500, 0.3100))",
    ):  # fmt: skip
        assert expected in words
    pictures = Page(html).all("svg")
    assert len(pictures) == 3
    assert all(svg["role"] == "img" and re.search(r"\d", svg["aria-label"]) for svg in pictures)
    assert not re.search(r"(fill|stroke)=\"#", html)


def test_the_way_to_read_every_record_is_named_where_some_were_left_out(seen):
    for failed, is_named in ((0, True), (1, True), (995, False)):
        survey = survey_of([(9, 9)] * 5, failed=failed)
        assert ("--all" in Page(figures_page(seen, survey)).words()) is is_named


def test_images_of_one_size_need_no_chart(seen):
    html = figures_page(seen, survey_of([(28, 28)] * 5))
    assert "All 5 images are 28 × 28 pixels." in Page(html).words()
    assert Page(html).all("svg") == []
    assert "Image sizes" not in Page(figures_page(seen, survey_of([]))).words()
    assert "in figures" not in Page(figures_page(seen, None)).words()


def test_classes_keep_their_order_and_absent_ones_are_marked(seen):
    counts = ClassCounts("label", ("zebra", "<ant>", "cow"), (30, 0, 10), of_all=True)
    html = figures_page(seen, survey_of([], classes=counts))
    words = Page(html).words()
    assert "3 classes, 40 values of label in all records; 1 is not met" in words
    assert "zebra 30 75.0 % <ant> none 0.0 % cow 10 25.0 %" in words
    assert re.findall(r"--bar: ([\d.]+)", html) == ["1.0", "0.3333"]


def test_very_many_classes_are_folded(seen):
    names = tuple(f"class-{place:04}" for place in range(1500))
    html = figures_page(seen, survey_of([], classes=ClassCounts("labels", names, (1,) * 1500, of_all=False)))
    folded = html[html.index("more classes") :]
    assert "980 more classes" in Page(html).words()
    assert "class-0019" not in folded
    assert "class-0020" in folded
    assert "and 500 more that are not listed" in Page(html).words()


# --- the grid as a picture


def png(content):
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "PNG"
    return np.asarray(picture.convert("RGB")).astype(int)


def plates(colours, **more):
    image = torch.tensor(colours).reshape(-1, 3, 1, 1).expand(-1, -1, 60, 90) / 255
    return {"image": image.float(), **more}


@pytest.mark.parametrize("count", [1, 5, 16, 64, 80])
def test_every_picture_of_the_batch_is_on_the_sheet(seen, count):
    colours = [[40 + 2 * place, 250 - 2 * place, 100] for place in range(count)]
    sheet = png(contact_sheet(replace(seen, batch=plates(colours), normalize={})))
    assert sheet.shape[1] <= 1600
    assert (sheet[:20] == 255).all()
    assert (sheet[:, :20] == 255).all()
    for place, colour in enumerate(colours):
        found = (np.abs(sheet[::4, ::4] - colour).max(2) <= 1).sum()
        assert (found > 60) == (place < 64), place


@pytest.mark.parametrize("count", [3, 64])
def test_small_pictures_keep_their_pixels_on_the_sheet(seen, count):
    image = (torch.rand(count, 3, 28, 28, generator=torch.manual_seed(0)) > 0.5).float()
    sheet = png(contact_sheet(replace(seen, batch={"image": image}, normalize={})))
    cell = sheet[28:150, 28:150]  # in the first picture, without captions
    assert set(np.unique(cell)) == {0, 255}


def test_captions_are_the_names_of_classes(seen):
    batch = plates([[90, 90, 90]] * 2, label=torch.tensor([0, 1]))
    short, long, other = (
        contact_sheet(replace(seen, batch=batch, normalize={}, classes=classes))
        for classes in (("a", "b"), ("a", "b" * 300), ("a", "c"))
    )
    assert png(short).shape == png(long).shape == png(other).shape
    differing = np.nonzero(np.abs(png(short) - png(other)).max(2))[0]
    assert differing.min() > png(short).shape[0] * 0.7
    left = png(short)[:, : png(short).shape[1] // 2]
    assert (left == png(long)[:, : left.shape[1]]).all()


def test_without_a_batch_the_samples_are_drawn_and_without_images_that_is_an_error(seen):
    alone = png(contact_sheet(replace(seen, batch=None)))
    assert alone.std() > 30
    texts = look(Target("texts", Mapped(Texts())), samples=2, draws=0, survey_records=0)
    with pytest.raises(DatakitError, match=r"^nothing to draw: "):
        contact_sheet(texts)
    with pytest.raises(DatakitError, match=r"^nothing to draw: "):
        contact_sheet(replace(texts, batch=None, samples=()))


# --- in a notebook


def test_a_dataset_is_shown_stage_by_stage():
    dataset = synthetic(8, chain(NORMALIZE))
    shown = show(dataset, samples=2, seed=4)
    expected = seen_in(dataset, samples=2, seed=4)
    assert [sample.key for sample in shown.inspection.samples] == [sample.key for sample in expected.samples]
    html = Page(shown._repr_html_())
    assert len(html.all("img")) == 2 * 6
    assert html.all("script") == []
    assert html.elements[0] == ("div", {"class": "datakit-show"})
    assert "68 landmarks" in html.all("img")[0]["alt"]
    assert "Normalize undone" in html.words()
    text = repr(shown)
    assert "landmarks" in text
    assert "Rescale(72) → " in text
    ids = [
        attributes["id"]
        for _, attributes in Page(shown._repr_html_() + shown._repr_html_()).elements
        if "id" in attributes
    ]
    assert len(ids) == len(set(ids)) == 8


def test_a_loader_is_shown_by_its_first_batch():
    loader = Loader(synthetic(8, chain(NORMALIZE)), 4, seed=0)
    shown = show(loader)
    assert len(Page(shown._repr_html_()).all("img")) == 4
    assert "Normalize undone" in shown._repr_html_()
    assert "first batch of Loader(batch_size=4" in repr(shown)
    failing = show(Loader(synthetic(8), 4))
    assert "cannot be put into one batch" in Page(failing._repr_html_()).words()
    assert "cannot be put into one batch" in repr(failing)


@pytest.mark.parametrize(
    ("value", "pictures"),
    [
        ({"image": torch.rand(3, 3, 9, 9), "label": torch.arange(3)}, 3),
        ([torch.rand(3, 3, 9, 9), torch.arange(3)], 3),
        (torch.rand(5, 1, 28, 28), 5),
        (([torch.rand(3, 8, 9), torch.rand(3, 9, 8)], [{"boxes": torch.zeros(1, 4)}] * 2), 2),
        ([{"image": torch.rand(3, 8, 9)}, {"image": torch.rand(3, 5, 9)}], 2),
        (np.zeros((4, 9, 9, 3), np.uint8), 4),
        ({"image": np.zeros((9, 9, 3), np.uint8), "label": 1}, 1),
        ((Image.new("RGB", (8, 9)), 1), 1),
        (Image.new("RGB", (8, 9)), 1),
        (torch.rand(3, 8, 8), 1),
        ({"tokens": torch.arange(4)}, 0),
    ],
)
def test_batches_and_samples_of_every_form_are_shown(value, pictures):
    shown = show(value, classes=("one", "two"))
    html = Page(shown._repr_html_())
    assert len(html.all("img")) == pictures
    assert len(html.all("table")) == 1
    assert repr(shown).startswith("a ")
    assert "-1" not in repr(shown)
    assert "sample -1" not in html.words()
    if isinstance(value, dict) and "label" in value:
        assert "two" in html.words()


def test_other_datasets_and_other_things():
    foreign = torch.utils.data.TensorDataset(torch.rand(6, 3, 9, 9), torch.arange(6))
    assert len(Page(show(foreign, samples=3)._repr_html_()).all("img")) == 3
    with pytest.raises(DatakitError, match="cannot show int: give a dataset"):
        show(3)


def test_a_given_normalisation_is_undone_in_a_notebook():
    batch = {"image": NORMALIZE.on(torch.full((2, 3, 9, 9), 0.8))}
    html = Page(show(batch, normalize=NORMALIZE)._repr_html_())
    assert np.abs(decoded(html.all("img")[0]["src"]).astype(int) - 204).max() <= 1


def test_styles_stay_inside(seen):
    html = show(synthetic(4), samples=1)._repr_html_()
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    depth, outside = 0, ""
    for character in style:
        depth += (character == "{") - (character == "}")
        outside += character if depth == 0 else ""
    assert depth == 0
    assert outside.replace("}", "").strip() == ".datakit-show.datakit-show"


def test_what_is_shown_can_be_kept(tmp_path):
    shown = show(synthetic(4, chain()), samples=2)
    assert shown.save(tmp_path / "page.html") == tmp_path / "page.html"
    assert page.is_ours(tmp_path / "page.html")
    assert len(Page((tmp_path / "page.html").read_text()).all("img")) == 2 * 5
    assert png(shown.save(str(tmp_path / "grid.PNG")).read_bytes()).std() > 30
    with pytest.raises(DatakitError, match=r"cannot save .*grid\.gif: give an ending of"):
        shown.save(tmp_path / "grid.gif")
