"""Pages in headless Chromium, for tests: what went wrong in them, and what a person would see."""

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

ALLOWED = ("file:", "data:", "about:")

# The least contrast of any text that can be seen, against what is behind it, with the text (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parse = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    if (!element) return parse("Canvas");
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = [99, "nothing"], count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest("title, style, script, .unseen, .skip")) continue;
    const style = getComputedStyle(element), back = behind(element);
    const front = parse(element.ownerSVGElement ? style.fill : style.color);
    front[3] *= Number(style.opacity);
    const [one, other] = [light(over(front, back)), light(back)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    count += 1;
    if (ratio < least[0]) least = [ratio, text];
  }
  return [...least, count];
}"""


def chromium_path():
    """Where Chromium is, or a skip that says how to get it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    return path


@contextmanager
def launched():
    """A headless Chromium."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = chromium_path()
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Trouble:
    """What should not happen while a page is open."""

    allowed: tuple[str, ...] = ALLOWED
    found: list[str] = field(default_factory=list)

    def watch(self, page):
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("console", lambda message: self._console(message))
        page.on("requestfailed", lambda request: self._failed(request))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.found.append(f"console: {message.text}")

    def _failed(self, request):
        if request.resource_type != "eventsource":  # a page that loads itself again drops its stream
            self.found.append(f"failed: {request.url[:80]} {request.failure}")

    def _request(self, url):
        if not url.startswith(self.allowed):
            self.found.append(f"request: {url[:80]}")


_KEPT = {}  # tabs that nobody uses, by browser and options


@contextmanager
def opened(browser, address, *, allowed=ALLOWED, before="", **options):
    """A page, at whose end nothing must have gone wrong; the script `before` runs before its own.

    A new tab costs more than the page in it: those of files are used again, with nothing stored. One in which a test
    failed is not, nor one with a script of its own.
    """
    is_kept = address.startswith("file:") and not before and allowed is ALLOWED
    key = browser, repr(sorted(options.items()))
    page, trouble = (is_kept and _KEPT.pop(key, None)) or _new_tab(browser, options)
    is_clean = False
    try:
        trouble.found, trouble.allowed = [], allowed
        if before:
            page.add_init_script(before)
        page.goto(address)
        yield page
        page.wait_for_timeout(50)  # for what the last step set off
        assert trouble.found == []
        is_clean = True
    finally:
        if is_kept and is_clean:
            _emptied(page, options)
            _KEPT[key] = page, trouble
        else:
            page.context.close()


def _new_tab(browser, options):
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
    trouble = Trouble()
    trouble.watch(page)
    return page, trouble


def _emptied(page, options):
    page.emulate_media(color_scheme=options.get("color_scheme", "light"))
    if options.get("java_script_enabled", True):
        page.evaluate("localStorage.clear()")
    page.goto("about:blank")


def until(page, condition, seconds=5.0):
    """Wait for a condition; Playwright's own `wait_for_function` evaluates text, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never came true: {condition}"
        page.wait_for_timeout(20)
