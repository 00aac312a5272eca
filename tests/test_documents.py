"""What the README and the pages under docs/ show is what a reader gets: their code runs, and prints what they say."""

import contextlib
import io
import itertools
import re
import shlex
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def blocks(page):
    """Pairs of code and the text block right after it, which is what it prints."""
    found = list(BLOCK.finditer(page.read_text()))
    for block, following in itertools.zip_longest(found, found[1:]):
        if block[1] == "python":
            text = page.read_text()
            is_output = following and following[1] == "text" and not text[block.end() : following.start()].strip()
            yield block[2], following[2] if is_output else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_and_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # so that what it defines can be pickled
    for code, shown in blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{page.name}", "exec"), module.__dict__)
        assert printed.getvalue() == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_are_understood(page, tmp_path, monkeypatch):
    """Commands on the synthetic copy run; of the others the options are checked."""
    from click.testing import CliRunner

    from datakit.cli import command

    monkeypatch.chdir(tmp_path)
    for block in BLOCK.finditer(page.read_text()):
        for line in re.findall(r"^\$ (datakit .*)$", block[2], re.M) if block[1] == "console" else []:
            words = shlex.split(line, comments=True)[1:]
            runs = "--synthetic" in words or words == ["list"]
            result = CliRunner().invoke(command, words if runs else [words[0], "--help"])
            assert result.exit_code == 0, (line, result.output, result.exception)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_dataset_of_the_guide_is_under_40_lines():
    page = (ROOT / "docs" / "datasets.md").read_text()
    code = next(block[2] for block in BLOCK.finditer(page) if block[1] == "python")
    assert len([line for line in code[code.index("class ") :].splitlines() if line.strip()]) < 40
