"""The site that `make docs` builds: every link leads somewhere, nothing is loaded from elsewhere, search finds."""

import contextlib
import functools
import http.server
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest

import datakit
from datakit import Columns, Dataset, Remote, audio, catalog, check, text, transforms

ROOT = Path(__file__).resolve().parents[1]
LOADS = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "src"),
}
LINKS_THAT_LOAD = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest"}


class Page(HTMLParser):
    """What a page links to, what it loads, its anchors, its pictures, and its text outside of code."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors, self.pictures, self.prose = [], [], set(), [], []
        self.code_depth = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, pairs):
        found = dict(pairs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "link" and LINKS_THAT_LOAD & set((found.get("rel") or "").split()):
            self.loads.append(found["href"])
        self.loads += [value for name, value in pairs if (tag, name) in LOADS and value]
        if tag == "img":
            self.pictures.append(found)
        self.code_depth += tag in ("pre", "code", "script", "style")

    def handle_endtag(self, tag):
        self.code_depth -= tag in ("pre", "code", "script", "style")

    def handle_data(self, data):
        if not self.code_depth:
            self.prose.append(data)


@pytest.fixture(scope="module")
def pages_script():
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(pages_script, tmp_path_factory):
    """The folder of the built site."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("datasets", "__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", folder)
    os.symlink(ROOT / "datakit", folder / "datakit")
    pages_script.write(folder / "docs")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site):
    """The pages by their path; the page for what is not found stands nowhere, so its links are absolute."""
    found = {str(path.relative_to(site)): Page(path) for path in sorted(site.rglob("*.html"))}
    found.pop("404.html")
    return found


def is_elsewhere(address):
    return bool(urlsplit(address).scheme or address.startswith("//"))


