"""The pages of `datakit inspect` in headless Chromium (Debian's package `chromium`).

With DATAKIT_PICTURES=<folder> the pictures of the documents are written there.
"""

import io
import itertools
import os
import queue
import threading
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from browser import CONTRAST, opened, until
from pages import decoded
from PIL import Image

from datakit import Loader, Mapped, collate
from datakit.audio import SpokenDigits
from datakit.check import check
from datakit.inspection.look import Finding, look
from datakit.inspection.survey import ClassCounts
from datakit.report import page as report
from datakit.report.check import page as check_page
from datakit.report.show import Shown, show
from datakit.targets import Target
from datakit.text import SPECIALS, Names, Vocab
from datakit.transforms import (
    FACE68_PAIRS,
    AddSpecials,
    AmplitudeToDB,
    Compose,
    Encode,
    Gain,
    MaskTokens,
    MelSpectrogram,
    NextTokens,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    ToTensor,
)
from datakit.vision import FaceLandmarks

IMAGE_PAGES = ("faces", "objects", "broken")
NAMES = (*IMAGE_PAGES, "sounds", "names")
PICTURES = os.environ.get("DATAKIT_PICTURES")


def faces(samples=4):
    normalize = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    flip = RandomHorizontalFlip(pairs=FACE68_PAIRS)
    dataset = FaceLandmarks.synthetic(
        n=48, transform=Compose([Rescale(256), RandomCrop(224), flip, ToTensor(), normalize])
    )
    return tidy(look(Target("faces", dataset), samples=samples))


def sixteen():
    return faces(16)


def tidy(seen):
    """Without the folder of the test, which a picture for the documents should not show."""
    samples = tuple(replace(sample, path=f"faces/{Path(sample.path).name}") for sample in seen.samples)
    return replace(seen, samples=samples, dataset=f"FaceLandmarks('data'): {seen.dataset.rpartition(': ')[2]}")


