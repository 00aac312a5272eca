"""`datakit vocab`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datakit.cli.group import debug_option
from datakit.cli.options import FILE, json_option, open_, place_options
from datakit.cli.output import check_place, print_json

if TYPE_CHECKING:
    from datakit.dataset import Dataset
    from datakit.vocab import Vocab

_SHOWN = 24  # tokens


@click.command(short_help="Make a vocabulary of the texts of a dataset.")
@place_options
@click.option("--words", is_flag=True, help="Of words, which stand between blanks, instead of characters.")
@click.option("--pattern", metavar="REGEX", help=r"Of words that match this, such as '\w+|[^\w\s]'.")
@click.option("--key", default="text", show_default=True, help="The text of a sample.")
@click.option(
    "--min-count", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Leave out what is rarer."
)
@click.option("--max-size", type=click.IntRange(1), metavar="N", help="Of the vocabulary; the most frequent ones stay.")
@click.option("--mask", is_flag=True, help="With a token for what MaskTokens hides.")
@click.option("--out", type=FILE, default=Path("vocab.json"), show_default=True, help="Where to write it.")
@click.option("--force", is_flag=True, help="Overwrite --out where it is no vocabulary.")
@json_option
@debug_option
def vocab(
    words: bool,
    pattern: str | None,
    key: str,
    min_count: int,
    max_size: int | None,
    mask: bool,
    out: Path,
    force: bool,
    as_json: bool,
    **what: Any,
) -> None:
    """Count the characters or words of the texts of TARGET, and write those that get a number as JSON.

    TARGET is as of `datakit inspect`. What the file is for: Encode('vocab.json') in a chain, and Vocab.load in Python.

    \b
      datakit vocab names --root data
      datakit vocab translation-pairs --root data --words --key target_text --min-count 2 --out french.json
      datakit inspect names --root data -t "Encode('vocab.json')"
    """
    from datakit.vocab import SPECIALS

    check_place(
        out, may_replace=force or not out.exists() or _is_vocabulary(out), endings=(".json",), kind="vocabulary"
    )
    with redirect_stdout(sys.stderr):
        target = open_(what)
        texts = _texts(target.name, target.dataset, key)
        specials = {**SPECIALS, "mask": "<mask>"} if mask else SPECIALS
        options = {"min_count": min_count, "max_size": max_size, "specials": specials}
        made = _made(texts, pattern, options, is_words=words or pattern is not None)
        made.save(out)
    if as_json:
        print_json({"path": str(out), "unit": made.unit, "size": len(made), **_counted(made)})
    else:
        click.echo("\n".join(_lines(made, out)))


def _made(texts: Iterator[str], pattern: str | None, options: dict[str, Any], *, is_words: bool) -> Vocab:
    from datakit.errors import DatakitError
    from datakit.vocab import Vocab

    try:
        return Vocab.words(texts, pattern=pattern, **options) if is_words else Vocab.characters(texts, **options)
    except ValueError as error:
        if isinstance(error, DatakitError):  # a record that cannot be read
            raise
        raise click.UsageError(str(error)) from error


def _is_vocabulary(out: Path) -> bool:
    from datakit.errors import DatakitError
    from datakit.vocab import Vocab

    try:
        Vocab.load(out)
    except (DatakitError, OSError):
        return False
    return True


def _texts(name: str, dataset: Dataset | None, key: str) -> Iterator[str]:
    """Those of the index where it has them, else of the samples, which are then loaded."""
    from datakit.errors import TargetError, UnknownNameError

    if dataset is None or not len(dataset):
        raise TargetError(f"{name} has no records to take texts from")
    rows: Iterator[dict[str, Any]] = dataset.records()
    first = next(rows)
    if not isinstance(first.get(key), str):
        rows = (dataset[index] for index in range(len(dataset)))
        first = next(rows)
    if not isinstance(first.get(key), str):
        known = [key for key, value in first.items() if isinstance(value, str) and key != "path"]
        raise UnknownNameError.of(f"text of {name}", key, known) if known else TargetError(f"{name} has no texts")
    return (row[key] for row in chain([first], rows))


def _counted(made: Vocab) -> dict[str, Any]:
    total = int(made.counts.sum()) + made.left_out
    return {"counted": total, "left_out": made.left_out, "left_out_share": made.left_out / max(total, 1)}


def _lines(made: Vocab, out: Path) -> Iterator[str]:
    counted = _counted(made)
    rest = f"{counted['left_out_share'] * 100:.2f} % of them left out" if made.left_out else "none of them left out"
    yield f"{out}: {made!r}"
    yield f"counted {counted['counted']:,} {made.unit}, {rest}"
    first = len(made.specials)
    shown = [f"{token!r} {count:,}" for token, count in zip(made.tokens[first:], made.counts[first:], strict=True)]
    yield "most frequent: " + ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")
