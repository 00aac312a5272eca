"""Write a page for every dataset, with a picture of its synthetic copy, and the list of changes, into the docs folder.

    python docs/pages.py            # `make docs` runs it before the site is built

What it writes (`datasets/`, `changelog.md`) is not kept in the repository. The same code gives the same pages.
"""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from datakit import catalog
from datakit.dataset import Dataset
from datakit.files import Remote
from datakit.report.drawing import draw

HERE = Path(__file__).resolve().parent
FOLDERS = {
    "image-folder": "datakit.vision:ImageFolder",
    "image-files": "datakit.vision:ImageFiles",
    "audio-folder": "datakit.audio:AudioFolder",
    "audio-files": "datakit.audio:AudioFiles",
    "kaldi-data": "datakit.audio:KaldiData",
    "text-lines": "datakit.text:TextLines",
}
"""Datasets without a name in the catalog: they read any folder."""

RECORDS, COLUMNS, SIDE, GAP = 8, 4, 240, 12  # of the picture; pixels
MOST_CLASSES = 24
WAVE = (13, 148, 136, 255)  # RGBA, to be seen on light and on dark ground
SECTION = re.compile(r"^(Args|Attributes|Raises|Examples?):\n((?:[ \t]+.*\n|\n)*)", re.M)


class Entry(NamedTuple):
    """A dataset that gets a page."""

    name: str
    cls: type[Dataset]
    group: str
    is_named: bool

    @property
    def text(self) -> str:
        """The docstring without its sections."""
        return SECTION.sub("", inspect.getdoc(self.cls) + "\n").strip()

    @property
    def first_sentence(self) -> str:
        """The first paragraph, on one line, up to its first stop."""
        paragraph = " ".join(self.text.split("\n\n")[0].split())
        return re.split(r"(?<=[.:])\s", paragraph)[0].rstrip(".:")

    @property
    def keys(self) -> list[str]:
        """The first column of the docstring's table of keys."""
        rows = re.findall(r"^\| *`?([\w, `]+?)`? *\|", self.text, re.M)
        return [row for row in rows if row != "key"]


def entries() -> list[Entry]:
    """Datakit's own datasets, by group and name; those of other packages have pages of their own."""
    own = {name: target for name, target in catalog.targets().items() if target.startswith("datakit.")}
    found = [(name, target, True) for name, target in own.items()]
    found += [(name, target, False) for name, target in FOLDERS.items()]
    made = [
        Entry(name, catalog.import_object(target), target.split(":")[0].split(".")[1], is_named)
        for name, target, is_named in found
    ]
    return sorted(made, key=lambda entry: (entry.group, not entry.is_named, entry.name))


def page(entry: Entry, folder: Path) -> str:
    """The Markdown of a dataset's page; its picture goes to `folder`."""
    parts = [f"# {entry.cls.__name__}", linked(entry.text)]
    copy = synthetic(entry.cls)
    parts += seen(entry, copy, folder) if copy is not None else []
    parts += loading(entry, copy is not None)
    parts += [*classes(copy), *files(entry.cls.remotes), *raised(entry.cls)]
    return "\n\n".join(parts) + "\n"


def synthetic(cls: type[Dataset]) -> Dataset | None:
    """A synthetic copy, or None where the dataset has none."""
    try:
        return cls.synthetic(RECORDS)
    except NotImplementedError:
        return None


def seen(entry: Entry, copy: Dataset, folder: Path) -> list[str]:
    """The picture of a synthetic copy; of one without images the keys of its first record."""
    samples = [copy[index] for index in range(min(RECORDS, len(copy)))]
    drawings = [draw(sample, classes=copy.classes, side=SIDE) for sample in samples]
    images = [drawing.image for drawing in drawings if drawing is not None]
    images = images or [wave(sample["waveform"].numpy()) for sample in samples if "waveform" in sample]
    if not images and not any(hasattr(value, "shape") for value in samples[0].values()):
        return ["## Records of the synthetic copy", records(copy, samples)]
    if not images:
        rows = [f"| `{key}` | {kind(value)} | {content(value)} |" for key, value in samples[0].items() if key != "path"]
        table = "\n".join(["| key | type | value |", "| --- | --- | --- |", *rows])
        return ["## A record of the synthetic copy", table]
    sheet(images).save(folder / f"{entry.name}.webp", quality=88)
    shown = [key for key in ("landmarks", "boxes", "masks") if key in samples[0]]
    over = f", with {' and '.join(shown)} drawn over them" if shown else ""
    alt = f"{len(images)} records of the synthetic copy of {entry.cls.__name__}{over}"
    caption = f"{len(images)} records of the synthetic copy{over}."
    if "label" in samples[0]:
        names = [str(copy.classes[sample["label"]]) for sample in samples if len(copy.classes)]
        caption += f" Labels: {', '.join(names or [str(sample['label']) for sample in samples])}."
    texts = [sample["text"] for sample in samples if "text" in sample]
    caption += f" Texts: {'; '.join(texts)}." if texts else ""
    return [f"![{alt}]({entry.name}.webp)", f"*{caption}*"]


