"""Dependencies point downwards only, and the public names are these."""

import ast
from pathlib import Path

import pytest

import datakit

PACKAGE = Path(datakit.__file__).parent
LAYERS = [
    {"errors", "sample", "pixels", "probe", "cores", "phrasing", "sounds", "counting", "buffers"},
    {"columns", "files", "tables", "sampling", "buckets", "foreign"},
    {"vocab"},
    {"coding"},
    {"border", "sound_border"},
    {"chain"},
    {"synthetic", "collate", "catalog"},
    {"dataset", "derived", "streams", "transforms"},
    {"vision", "audio", "text", "delivery"},
    {"loader", "passes", "resuming", "hugging_face"},
    {"testing", "targets"},
    {"inspection", "bench", "doctor"},
    {"check"},
    {"report"},
    {"reference"},
    {"cli", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FORBIDDEN = {
    ("dataset", "transforms"),
    ("vision", "transforms"),
    ("audio", "transforms"),
    ("text", "transforms"),
    ("collate", "dataset"),
    ("transforms", "dataset"),
}


def imports(path):
    """The parts of datakit that a file imports, at the top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "datakit" else [f"datakit.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("datakit."))


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    own = part(path)
    if own == "__init__":
        return
    assert own in LEVEL, f"say in which layer {own} stands"
    for other in set(imports(path)) - {own, "__version__"}:
        assert LEVEL[other] <= LEVEL[own], f"{own} must not import {other}"
        assert (own, other) not in FORBIDDEN


def test_no_module_is_longer_than_400_lines():
    assert {path.name: n for path in PACKAGE.rglob("*.py") if (n := len(path.read_text().splitlines())) > 400} == {}


def test_public_names():
    assert set(datakit.__all__) == {
        "BucketSampler", "Columns", "Concat", "Dataset", "Key", "KeySampler", "Loader", "Mapped", "Remote", "Stream",
        "Subset", "audio", "collate", "ensure", "errors", "find", "from_hf", "load", "names", "padding_share",
        "read_table", "save", "show", "testing", "text", "to_hf", "transforms", "vision",
    }  # fmt: skip
    for name in datakit.__all__:
        assert getattr(datakit, name).__doc__, f"{name} has no docstring"
        assert name in dir(datakit)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        datakit.nothing  # noqa: B018
