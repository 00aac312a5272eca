"""What README, docs and docstrings show is what a reader gets: the code runs, and prints what they say."""

import contextlib
import doctest
import functools
import importlib
import io
import itertools
import re
import shlex
import sys
import types
from pathlib import Path

import click
import pytest

import datakit

ROOT = Path(__file__).resolve().parents[1]
GENERATED = (ROOT / "docs" / "datasets", ROOT / "docs" / "changelog.md")  # by docs/pages.py; see test_site.py
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not {page, page.parent} & set(GENERATED)),
]
PACKAGE = Path(datakit.__file__).parent
WITH_EXAMPLES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text()]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Pairs of code and the text block right after it, which is what it prints."""
    found = list(BLOCK.finditer(page.read_text()))
    for block, following in itertools.zip_longest(found, found[1:]):
        if block[1] == "python":
            text = page.read_text()
            is_output = following and following[1] == "text" and not text[block.end() : following.start()].strip()
            yield block[2], following[2] if is_output else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # so that what it defines can be pickled
    for code, shown in blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{page.name}", "exec"), module.__dict__)
        assert printed.getvalue() == shown


@functools.cache
def typed(line):
    """What a command gave, and its options; each is run once, on however many pages it stands."""
    from click.testing import CliRunner

    from datakit.cli import command

    words = shlex.split(line, comments=True)[1:]
    runs = "--synthetic" in words or words == ["list"]
    if words[0] == "train":
        runs = runs and words[1] == "faces"  # of the others tests/reference makes the same runs, and longer ones
    part, names = command.get_command(None, words[0]), words[:1]
    if words[0] == "train" and len(words) > 1 and not words[1].startswith("-"):
        part, names = part.get_command(None, words[1]), words[:2]
    # click keeps the help option that it makes for the first context: one without -h would lose it for all tests after
    context = click.Context(part, **command.context_settings)
    options = {name for option in part.get_params(context) for name in option.opts}
    unknown = {word for word in words if word.startswith("-")} - options
    soon = {
        "bench": ["--repeats", "1", "--records", "32"],
        "train": ["--epochs", "1", "--out", "runs/documents", "--force"],
    }
    return CliRunner().invoke(command, [*words, *soon.get(words[0], [])] if runs else [*names, "--help"]), unknown


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_are_understood(page, tmp_path, monkeypatch):
    """Commands on the synthetic copy run; of the others the options must exist."""
    monkeypatch.chdir(tmp_path)
    for block in BLOCK.finditer(page.read_text()):
        for line in re.findall(r"^\$ (datakit .*)$", block[2], re.M) if block[1] == "console" else []:
            result, unknown = typed(line)
            is_cut = line.startswith("datakit train") and ": NOT PASSED" in result.output  # tests/reference trains more
            assert result.exit_code == (1 if is_cut else 0), (line, result.output, result.exception)
            assert unknown == set(), line


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        path = (page.parent / target).resolve()
        assert path.exists() or {path, path.parent} & set(GENERATED), target


def test_the_dataset_of_the_guide_is_under_40_lines():
    page = (ROOT / "docs" / "writing-a-dataset.md").read_text()
    code = next(block[2] for block in BLOCK.finditer(page) if block[1] == "python")
    assert len([line for line in code[code.index("class ") :].splitlines() if line.strip()]) < 40


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_of_docstrings_print_what_they_show(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(module):
        runner.run(example, out=report.write)
    assert runner.tries
    assert not runner.failures, report.getvalue()


def test_public_names_have_examples():
    from datakit import check, collate, testing, transforms, vision

    shown = {getattr(datakit, name) for name in datakit.__all__} | {collate.stack, collate.pad, collate.detection}
    shown |= {getattr(module, name) for module in (transforms, vision) for name in module.__all__}
    shown |= {item for item in vars(check).values() if isinstance(item, type | types.FunctionType)}
    shown |= {testing.assert_dataset, testing.assert_sample, testing.assert_one_stream}
    callables = {item.__name__: item.__doc__ for item in shown if callable(item)}
    without = {"ensure", "show"}  # one needs a server, the other a notebook
    assert {name for name, text in callables.items() if ">>>" not in text} <= without