def records(copy: Dataset, samples: list[dict[str, Any]]) -> str:
    """A table of the texts of samples, with the names of their labels."""
    keys = [key for key in samples[0] if key in ("text", "target_text", "label")]
    rows = ["| " + " | ".join(f"`{key}`" for key in keys) + " |", "| --- " * len(keys) + "|"]
    for sample in samples:
        cells = [str(copy.classes[sample[key]]) if key == "label" else content(sample[key]) for key in keys]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def wave(waveform: np.ndarray) -> Image.Image:
    """A waveform, (C, T), as a band from its least to its greatest value in each column of pixels."""
    fine, height = 2, SIDE // 2
    picture = Image.new("RGBA", (SIDE * fine, height * fine))
    pen = ImageDraw.Draw(picture)
    scale = 0.48 * picture.height / max(float(np.abs(waveform).max()), 1e-3)
    for column, part in enumerate(np.array_split(waveform.mean(0), picture.width)):
        if len(part):
            top, bottom = ((0.5 * picture.height - scale * edge) for edge in (part.max(), part.min()))
            pen.line([(column, top - 0.5), (column, bottom + 0.5)], fill=WAVE)
    return picture.resize((SIDE, height), Image.Resampling.BOX)


def sheet(images: list[Image.Image]) -> Image.Image:
    """The pictures side by side, each in the middle of its cell, on a transparent ground."""
    columns, rows = min(COLUMNS, len(images)), -(-len(images) // COLUMNS)
    step, side = SIDE + GAP, max(image.height for image in images)
    canvas = Image.new("RGBA", (columns * step - GAP, rows * (side + GAP) - GAP))
    for place, image in enumerate(images):
        row, column = divmod(place, COLUMNS)
        canvas.paste(
            image, (column * step + (SIDE - image.width) // 2, row * (side + GAP) + (side - image.height) // 2)
        )
    return canvas


def kind(value: Any) -> str:
    """Type of a value, with shape and dtype where it has them."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return type(value).__name__


def content(value: Any) -> str:
    """A short value as it is, of an array its least and greatest number."""
    if hasattr(value, "shape") and getattr(value, "ndim", 0):
        array = np.asarray(value)
        return f"{array.min():.4g} … {array.max():.4g}" if array.size and array.dtype.kind in "biuf" else ""
    text = " ".join(str(value).split()).replace("|", "\\|")
    return f"`{text[:60]}{'…' if len(text) > 60 else ''}`"


def loading(entry: Entry, has_copy: bool) -> list[str]:
    """How the dataset is made, in Python and on the command line."""
    name = entry.cls.__name__
    split = f", split={entry.cls.splits[0]!r}" if entry.cls.splits else ""
    kinds = {"audio": "sounds", "text": "texts"}.get(entry.group, "images")
    place = '"data"' if entry.is_named else f'"path/to/{kinds}"'
    download = ", download=True" if entry.cls.remotes and not any(r.manual for r in entry.cls.remotes) else ""
    code = [f"from {public_module(entry.cls)} import {name}", "", f"dataset = {name}({place}{split}{download})"]
    code += [f"dataset = {name}.synthetic(n=64)  # the synthetic copy, without a network"] if has_copy else []
    commands = []
    if entry.is_named:
        first = next(iter(entry.cls.splits), None)
        one = f" --split {first}" if entry.cls.remotes_of(first) != entry.cls.remotes else ""
        commands += [f"$ datakit download {entry.name} --root data{one}"] if entry.cls.remotes else []
        commands += [f"$ datakit inspect {entry.name} --root data"]
        commands += [f"$ datakit inspect {entry.name} --synthetic"] if has_copy else []
    else:
        commands += [f"$ datakit inspect path/to/{kinds}"]
    signature = inspect.signature(entry.cls)
    parameters = [
        parameter.replace(annotation=parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "split" or entry.cls.splits
    ]
    typed = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    blocks = [("python", [f"{name}{typed}"]), ("python", code), ("console", commands)]
    parts = ["## Loading", *("\n".join([f"```{language}", *lines, "```"]) for language, lines in blocks)]
    if entry.cls.splits:
        parts += [f"Splits: {', '.join(f'`{name}`' for name in entry.cls.splits)}; the first one by default."]
    return parts


def public_module(cls: type) -> str:
    """The module that a reader imports the class from: `datakit.vision`, not `datakit.vision.faces`."""
    return ".".join(cls.__module__.split(".")[:2])


def classes(copy: Dataset | None) -> list[str]:
    """Names of the labels."""
    names = list(map(str, copy.classes)) if copy is not None else []
    if not names:
        return []
    shown = ", ".join(f"`{name}`" for name in names[:MOST_CLASSES]) + (", …" if len(names) > MOST_CLASSES else "")
    return [f"## {len(names)} classes", shown]


def files(remotes: tuple[Remote, ...]) -> list[str]:
    """What is downloaded."""
    if not remotes:
        return []
    rows = ["| file | size | checksum | from |", "| --- | --- | --- | --- |"]
    rows += [f"| `{remote.name}` | {size(remote.size)} | {checksum(remote)} | {source(remote)} |" for remote in remotes]
    by_hand = [f"`{remote.name}`: {linked(remote.manual)}" for remote in remotes if remote.manual]
    return ["## Files", "\n".join(rows), *by_hand]


def size(count: int | None) -> str:
    """A number of bytes to read."""
    if not count:
        return "not declared"
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.3g} {unit}" if count < 1000 else f"{count:,.0f} {unit}"


def checksum(remote: Remote) -> str:
    """The beginning of the checksum that upstream or somebody else declared."""
    digits = remote.sha256 or remote.md5
    kind = "SHA-256" if remote.sha256 else "MD5"
    return f"{kind} `{digits[:12]}…`" if digits else "none published"


def source(remote: Remote) -> str:
    """Hosts that the file is fetched from, linked."""
    hosts = [f"[{url.split('/')[2] or 'this machine'}]({url})" for url in remote.urls]
    return ", ".join(hosts) or "by hand, see below"


def raised(cls: type[Dataset]) -> list[str]:
    """The `Raises` section of the docstring, as a list."""
    sections = {found[1]: found[2] for found in SECTION.finditer(inspect.getdoc(cls) + "\n")}
    items = re.split(r"\n(?=\w)", textwrap.dedent(sections.get("Raises", "")).strip())
    rows = []
    for item in filter(None, items):
        error, _, reason = " ".join(item.split()).partition(": ")
        rows.append(f"- `{error}`: {reason}")
    return ["## Errors", "\n".join(rows)] if rows else []


def linked(text: str) -> str:
    """Markdown in which bare addresses are links."""
    return re.sub(r"(?<![<(\[`\"])https?://[^\s<>)\]]*[^\s<>)\].,;:]", r"<\g<0>>", text)


def overview(found: list[Entry]) -> str:
    """The page that lists all datasets."""
    rows = ["| name | what | keys | files |", "| --- | --- | --- | --- |"]
    for entry in found:
        name = f"`{entry.name}`" if entry.is_named else entry.cls.__name__
        keys = ", ".join(f"`{key}`" for key in entry.keys if key not in ("index", "path"))
        total = size(sum(remote.size or 0 for remote in entry.cls.remotes)) if entry.cls.remotes else "your own"
        rows.append(f"| [{name}]({entry.name}.md) | {entry.first_sentence} | {keys} | {total} |")
    return "\n\n".join(
        [
            "# Datasets",
            "`datakit list` prints the names. A name goes with `datakit download`, `inspect` and `bench`, and with "
            "`datakit.find`. A dataset of your own can have all of that too: see "
            "[writing a dataset](../writing-a-dataset.md).",
            "\n".join(rows),
            "Every sample has `index` and `path` too. What the keys mean is said in "
            "[samples and transforms](../samples.md#what-the-keys-mean).",
        ]
    )


def summary(found: list[Entry]) -> Iterator[str]:
    """The part of the navigation that lists the pages."""
    yield "- [Overview](index.md)"
    for group, members in groupby(found, key=lambda entry: entry.group):
        yield f"- {group.capitalize()}"
        yield from (f"    - [{entry.cls.__name__}]({entry.name}.md)" for entry in members)


def write(docs: Path) -> None:
    """Write all of it below `docs`."""
    folder = docs / "datasets"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = entries()
    for entry in found:
        (folder / f"{entry.name}.md").write_text(page(entry, folder), encoding="utf-8")
    (folder / "index.md").write_text(overview(found) + "\n", encoding="utf-8")
    (folder / "SUMMARY.md").write_text("\n".join(summary(found)) + "\n", encoding="utf-8")
    shutil.copyfile(HERE.parent / "CHANGELOG.md", docs / "changelog.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the pages of the datasets.")
    parser.add_argument("--docs", type=Path, default=HERE, help="the folder of the documents")
    write(parser.parse_args().docs)
