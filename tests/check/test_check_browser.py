"""The page of `check` in headless Chromium: what a person sees of it, on a desk and on a phone."""

import itertools

import numpy as np
import pytest
from browser import CONTRAST, opened, until

from datakit import Mapped
from datakit.audio import SpokenDigits
from datakit.check.findings import Finding, Offender, Part, Place, Report
from datakit.report.check.page import render
from datakit.text import Names
from datakit.transforms import Compose, Rescale, ToTensor
from datakit.vision import FaceLandmarks

LONG = "a/very/long/path/without/any/blank/in/it/" + "x" * 120 + ".png"


def outside(sample):
    return {**sample, "landmarks": sample["landmarks"] + np.float32(150)}


def offenders(part, indices, *related, path=None):
    return tuple(Offender(Place(part, at, path or f"{part}/{at}.png"), f"detail {at}", related) for at in indices)


def everything():
    faces = FaceLandmarks.synthetic(n=12, transform=Compose([Rescale(96), outside, ToTensor()]))
    datasets = {
        "faces": faces,
        "digits": SpokenDigits.synthetic(n=6),
        "names": Names.synthetic(n=8),
        "odd": Mapped([{"x": np.zeros(3)}, {f"key{place}": "v" * 90 for place in range(5)}]),
    }
    others = tuple(Place("faces", place, LONG) for place in range(5, 10))
    findings = (
        Finding("unreadable", "1 record cannot be read", 1, 12, offenders("faces", [3], path=LONG)),
        Finding("leak", "2 are in both", 2, 12, offenders("faces", [1, 2], Place("faces", 4))),
        Finding("point-outside", "all leave the image", 12, 12, offenders("faces", range(12))),
        Finding(
            "duplicate",
            "3 copies",
            3,
            12,
            offenders("faces", [0], *others) + offenders("digits", [1], Place("digits", 2)),
        ),
        Finding("contradiction", "2 names", 2, 8, offenders("names", [0, 1], Place("names", 5))),
        Finding("drift", "of " + "unbroken" * 30, 2, 2, offenders("odd", [0, 1])),
        Finding("unpicklable", "the transform <lambda> cannot be pickled"),
        Finding("outlier", "4 sounds are long", 4, 6, offenders("digits", range(4))),
    )
    parts = tuple(Part(name, repr(dataset), len(dataset), len(dataset)) for name, dataset in datasets.items())
    report = Report("everything", parts, findings, ("Rescale(96)", "outside", "ToTensor()"), 12, 3.0, ("a note",))
    return render(report, datasets, commands={name: f"datakit inspect {name} --root data" for name in datasets})