def scene(index):
    rng = np.random.default_rng(index)
    height, width = (12, 16) if index == 0 else (120, 160)
    unit = width // 16
    image = rng.integers(60, 200, (height, width, 3)).astype(np.uint8)
    boxes = np.array([[1, 2, 5, 9], [7, 3, 13, 8]][: 1 + index % 2], np.float32) * unit
    masks = np.zeros((len(boxes), height, width), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
        mask[top:bottom, left:right] = 1
    return {"image": image, "boxes": boxes, "labels": np.arange(1, 1 + len(boxes)), "masks": masks}


def objects():
    dataset = Mapped([scene(index) for index in range(6)], transform=Compose([ToTensor()]))
    dataset.classes = ("background", "cat", "dog")
    seen = look(Target("objects", dataset, Loader(dataset, 6, collate_fn=collate.detection)), samples=3)
    shown = seen.samples[0].key.index
    found = Finding("2 of 9 boxes are empty", "look at them", (shown, 777)), Finding("the batch is odd")
    counts = ClassCounts("labels", tuple(f"class {place}" for place in range(30)), (5, 0, *range(28)), of_all=False)
    return replace(seen, findings=found, survey=replace(seen.survey, classes=counts))


def fails_on_three(sample):
    if sample["index"] == 3:
        raise ValueError("<b>three</b> & no more")
    return sample


def broken():
    dataset = FaceLandmarks.synthetic(n=8, transform=Compose([Rescale((32, 32)), fails_on_three, ToTensor()]))
    return look(Target("broken", dataset), indices=[2, 3], batch_size=8)


def sounds():
    chain = Compose([Gain((-12.0, 0.0)), MelSpectrogram(n_fft=200, n_mels=40), AmplitudeToDB(top_db=80.0)])
    dataset = SpokenDigits.synthetic(n=48, transform=chain)
    seen = look(Target("spoken-digits", dataset), samples=4, draws=4)
    samples = tuple(replace(sample, path=f"recordings/{Path(sample.path).name}") for sample in seen.samples)
    return replace(seen, samples=samples, dataset=f"SpokenDigits('data'): {seen.dataset.rpartition(': ')[2]}")


def names():
    known = Names.synthetic(n=64)
    vocab = Vocab.characters(itertools.islice(known.texts(), 48), specials={**SPECIALS, "mask": "<mask>"})
    chain = Compose([Encode(vocab), AddSpecials(vocab), MaskTokens(vocab, p=0.3)])
    dataset = known.with_transform(chain)
    dataset.collate_fn = partial(collate.pad, value={"target_tokens": -100})
    seen = look(Target("names", dataset), samples=4, draws=4)
    samples = tuple(replace(sample, path=f"data/names/{Path(sample.path).name}") for sample in seen.samples)
    return replace(seen, samples=samples, dataset=f"Names('data', split='all'): {seen.dataset.partition('): ')[2]}")


def scripts():
    """Texts that would break a page, in several scripts; long ones; a batch that is too wide for a table."""
    texts = [
        "<script>foul()</script>",
        "שלום עולם",
        "مرحبا بالعالم",
        "a\tb\n\u202ec\x00",
        "日本語",
        "x" * 900,
        "W" * 60,
    ]
    vocab = Vocab.characters(texts[:5])
    dataset = Mapped([{"text": text} for text in texts], transform=Compose([Encode(vocab), NextTokens()]))
    dataset.collate_fn = collate.pack
    return look(Target("scripts", dataset), indices=range(7))


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The pages as files."""
    folder = tmp_path_factory.mktemp("pages")
    for make in (faces, sixteen, objects, broken, sounds, names, scripts):
        (folder / f"{make.__name__}.html").write_text(report.render(make()), encoding="utf-8")
    return folder


@pytest.fixture
def visit(chromium, written):
    return lambda name, **options: opened(chromium, (written / f"{name}.html").as_uri(), **options)


def as_array(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


IMAGES = "[...document.images].map(i => [i.src, i.alt, i.complete, i.naturalWidth, i.naturalHeight, i.width, i.height])"


ALTS = "[...document.querySelectorAll('.frame > *')].map(e => e.alt ?? e.getAttribute('aria-label'))"

# Whether an element is at the top of the window, or as near as the end of the page lets it come.
IN_VIEW = """(() => {
  const top = document.querySelector("#id").getBoundingClientRect().top;
  return top > -3 && (top < 40 || scrollY + innerHeight >= document.documentElement.scrollHeight - 3);
})()"""


@pytest.mark.parametrize("name", IMAGE_PAGES)
def test_every_picture_is_there_and_not_blank(visit, name):
    with visit(name) as page:
        images = page.evaluate(IMAGES)
        assert len(images) == {"faces": 4 * 6 + 8 + 16, "objects": 3 * 2 + 6, "broken": 4 + 2}[name]
        for source, alt, complete, width, height, _, _ in images:
            pixels = decoded(source)
            assert complete
            assert (height, width) == pixels.shape[:2]
            assert pixels.std() > 8, alt
        first = page.locator("img").first
        assert as_array(first.screenshot()).std() > 8


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere_and_toggles_work(visit, name):
    with visit(name) as page:
        links = page.locator("a").all()
        assert len(links) >= 3
        for link in links:
            target = link.get_attribute("href")
            assert page.locator(target).count() == 1
            link.focus()
            page.keyboard.press("Enter")
            assert page.evaluate("location.hash") == target
            until(page, IN_VIEW.replace("#id", target))
        for details in page.locator("details").all():
            before = details.evaluate("e => e.open")
            height = details.bounding_box()["height"]
            details.locator("summary").click()
            assert details.evaluate("e => e.open") is not before
            assert (details.bounding_box()["height"] > height) is not before


SOUNDS = """[...document.querySelectorAll("audio")].map(e => [
  e.readyState, e.duration, e.error?.message ?? "", e.getAttribute("aria-label")
])"""


def test_sounds_are_drawn_and_can_be_played(visit):
    with visit("sounds") as page:
        plots = page.locator("svg.plot")
        assert plots.count() == 4 * 4 + 4 + 16
        for place in (0, 2, plots.count() - 1):
            assert as_array(plots.nth(place).screenshot()).std() > 8
        until(page, f"{SOUNDS}.every(one => one[0] >= 1)")
        heard = page.evaluate(SOUNDS)
        assert len(heard) == 4 * 2  # as loaded, and after the gain
        for _, duration, error, label in heard:
            assert error == ""
            assert 0.2 < duration < 1
            assert label.startswith("Listen to sample ")
        first, second = (page.locator("audio").nth(place) for place in (0, 1))
        first.evaluate("e => { e.loop = true; e.muted = true; return e.play(); }")
        second.evaluate("e => { e.loop = true; e.muted = true; return e.play(); }")
        until(page, "document.querySelectorAll('audio')[0].paused")
        page.wait_for_timeout(700)  # more than once through
        assert page.evaluate("[...document.querySelectorAll('audio')].slice(0, 2).map(e => [e.paused, e.error])") == [
            [True, None],
            [False, None],
        ]


def test_plots_enlarge_too(visit):
    with visit("sounds") as page:
        page.locator("button.frame").nth(2).press("Enter")
        plot = page.locator("#viewer svg.plot")
        box = plot.bounding_box()
        assert box["width"] > 0.9 * 1280 or box["height"] > 0.8 * 900
        assert plot.get_attribute("aria-label") in page.locator("#viewer").inner_text()


def test_tokens_stand_above_what_belongs_to_them(visit):
    with visit("names") as page:
        hidden = page.locator(".tokens li:has(.hidden)")
        assert hidden.count() > 4
        for place in range(4):
            above, below = (hidden.nth(place).locator("span").nth(step).bounding_box() for step in (0, 1))
            assert below["y"] >= above["y"] + above["height"]
            assert abs(above["x"] + above["width"] / 2 - below["x"] - below["width"] / 2) < 2
        special = page.locator(".tokens .special").first
        assert special.evaluate("e => getComputedStyle(e).borderStyle") == "dashed"
        matrix = page.locator(".matrix").first
        assert matrix.locator("tbody tr").count() == 16
        widths = matrix.evaluate("e => [...e.rows].map(row => [...row.cells].reduce((n, c) => n + c.colSpan, 0))")
        assert len(set(widths)) == 1


def test_texts_are_read_in_their_direction_and_long_ones_unfold(visit):
    with visit("scripts") as page:
        assert page.locator("#samples .prose").first.inner_text() == "<script>foul()</script>"
        hebrew = page.locator("#sample-2 .tokens").first.locator("li")
        assert hebrew.first.bounding_box()["x"] > hebrew.nth(1).bounding_box()["x"]
        latin = page.locator("#sample-1 .tokens").first.locator("li")
        assert latin.first.bounding_box()["x"] < latin.nth(1).bounding_box()["x"]
        folded = page.locator("#sample-6 .passage details").first
        before = folded.bounding_box()["height"]
        folded.locator("summary").click()
        assert folded.bounding_box()["height"] > 2 * before
        overview = page.locator(".overview img").first.bounding_box()
        assert overview["width"] > 400
        assert overview["height"] > 20


def test_findings_lead_to_the_sample_that_shows_them(visit):
    with visit("objects") as page:
        link = page.locator("#findings a")
        assert link.count() == 1
        link.click()
        target = page.locator(page.evaluate("location.hash"))
        assert target.locator("h3").inner_text().startswith(f"Sample {link.inner_text()}")


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_until_the_button_is_pressed(visit):
    with visit("broken", color_scheme="dark") as page:
        button = page.locator("#theme")
        dark, labels, colours = background(page), [], []
        for _ in range(3):
            labels.append(button.inner_text())
            colours.append(background(page))
            button.press("Enter")
        assert labels == ["Theme: system", "Theme: light", "Theme: dark"]
        assert colours == [dark, colours[1], dark]
        assert colours[1] != dark
        assert button.inner_text() == "Theme: system"
        page.emulate_media(color_scheme="light")
        assert background(page) == colours[1]
        button.press("Enter")
        button.press("Enter")
        page.reload()
        assert (button.inner_text(), background(page)) == ("Theme: dark", dark)


def test_a_page_without_storage_works(visit):
    forbid = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })"
    )
    with visit("broken", before=forbid) as page:
        before = background(page)
        page.locator("#theme").click()
        page.locator("#theme").click()
        assert background(page) != before


def seen_in_viewer(page):
    return page.locator("#viewer img").get_attribute("alt")


def test_pictures_enlarge_by_keyboard_alone(visit):
    with visit("objects") as page:
        alts = [image[1] for image in page.evaluate(IMAGES)]
        viewer = page.locator("#viewer")
        button = page.locator("button.frame").nth(1)
        assert not viewer.is_visible()
        button.focus()
        page.keyboard.press("Enter")
        assert viewer.is_visible()
        assert seen_in_viewer(page) == alts[1]
        assert f"2 of {len(alts)}" in viewer.inner_text()
        assert alts[1] in viewer.inner_text()
        page.keyboard.press("ArrowRight")
        assert seen_in_viewer(page) == alts[2]
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
        assert seen_in_viewer(page) == alts[-1]  # round to the last one
        page.get_by_role("button", name="Next").press("Enter")
        page.get_by_role("button", name="Next").press("Enter")
        assert seen_in_viewer(page) == alts[1]
        page.keyboard.press("Escape")
        assert not viewer.is_visible()
        assert button.evaluate("e => e === document.activeElement")


def test_enlarged_pictures_fill_the_window_and_keep_their_pixels(visit):
    with visit("objects") as page:
        sizes = page.evaluate(IMAGES)
        small = next(place for place, image in enumerate(sizes) if "16 by 12 pixels" in image[1])
        page.locator("button.frame").nth(small).click()
        picture = page.locator("#viewer img")
        box, (width, height) = picture.bounding_box(), sizes[small][3:5]
        assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.01)
        assert box["width"] > 0.9 * 1280 or box["height"] > 0.85 * 900
        assert picture.evaluate("e => getComputedStyle(e).imageRendering") == "pixelated"
        page.mouse.click(6, 450)  # beside the picture
        assert not page.locator("#viewer").is_visible()
        large = next(place for place, image in enumerate(sizes) if "160 by 120 pixels" in image[1])
        page.locator("button.frame").nth(large).click()
        assert picture.evaluate("e => getComputedStyle(e).imageRendering") == "auto"
        picture.click()
        assert page.locator("#viewer").is_visible()
        page.get_by_role("button", name="Close").click()
        assert not page.locator("#viewer").is_visible()


NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"


@pytest.mark.parametrize("before", ["", NO_CLIPBOARD])
def test_the_line_to_paste_is_copied_and_that_is_announced(visit, before):
    with visit("objects", before=before) as page:
        page.locator("[data-copy]").click()
        status = page.locator(".paste [role=status]")
        until(page, "document.querySelector('.paste [role=status]').textContent === 'copied'")
        assert status.get_attribute("aria-live") == "polite"
        page.evaluate("document.body.prepend(Object.assign(document.createElement('textarea'), { id: 'paste' }))")
        page.locator("#paste").focus()
        page.keyboard.press("Control+V")
        pasted = page.locator("#paste").input_value()
        assert pasted == page.locator("#normalize-line").inner_text()
        assert pasted.startswith("Normalize(mean=(0.")


@pytest.mark.parametrize("name", [*NAMES, "scripts"])
def test_a_phone_scrolls_one_way_only(visit, name):
    with visit(name, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
        assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
        assert page.locator("h1").bounding_box()["x"] >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_everything_can_be_read_in_light_and_dark(visit, name, scheme):
    with visit(name, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
        least, text, count = page.evaluate(CONTRAST)
        assert count > 50
        assert least >= 4.5, text
        corner = as_array(page.screenshot(clip={"x": 0, "y": 0, "width": 9, "height": 9}))
        assert bool(corner.mean() < 70) is (scheme == "dark")


def tree(page):
    """(role, name) of everything that a screen reader finds."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_screen_reader_finds_its_way(visit, name):
    with visit(name) as page:
        found = tree(page)
        buttons = [label for role, label in found if role == "button"]
        alts = page.evaluate(ALTS)
        assert len(buttons) > len(alts)
        assert bool(alts) is (name != "names")
        assert all(buttons)
        assert len(set(alts) - set(buttons)) == 0
        pictures = [label for role, label in found if role in ("image", "img")]
        assert set(alts) <= set(pictures)
        assert all(pictures)
        roles = [role for role, _ in found]
        assert [roles.count(role) for role in ("banner", "main", "contentinfo", "navigation")] == [1, 1, 1, 1]
        levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        assert page.evaluate("document.documentElement.lang") == "en"


def test_the_first_tab_stop_skips_to_what_was_found(visit):
    with visit("faces") as page:
        page.keyboard.press("Tab")
        link = page.locator(":focus")
        assert link.inner_text() == "Skip to what was found"
        page.wait_for_timeout(50)
        assert link.bounding_box()["y"] >= 0
        assert link.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


MOVING = """() => [...document.querySelectorAll("*")].filter((element) => {
  const style = getComputedStyle(element);
  return style.scrollBehavior !== "auto" || style.animationName !== "none" || style.transitionDuration !== "0s";
}).map((element) => element.outerHTML.slice(0, 60))"""


def test_nothing_moves_by_itself(visit):
    """So there is nothing to spare those who asked for reduced motion."""
    with visit("broken") as page:
        assert page.evaluate(MOVING) == []


def test_sixteen_samples_are_small_and_open_at_once(visit, written):
    assert (written / "sixteen.html").stat().st_size <= 10e6
    with visit("sixteen") as page:
        times = []
        for _ in range(3):
            page.reload()
            until(page, "performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
            times.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        print(f"load event after {min(times):.0f} ms, {(written / 'sixteen.html').stat().st_size / 1e6:.1f} MB")
        assert min(times) < 1000


@pytest.mark.parametrize("name", NAMES)
def test_without_javascript_the_page_can_be_read(visit, name):
    with visit(name, java_script_enabled=False) as page:
        images = page.locator(".frame > *")
        shown = page.locator(".tokens") if name == "names" else images
        assert shown.count() >= 5
        assert as_array(shown.first.screenshot()).std() > 8
        assert page.locator("button:visible").count() == 0
        details = page.locator("details").first
        before = details.get_attribute("open")
        details.locator("summary").click()
        assert (details.get_attribute("open") is None) is (before is not None)


def test_what_went_wrong_is_on_the_page(visit):
    with visit("broken") as page:
        assert "<b>three</b> & no more" in page.locator("[role=alert]").inner_text()
        assert "FaceLandmarks[3]" in page.locator("#samples .problem").inner_text()
        assert page.locator("#samples .problem").is_visible()


def test_another_script_does_not_run(chromium, tmp_path):
    """The policy is in force: a script that got into the page by an unescaped text would be refused."""
    html = report.render(broken())
    foul = html.replace("</main>", "<script>document.title = 'foul'</script><img src='x' onerror='foul()'></main>")
    (tmp_path / "page.html").write_text(foul)
    context = chromium.new_context()
    page, refused = context.new_page(), []
    page.on("console", lambda message: refused.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.title() == "broken – datakit inspect"
    assert any("Content Security Policy" in text for text in refused)
    assert page.locator("#theme").is_visible()  # our own did run
    context.close()


# --- in a notebook


JUPYTER = """
.jp-RenderedHTMLCommon table { table-layout: fixed; margin-left: auto; font-size: 12px; }
.jp-RenderedHTMLCommon :is(td, th, tr) { text-align: right; vertical-align: middle; padding: 0.5em; max-width: none; }
.jp-RenderedHTMLCommon tbody tr:nth-child(odd) { background: #ff000018; }
.jp-RenderedHTMLCommon img { max-width: 100%; height: auto; }
.jp-RenderedHTMLCommon h4 { margin: 3em 0; font-size: 30px; }
"""
OURS = """() => {
  const of = (at, name) => getComputedStyle(document.querySelector(`.datakit-show ${at}`))[name];
  return [of("table", "tableLayout"), of("tbody th", "textAlign"), of("tbody tr", "backgroundColor"),
    of("h4", "marginTop"), of("img", "objectFit"), document.querySelector(".datakit-show table").clientWidth > 600];
}"""
THEIRS = "<h3>Theirs</h3><table id=theirs><tr><td>1<td>2</table>"
CELLS = ("datakit.show(faces, samples=1)", "datakit.show(loader)")


def notebook(*outputs, colours="", theirs=THEIRS):
    cells = "".join(f'<p class="in">{cell}</p>{html}' for cell, html in zip(CELLS, outputs, strict=False))
    return (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Notebook</title><style>body {{ {colours}"
        "margin: 1.5rem 2rem; font-family: serif } .in { font: 14px monospace; padding: .5rem .75rem;"
        "background: color-mix(in srgb, currentColor 6%, transparent); border-left: 3px solid #3a7bd5 }"
        f"{JUPYTER}</style><div class=jp-RenderedHTMLCommon><h1>Notebook</h1>{theirs}{cells}</div>"
    )


def face_outputs():
    dataset = FaceLandmarks.synthetic(n=48, transform=Compose([Rescale(256), RandomCrop(224), ToTensor()]))
    shown = show(dataset, samples=1)
    return Shown(tidy(shown.inspection))._repr_html_(), show(Loader(dataset, 8, seed=1))._repr_html_()


LOOKS = """() => ["h1", "h3", "#theirs td", "body", ".in"].map((at) => {
  const style = getComputedStyle(document.querySelector(at));
  return [style.fontSize, style.fontFamily, style.color, style.margin, style.padding, style.display, style.textAlign];
})"""


@pytest.mark.parametrize("colours", ["", "background: #111; color: #eee; "])
def test_a_notebook_keeps_its_own_looks_and_ours_follow_them(chromium, tmp_path, colours):
    (tmp_path / "bare.html").write_text(notebook("", colours=colours))
    (tmp_path / "shown.html").write_text(notebook(*face_outputs(), colours=colours))
    looks = []
    for name in ("bare", "shown"):
        with opened(chromium, (tmp_path / f"{name}.html").as_uri(), java_script_enabled=True) as page:
            looks.append(page.evaluate(LOOKS))
            least, text, count = page.evaluate(CONTRAST)
            assert least >= 4.5, text
    assert looks[0] == looks[1]
    assert count > 40
    with opened(chromium, (tmp_path / "shown.html").as_uri(), java_script_enabled=False) as page:
        assert page.evaluate(OURS) == ["auto", "left", "rgba(0, 0, 0, 0)", "0px", "contain", True]
        pictures = page.locator(".datakit-show img")
        assert pictures.count() == 4 + 8
        boxes = [picture.bounding_box() for picture in pictures.all()]
        assert all(80 < box["width"] < 400 for box in boxes)
        assert as_array(pictures.first.screenshot()).std() > 8


# --- served


class Server(ThreadingHTTPServer):
    """The page, and a stream of what `events` is fed with."""

    daemon_threads = True

    def __init__(self, html):
        super().__init__(("127.0.0.1", 0), Handler)
        self.html, self.events, self.loads = html, queue.Queue(), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        is_stream = self.path == "/events"
        self.send_header("Content-Type", "text/event-stream" if is_stream else "text/html; charset=utf-8")
        self.end_headers()
        if not is_stream:
            self.server.loads += 1
            self.wfile.write(self.server.html.encode())
            return
        while (event := self.server.events.get()) is not None:
            self.wfile.write(event.encode())
            self.wfile.flush()
            if "changed" in event:
                return

    def log_message(self, *_):
        pass


def test_a_served_page_follows_the_code(chromium):
    seen = look(Target("faces", FaceLandmarks.synthetic(n=8, transform=Rescale(64))), samples=3, survey_records=0)
    server = Server(report.render(seen, live="/events"))
    address = f"http://127.0.0.1:{server.server_port}/"
    with opened(chromium, address, allowed=(address, "data:", "about:")) as page:
        banner = page.locator("#broken")
        assert not banner.is_visible()
        page.evaluate("scrollTo(0, 1e6)")
        end_at_first = page.evaluate("scrollY")
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
        page.evaluate("scrollTo(0, 1e6)")
        end = page.evaluate("scrollY")
        assert end > end_at_first + 100
        server.events.put("event: broken\ndata: NameError: name 'x'\ndata: <b>line 3</b>\n\n")
        until(page, "document.getElementById('broken').textContent !== ''")
        assert banner.inner_text() == "your code has an error: NameError: name 'x'\n<b>line 3</b>"
        assert banner.get_attribute("role") == "status"
        box = banner.bounding_box()
        assert 0 <= box["y"] <= 900 - box["height"]
        assert server.loads == 1
        with page.expect_navigation():
            server.events.put("event: changed\ndata: 2\n\n")
        assert server.loads == 2
        assert not banner.is_visible()
        until(page, f"scrollY === {end}")
        assert page.evaluate("[...document.querySelectorAll('details')].every(e => e.open)")
        page.goto("about:blank")
        server.events.put(None)
    server.shutdown()
    server.server_close()


# --- pictures for the documents


def keep(content, name):
    """A screenshot, with fewer colours where it would be large."""
    place = Path(PICTURES) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(io.BytesIO(content)).convert("RGB")
    for colours in (None, 256, 128, 64):
        shown = image if colours is None else image.quantize(colours, Image.Quantize.MEDIANCUT)
        shown.save(place, "PNG", optimize=True)
        if place.stat().st_size <= 300_000:
            return
    raise AssertionError(f"{name} is {place.stat().st_size} bytes")


@pytest.mark.skipif(PICTURES is None, reason="set DATAKIT_PICTURES to the folder that they go to")
def test_pictures_for_the_documents(visit, chromium, tmp_path):
    with visit("sixteen", viewport={"width": 1280, "height": 1100}) as page:
        keep(page.screenshot(), "inspect-page.png")
        keep(page.locator("#figures").screenshot(), "inspect-figures.png")
    with visit("sixteen", viewport={"width": 1280, "height": 1100}, color_scheme="dark") as page:
        keep(page.screenshot(), "inspect-page-dark.png")
    with visit("sixteen", viewport={"width": 390, "height": 1000}) as page:
        keep(page.screenshot(), "inspect-phone.png")
    with visit("sounds", viewport={"width": 1280, "height": 1000}) as page:
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = false })")
        page.locator("#samples").scroll_into_view_if_needed()
        page.evaluate("document.getElementById('samples').scrollIntoView()")
        keep(page.screenshot(), "inspect-sounds.png")
    with visit("names", viewport={"width": 1280, "height": 1180}) as page:
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = false })")
        keep(page.locator("#sample-1").screenshot(), "inspect-texts.png")
        keep(page.locator(".of-batch").first.screenshot(), "inspect-tokens.png")
    (tmp_path / "notebook.html").write_text(notebook(*face_outputs(), colours="background: #fff; ", theirs=""))
    with opened(chromium, (tmp_path / "notebook.html").as_uri(), viewport={"width": 1000, "height": 900}) as page:
        keep(page.screenshot(), "inspect-show.png")


def flawed():
    """Drawn faces in two splits: a copy, nearly a copy, and points that were moved."""
    drawn = list(FaceLandmarks.synthetic(n=40))
    train, held_out = [{"image": one["image"], "landmarks": one["landmarks"]} for one in drawn], []
    train, held_out = train[:30], train[30:]
    held_out[4] = train[12]
    image, points = train[5].values()
    mirrored = {"image": image[:, ::-1] // 4 * 3, "landmarks": points * (-1, 1) + (image.shape[1], 0)}
    held_out[7] = {**mirrored, "landmarks": mirrored["landmarks"].astype(np.float32)}
    train[17] = {**train[17], "landmarks": train[17]["landmarks"] + np.float32(60)}
    return {"train": Mapped(train), "test": Mapped(held_out)}


@pytest.mark.skipif(PICTURES is None, reason="set DATAKIT_PICTURES to the folder that they go to")
def test_pictures_for_the_documents_on_checking(chromium, tmp_path):
    parts = flawed()
    found = check(parts, target="my.faces:splits", only=["leak", "near-leak", "point-outside"])
    (tmp_path / "check.html").write_text(check_page.render(replace(found, seconds=0.0), parts), encoding="utf-8")
    address = (tmp_path / "check.html").as_uri()
    for name, scheme in (("check-page.png", "light"), ("check-page-dark.png", "dark")):
        with opened(chromium, address, viewport={"width": 1280, "height": 760}, color_scheme=scheme) as page:
            keep(page.screenshot(), name)
    with opened(chromium, address, viewport={"width": 1000, "height": 800}) as page:
        keep(page.locator("#finding-2").screenshot(), "check-pair.png")
        keep(page.locator("#finding-3").screenshot(), "check-points.png")