def test_links_and_anchors_lead_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        for link in [*page.links, *page.loads]:
            if is_elsewhere(link):
                continue
            place = urlsplit(urljoin(name, link))
            path = unquote(place.path) or name
            anchors = pages[path].anchors if path in pages else set()
            is_anchored = not place.fragment or path not in pages or unquote(place.fragment) in {*anchors, "__top"}
            if not (site / path).is_file() or not is_anchored:
                broken.append((name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site, pages):
    loaded = {(name, address) for name, page in pages.items() for address in page.loads}
    assert {
        (name, address) for name, address in loaded if is_elsewhere(address) and not address.startswith("data:")
    } == set()
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", sheet.read_text()), sheet


def test_pictures_say_what_they_show(pages):
    assert sum(len(page.pictures) for page in pages.values()) >= 4
    for name, page in pages.items():
        for picture in page.pictures:
            assert len(picture.get("alt") or "") > 15, (name, picture)


def test_markup_is_rendered(pages):
    """A table or a doctest in a docstring must not come out as the text it is written in."""
    for name, page in pages.items():
        text = "".join(page.prose)
        for raw in ("| ---", ">>> ", "```", ":::", "Args:", "](", "**"):
            assert raw not in text, (name, raw)


def test_every_public_name_is_in_the_reference(pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    modules = {"audio", "collate", "errors", "testing", "text", "transforms", "vision"}
    names = {f"datakit.{name}" for name in set(datakit.__all__) - modules}
    names |= {f"datakit.transforms.{name}" for name in transforms.__all__}
    names |= {f"datakit.audio.{name}" for name in audio.__all__ if not inspect.ismodule(getattr(audio, name))}
    names |= {f"datakit.text.{name}" for name in text.__all__}
    names |= {f"datakit.check.{name}" for name in check.__all__}
    names |= {f"datakit.audio.features.{name}" for name in audio.features.__all__}
    names |= {f"datakit.audio.kaldi.{name}" for name in set(audio.kaldi.__all__) - set(audio.__all__)}
    names |= {
        f"datakit.errors.{name}"
        for name, item in vars(datakit.errors).items()
        if isinstance(item, type) and issubclass(item, datakit.errors.DatakitError)
    }
    assert names - anchors == set()


def test_every_dataset_has_a_page_that_the_navigation_lists(site, pages):
    for name, target in catalog.BUILT_IN.items():
        page = pages[f"datasets/{name}.html"]
        assert target.split(":")[1] in "".join(page.prose)
        assert f"./datasets/{name}.html" in pages["index.html"].links
        assert not page.pictures or (site / "datasets" / f"{name}.webp").stat().st_size > 5_000
    assert (site / "search.json").read_text().count("datasets/SUMMARY") == 0


class Words(Dataset):
    """Words and their length: a dataset without pictures.

    | key | shape | dtype | meaning |
    | --- | --- | --- | --- |
    | text | () | str | a word |

    Source: https://example.org/words.

    Raises:
        MissingDataError: the list
            is not there.
    """

    splits = ("train", "test")
    remotes = (
        Remote("words.txt", urls=("https://example.org/words.txt",), sha256="0" * 64, size=1_234_567),
        Remote("more.zip", unpack=True, manual="Get it from https://example.org/more yourself."),
    )

    def __init__(self, root, split=None, transform=None, *, download=False):
        self.root, self.split, self.transform = Path(root), split or "train", transform
        self.classes = ["short", "long"]
        self.columns = Columns(label=[0, 1])

    def load(self, record):
        return {"text": "a|b", "tokens": np.arange(3), "label": record.label}


class Drawn(Words):
    """Words, with a synthetic copy."""

    @staticmethod
    def synthesize(root, n, rng):
        (root / "words.txt").write_text("a")


def test_a_dataset_without_pictures_has_a_table_of_keys_instead(pages_script, tmp_path):
    text = pages_script.page(pages_script.Entry("drawn", Drawn, "text", True), tmp_path)
    assert "| `tokens` | int64 (3,) | 0 … 2 |" in text
    assert "| `text` | str | `a\\|b` |" in text
    assert "`short`, `long`" in text
    assert not list(tmp_path.iterdir())


def test_a_dataset_without_a_synthetic_copy_says_how_it_is_had(pages_script, tmp_path):
    text = pages_script.page(pages_script.Entry("words", Words, "text", True), tmp_path)
    assert "| text | () | str | a word |" in text
    assert "<https://example.org/words>." in text
    assert "| `words.txt` | 1.23 MB | SHA-256 `000000000000…` | [example.org](https://example.org/words.txt) |" in text
    assert "Get it from <https://example.org/more> yourself." in text
    assert "- `MissingDataError`: the list is not there." in text
    assert "Splits: `train`, `test`" in text
    assert "$ datakit inspect words --root data" in text
    assert "synthetic" not in text


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def was_refused(request):
    """Whether a request failed other than by our going to the next page."""
    return request.failure != "net::ERR_ABORTED"


@pytest.fixture
def tab(new_tab):
    """A new tab."""
    return new_tab()


@pytest.fixture
def new_tab(chromium, address, site):
    """New tabs of the size of a phone, whose complaints and requests to elsewhere fail the test."""
    complaints, own = [], (address, site.as_uri(), "data:", "blob:")
    with contextlib.ExitStack() as contexts:

        def opened(**options):
            context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="light", **options)
            page = contexts.enter_context(context).new_page()
            page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("requestfailed", lambda request: complaints.append(request.url) if was_refused(request) else None)
            page.on("request", lambda request: None if request.url.startswith(own) else complaints.append(request.url))
            return page

        yield opened
    assert complaints == []


def test_pages_open_on_a_phone(new_tab, address, pages):
    """With their scripts, which are the same on all of them and take as long as the page, one of each folder."""
    alike = {name for name in pages if name.startswith("decisions/000") and "0006" not in name}
    scripted = {name.rpartition("/")[0]: name for name in sorted(pages.keys() - alike)}.values()
    with_scripts, without = new_tab(), new_tab(java_script_enabled=False)
    for name in pages.keys() - alike:
        tab = with_scripts if name in scripted else without
        tab.goto(address + name, wait_until="load")
        wider = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, (name, wider)
        blank = tab.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)")
        assert blank == [], name


def test_the_reader_chooses_light_or_dark(tab, address):
    tab.goto(address + "index.html")
    scheme = "document.body.dataset.mdColorScheme"
    background = "getComputedStyle(document.body).backgroundColor"
    before, light = tab.evaluate(scheme), tab.evaluate(background)
    tab.locator("label[title='Switch to dark mode']").click()
    assert (before, tab.evaluate(scheme)) == ("default", "slate")
    assert tab.evaluate(background) != light
    tab.goto(address + "loader.html")  # remembered
    assert tab.evaluate(scheme) == "slate"


def open_search(tab):
    """Once the page listens; before that, single letters would be taken for its shortcuts."""
    for _ in range(40):
        tab.keyboard.press("Control+k")
        tab.wait_for_timeout(250)
        if tab.evaluate("document.activeElement !== document.body"):
            return
    pytest.fail("Ctrl+K opens no search")


@pytest.mark.parametrize("kind", ["served", "from the disk"])
def test_search_finds_a_word(tab, address, site, kind):
    start = address if kind == "served" else site.as_uri() + "/"
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.goto(start + "index.html")
    open_search(tab)
    tab.keyboard.type("antialiasing")
    found = tab.locator("a[href*='0004-antialiasing-is-a-triangle.html?h=antialiasing']")
    found.first.click(timeout=10_000)
    tab.wait_for_url("**/0004-antialiasing-is-a-triangle.html*")
    assert "0004" in tab.locator("h1").inner_text()