def stopped():
    return render(Report("stopped", (Part("", "Data", 9, 4),), (), interrupted="reading records, 4 of 9"), {})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The pages as files."""
    folder = tmp_path_factory.mktemp("check-pages")
    for make in (everything, stopped):
        (folder / f"{make.__name__}.html").write_text(make(), encoding="utf-8")
    return folder


@pytest.fixture
def visit(chromium, written):
    """Opens a page; at its end nothing was asked of the network and nothing was complained about."""
    return lambda name="everything", **options: opened(chromium, (written / f"{name}.html").as_uri(), **options)


SHOWN = "[...document.querySelectorAll('.finding')].filter(e => e.checkVisibility()).length"


def test_severities_can_be_hidden(visit):
    with visit() as page:
        assert page.evaluate(SHOWN) == 8
        page.locator("#show-warning").focus()
        page.keyboard.press("Space")
        assert page.evaluate(SHOWN) == 3
        assert page.locator("table.found tbody tr:visible").count() == 3
        assert page.locator("table.found .badge.warning:visible").count() == 0
        page.get_by_label("errors").uncheck()
        assert page.locator(".finding:visible h3").inner_text().split("\n")[:2] == [
            "note",
            "sizes, durations or lengths far from the rest",
        ]
        page.get_by_label("warnings").check()
        assert page.evaluate(SHOWN) == 6


def test_the_table_leads_to_each_finding(visit):
    with visit() as page:
        links = page.locator("table.found a").all()
        assert len(links) == 8
        for link in links[::3]:
            link.click()
            target = page.locator(page.evaluate("location.hash"))
            assert target.locator("h3").inner_text().replace("\n", " ").split(" ", 1)[1].startswith(link.inner_text())


def test_every_picture_is_there_and_enlarges(visit):
    with visit() as page:
        page.evaluate("document.querySelectorAll('img').forEach(e => { e.decoding = 'sync' })")
        images = page.evaluate("[...document.images].map(e => [e.complete, e.naturalWidth, e.clientWidth])")
        assert len(images) == 2 * 2 + 8 + 4
        assert all(complete and natural > 50 and width > 90 for complete, natural, width in images)
        assert page.locator("svg.plot").count() == 2 + 4
        assert page.locator("audio").count() == 2 + 4
        page.locator("button.frame").first.press("Enter")
        assert "faces[1]" in page.locator("#viewer .about").inner_text()


def test_the_command_is_copied(visit):
    with visit() as page:
        page.locator("#finding-3 [data-copy]").click()
        until(page, "document.querySelector('#finding-3 [role=status]').textContent === 'copied'")
        page.evaluate("document.body.prepend(Object.assign(document.createElement('textarea'), { id: 'paste' }))")
        page.locator("#paste").focus()
        page.keyboard.press("Control+V")
        pasted = page.locator("#paste").input_value()
        assert pasted == "datakit inspect faces --root data --index 0,1,2,3,4,5,6,7"


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
OVERLAP = """[...document.querySelectorAll('.exhibit')].filter(e => {
  const list = e.parentElement.getBoundingClientRect(), own = e.getBoundingClientRect();
  return own.right > list.right + 1 || own.left < list.left - 1 || e.scrollWidth > e.clientWidth + 1;
}).length"""


@pytest.mark.parametrize("name", ["everything", "stopped"])
def test_it_scrolls_one_way_only(visit, name):
    with visit(name) as page:
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
        for width in (320, 545, 760, 1280, 2000):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(OVERLAP) == 0, width
        page.set_viewport_size({"width": 1280, "height": 900})


def test_on_a_phone_pairs_and_single_pictures_stand_beside_each_other(visit):
    with visit(**PHONE) as page:
        assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
        assert page.evaluate(OVERLAP) == 0
        one, other = (
            page.locator("#finding-2 .exhibit").first.locator(".frame").nth(at).bounding_box() for at in (0, 1)
        )
        assert abs(one["y"] - other["y"]) < 60
        assert other["x"] > one["x"] + 100
        left, right = (page.locator("#finding-3 .exhibit").nth(at).bounding_box() for at in (0, 1))
        assert (left["y"], left["x"] < 60) == (right["y"], right["x"] > 180)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["everything", "stopped"])
def test_everything_can_be_read(visit, name, scheme):
    with visit(name, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
        least, text, count = page.evaluate(CONTRAST)
        assert count > (150 if name == "everything" else 15)
        assert least >= 4.5, text


def test_a_screen_reader_finds_its_way(visit):
    with visit() as page:
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        found = [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]
        ]
        for kind in ("button", "checkbox", "image", "link", "table"):
            assert all(name or kind == "table" for role, name in found if role == kind), kind
        roles = [role for role, _ in found]
        assert [roles.count(role) for role in ("banner", "main", "contentinfo", "navigation")] == [1, 1, 1, 1]
        assert roles.count("checkbox") == 3
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_without_javascript_it_can_be_read_and_filtered(visit):
    with visit(java_script_enabled=False) as page:
        assert page.locator("button:visible").count() == 0
        assert page.locator(".frame > img").first.is_visible()
        page.locator("#show-error").uncheck()
        assert page.locator(".finding:visible").count() == 6
