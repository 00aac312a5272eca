"""Texts and tokens as `inspect` draws them: chips, matrices, pictures, lines, and nothing in a text that is obeyed."""

import io
import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pages import Page, decoded
from PIL import Image

from datakit import Loader, Mapped, collate, show
from datakit.cli import command
from datakit.inspection.look import look
from datakit.inspection.text import Coders, tokens_in
from datakit.inspection.text_batch import token_batches
from datakit.report import page
from datakit.report.charts import length_histogram
from datakit.report.contact_sheet import contact_sheet, stage_sheet
from datakit.report.padding import packed_line
from datakit.report.room import room_of
from datakit.report.terminal import inspection_json, inspection_lines
from datakit.report.text.chips import AT_ONCE, run_of
from datakit.report.text.colours import FILL, LETTERS, OVERVIEW
from datakit.report.text.lines import token_lines
from datakit.report.text.matrix import ROWS, STEPS, matrix_of
from datakit.report.text.writing import TINTS, direction, readable, tint, visible
from datakit.targets import Target
from datakit.text import SPECIALS, Names, Vocab
from datakit.transforms import AddSpecials, Compose, Encode, MaskTokens, NextTokens

MASKED = {**SPECIALS, "mask": "<mask>"}
VOCAB = Vocab.characters(["Ana", "Anna", "Nan"], specials=MASKED)
CODERS = Coders({"tokens": VOCAB, "target_tokens": VOCAB})
FOUL = "<script>alert('&')</script><b onclick=\"x\">"


def seen_in(texts, *steps, combine=collate.pad, **options):
    dataset = Mapped([{"text": text} for text in texts], transform=Compose(steps) if steps else None)
    dataset.collate_fn = combine
    return look(Target("texts", dataset), **{"draws": 0, "survey_records": 0, "samples": 3, **options})


def run(sample, coders=CODERS, most=1000):
    (tokens,) = tokens_in(sample, coders)
    return run_of(tokens, most)


# --- how it is written


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        ("a", "a"), (" ", "␣"), ("a b", "a␣b"), ("\n", "⏎"), ("\t", "⇥"), ("\x00", "U+0000"), ("\r", "U+000D"),
        ("\u00a0", "U+00A0"), ("\u200b", "U+200B"), ("\u202e", "U+202E"), ("\ud800", "U+D800"), ("", "∅"),
        ("\u0301", "◌\u0301"), ("é", "é"), ("日本", "日本"), ("می\u200cخواهم", "می\u200cخواهم"), ("\u200d", "U+200D"),
        ("<s>", "<s>"),
    ],
)  # fmt: skip
def test_all_of_a_token_can_be_seen(token, seen):
    assert visible(token) == seen
    assert all(char.isprintable() or char == "\u200c" for char in visible(token))


def test_controls_of_a_text_are_signs_and_its_lines_stay():
    assert readable("a\tb\nc d é") == "a\tb\nc d é"
    assert readable("a\x00\x1b[31m\u202eb\u2066") == "aU+0000U+001B[31mU+202EbU+2066"


def test_directions_and_tints():
    assert direction(["1", "ש", "a"]) == direction(["م"]) == "rtl"
    assert direction(["1", "a", "ש"]) == direction([]) == direction(["?"]) == "ltr"
    counts = np.bincount([tint(number) for number in range(6000)])
    assert len(counts) == TINTS
    assert counts.min() > 800
    assert set(FILL) >= {f"c{place}" for place in range(TINTS)}
    assert set(LETTERS) <= set(FILL)
    assert set(OVERVIEW) == {"ordinary", "special", "unknown", "hidden", "outside", "pad", "ignored"}


# --- chips


def test_chips_have_text_number_and_kind():
    found = run({"tokens": torch.tensor([2, 5, 1, 99, 0]), "length": 4}).first
    assert [(chip.text, chip.number) for chip in found] == [
        ("<s>", "2"), (VOCAB.token(5), "5"), ("<unk>", "1"), ("99", ""), ("<pad>", "0"),
    ]  # fmt: skip
    assert [chip.look for chip in found] == ["special", f"c{tint(5)}", "unknown", "outside", "pad"]
    bare = run({"tokens": torch.tensor([7, -100])}, Coders()).first
    assert [(chip.text, chip.number, chip.look) for chip in bare] == [("7", "", "plain"), ("·", "", "ignored")]


def test_the_next_token_and_what_was_hidden_are_below():
    sample = {"tokens": torch.tensor([2, 5, 6, 3])}
    shifted = run(NextTokens()(sample))
    assert shifted.key == "tokens, target_tokens"
    assert [(chip.number, chip.below.number) for chip in shifted.first] == [("2", "5"), ("5", "6"), ("6", "3")]
    assert shifted.first[-1].below.look == "special"
    hidden = run({**sample, "tokens": torch.tensor([2, 4, 7, 3]), "target_tokens": torch.tensor([-100, 5, 6, -100])})
    assert [(chip.number, chip.look, chip.below and chip.below.number) for chip in hidden.first] == [
        ("2", "special", None), ("4", "hidden", "5"), ("7", "hidden", "6"), ("3", "special", None),
    ]  # fmt: skip
    assert hidden.details == "4 tokens, 2 hidden"


def test_long_sequences_are_folded_and_cut():
    long = run({"tokens": torch.arange(3000) % 8}, most=1000)
    assert (len(long.first), len(long.folded), long.unlisted) == (AT_ONCE, 1000 - AT_ONCE, 2000)
    few_more = run({"tokens": torch.arange(AT_ONCE + 3) % 8})
    assert (len(few_more.first), few_more.unlisted) == (AT_ONCE + 3, 0)
    nothing = run({"tokens": torch.arange(0)})
    assert (nothing.first, nothing.details) == ((), "0 tokens")


# --- the page


def chips_of(parsed):
    """How many chips of each look there are in lists of tokens."""
    looks = [attributes.get("class") for attributes in parsed.all("span")]
    return {look: looks.count(look) for look in set(looks) - {None}}


def test_every_stage_of_a_name_is_on_the_page():
    seen = seen_in(["Anna"], Encode(VOCAB), AddSpecials(VOCAB), NextTokens(), samples=1, batch_size=1)
    html = page.render(seen)
    parsed = Page(html)
    lists = [attributes for attributes in parsed.all("ol") if attributes.get("class") == "tokens"]
    assert [one["aria-label"].partition(" of ")[0] for one in lists] == ["tokens", "tokens", "tokens, target_tokens"]
    chips = chips_of(parsed)
    assert chips["special"] == 2 + 2 + 2  # start and end; one of them in the input, one in the target; in two legends
    ordinary = sum(count for look, count in chips.items() if re.fullmatch(r"c\d", look))
    assert ordinary == 4 + 4 + 2 * 4
    assert f'<span class="c{tint(VOCAB.number("A"))}">A<i>{VOCAB.number("A")}</i></span>' in html
    assert "5 tokens, the target of each below it" in parsed.words()


def test_nothing_in_a_text_is_obeyed():
    vocab = Vocab([FOUL, "</li>"], "words", specials=SPECIALS, pattern=".+")
    texts = [FOUL, "</li>", "</li></ol>"]
    for combine in (collate.pad, collate.pack):
        html = page.render(seen_in(texts, Encode(vocab), combine=combine, survey_records=None))
        parsed = Page(html)
        assert len(parsed.all("script")) == 1
        assert [one for one in parsed.all("b") if "onclick" in one] == []
        assert parsed.words().count(FOUL) >= 4
    html = show([{"text": FOUL}])._repr_html_() + show({"text": FOUL, "tokens": torch.ones(2).long()})._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    names = page.render(seen_in(texts))
    assert len(Page(names).all("script")) == 1


def test_texts_have_their_own_direction():
    hebrew = Vocab.characters(["שלום"])
    parsed = Page(page.render(seen_in(["שלום"], Encode(hebrew), AddSpecials(hebrew))))
    assert {one["dir"] for one in parsed.all("ol") if one.get("class") == "tokens"} == {"rtl"}
    assert {one["dir"] for one in parsed.all("p") if one.get("class") == "prose"} == {"auto"}


def test_long_texts_are_folded_and_the_page_stays_small():
    words = " ".join(f"word{place}" for place in range(6000))
    vocab = Vocab.words([words])
    seen = seen_in([words] * 16, Encode(vocab), AddSpecials(vocab), NextTokens(), samples=16)
    assert room_of(seen).tokens < 300
    html = page.render(seen)
    assert len(html) < 3e6
    assert "more characters that are not listed" in Page(html).words()
    assert re.search(r"and [\d,]+ more that are not listed", Page(html).words())


def test_a_batch_of_names_adds_little():
    names = Names.synthetic(n=60)
    chain = Compose(
        [Encode(Vocab.characters(names.texts())), AddSpecials(Vocab.characters(names.texts())), NextTokens()]
    )
    coded = names.with_transform(chain)
    with_batch = look(Target("names", coded), samples=0, survey_records=0)
    bare = look(Target("names", coded), samples=0, survey_records=0, batch_size=1)
    assert len(page.render(with_batch)) - len(page.render(bare)) < 60_000


def test_epochs_that_differ_are_beside_each_other():
    dataset = Mapped([{"text": "AnnaNan", "label": 0}], transform=Compose([Encode(VOCAB), MaskTokens(VOCAB, p=0.5)]))
    seen = look(Target("texts", dataset), draws=3, survey_records=0)
    parsed = Page(page.render(seen))
    labels = [one["aria-label"] for one in parsed.all("ol") if one.get("class") == "tokens"]
    assert [label.rpartition(", ")[2] for label in labels] == ["Encode", "MaskTokens", "epoch 0", "epoch 1", "epoch 2"]
    assert sum(one.get("class") == "prose" for one in parsed.all("p")) == 1  # the text is the same in all of them


def test_transcripts_of_sounds_and_captions_of_images_are_texts_too():
    samples = [{"image": np.full((8, 8, 3), 90, np.uint8), "text": "a grey square"}]
    parsed = Page(page.render(look(Target("x", Mapped(samples)), draws=0, survey_records=0)))
    assert sum(one.get("class") == "prose" for one in parsed.all("p")) == 1
    assert [one for one in parsed.all("table") if one.get("class") == "texts"] == []  # they stand below the pictures


# --- the batch


def test_the_matrix_has_a_cell_for_each_valid_step():
    chain = Compose([Encode(VOCAB), AddSpecials(VOCAB)])
    samples = [chain({"text": text}) for text in ("Ana", "Anna", "N")]
    (one,) = token_batches(collate.pad(samples), CODERS)
    matrix = matrix_of(one, ["a", "b", "c"])
    assert [(row.name, row.length, len(row.cells), row.padding) for row in matrix.rows] == [
        ("a", 5, 5, 1), ("b", 6, 6, 0), ("c", 3, 3, 3),
    ]  # fmt: skip
    assert [[int(chip.number) for chip in row.cells] for row in matrix.rows] == [s["tokens"].tolist() for s in samples]
    assert (matrix.unseen, matrix.overview, matrix.about) == ("", None, "3 samples × 6 steps")
    (packed,) = token_batches(collate.pack(samples), CODERS)
    assert matrix_of(packed, ["a", "b", "c"]).rows == matrix.rows
    assert matrix_of(packed, ["a", "b", "c"]).about == (
        "3 samples × 6 steps, packed: 14 tokens in batches of 3, 3, 3, 2, 2, 1; no step is padded"
    )
    assert packed_line(collate.pack(samples)) == "3 … 6 tokens, packed: no step is padding"
    assert packed_line(collate.pad(samples)) == packed_line(None) == ""


def test_a_large_batch_is_cut_and_drawn_whole():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 501, 64)
    lengths[0] = 500
    samples = [{"tokens": torch.from_numpy(rng.integers(4, 8, length))} for length in lengths]
    (one,) = token_batches(collate.pad(samples), CODERS)
    matrix = matrix_of(one, list(map(str, range(64))))
    assert (len(matrix.rows), matrix.steps) == (ROWS, STEPS)
    assert matrix.unseen == f"and {64 - ROWS} more samples and {500 - STEPS} more steps"
    pixels = decoded(matrix.overview.src)
    assert pixels.shape == (64 * 5, 500, 3)
    is_padding = (pixels == OVERVIEW["pad"]).all(-1)[::5]
    np.testing.assert_array_equal(is_padding, np.arange(500) >= lengths[:, None])
    share = 1 - lengths.sum() / (64 * 500)
    assert f"{share:.1%} pad".replace("%", " %") in matrix.overview.details


def test_a_batch_of_texts_is_a_table():
    parsed = Page(page.render(seen_in(["Ana", FOUL, ""])))
    assert [one for one in parsed.all("table") if one.get("class") == "texts"] == [{"class": "texts"}]
    words = parsed.words()
    assert "Ana" in words
    assert FOUL in words


# --- pictures, lines, JSON


def colours(image):
    return set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()))


@pytest.mark.parametrize("combine", [collate.pad, collate.pack])
def test_a_picture_of_the_batch_has_its_kinds(combine, tmp_path):
    seen = seen_in(["Ana?", "Annanana", "N"], Encode(VOCAB), AddSpecials(VOCAB), combine=combine)
    (tmp_path / "x.png").write_bytes(contact_sheet(seen))
    found = colours(Image.open(tmp_path / "x.png"))
    assert {FILL["special"], FILL["unknown"], FILL["pad"]} <= found
    assert FILL["hidden"] not in found
    stages = stage_sheet(seen.samples[0], seen)
    assert FILL["special"] in colours(stages)


def test_a_picture_of_very_long_sequences_is_no_wider_than_a_sheet():
    seen = seen_in(["An" * 900, "N"], Encode(VOCAB), AddSpecials(VOCAB))
    with Image.open(io.BytesIO(contact_sheet(seen))) as image:
        assert image.width < 1700


def test_texts_without_tokens_are_tiles():
    whole = seen_in(["Ana is here, and so is everybody else whom we know", FOUL])
    assert len(contact_sheet(whole)) > 2000
    assert len(contact_sheet(seen_in(["", ""]))) > 0


def plain(lines):
    return [re.sub(r"\x1b\[\d+m", "", line) for line in lines]


def test_lines_of_a_terminal_stand_under_each_other():
    sample = NextTokens()({"tokens": torch.tensor([2, 6, 5, 5, 7, 3])})
    lines = plain(token_lines(sample, CODERS))
    letters = [VOCAB.token(number) for number in (6, 5, 5, 7)]
    assert [line.split() for line in lines] == [
        ["tokens", "<s>", *letters],
        ["2", "6", "5", "5", "7"],
        ["target_tokens", *letters, "</s>"],
        ["6", "5", "5", "7", "3"],
    ]
    starts = [[match.start() for match in re.finditer(r"\S+", line)] for line in lines]
    assert starts[0][1:] == starts[1] == starts[2][1:] == starts[3]
    long = plain(token_lines({"tokens": torch.arange(5, 400) % 9}, CODERS))
    assert max(map(len, long)) <= 80
    assert re.search(r"  … \d+ more$", long[0])
    wide = Vocab("日本a", "characters")
    first, second = plain(token_lines({"tokens": torch.tensor([4, 5, 6])}, Coders({"tokens": wide})))
    assert (first, second) == ("  tokens  日  本  a", "          4   5   6")
    assert token_lines({"label": 1}, CODERS) == []
    assert plain(token_lines({"tokens": torch.arange(0)}, CODERS)) == ["  tokens"]


def test_terminal_and_json_have_the_figures():
    seen = seen_in(["Anna", "Nä", "Ana"], Encode(VOCAB), AddSpecials(VOCAB), survey_records=None)
    lines = "\n".join(plain(inspection_lines(seen)))
    assert re.search(r"text +2 … 4 characters, median 3", lines)
    assert re.search(r"tokens +4 … 6 tokens, median 5; 11\.1 % unknown, 40 % special; 7 of 9 numbers used", lines)
    assert "most often unknown: ä 1" in lines
    document = json.loads(json.dumps(inspection_json(seen, "page.html")))
    index = document["samples"][0]["index"]
    text = ["Anna", "Nä", "Ana"][index]
    loaded, encoded, marked = document["samples"][0]["stages"]
    assert loaded["texts"] == [{"key": "text", "text": text, "left_out": 0}]
    assert "tokens" not in loaded
    numbers = VOCAB.encode(text).tolist()
    assert encoded["tokens"] == [
        {"key": "tokens", "numbers": numbers, "tokens": [VOCAB.token(one) for one in numbers], "left_out": 0}
    ]
    assert marked["tokens"][0]["tokens"][0] == "<s>"
    figures = document["survey"]["texts"]
    assert figures["lengths"][0] == {"key": "text", "unit": "characters", "least": 2, "median": 3, "greatest": 4}
    assert figures["tokens"][0]["missing"] == {"ä": 1}
    assert figures["tokens"][0]["unknown_share"] == pytest.approx(1 / 9)


def test_a_text_cannot_move_the_cursor_of_a_terminal():
    lines = "\n".join(plain(inspection_lines(seen_in(["\x1b[2J\x07a"], samples=1))))
    assert "\x1b" not in lines
    assert "\x07" not in lines
    assert "U+001B[2JU+0007a" in lines


def test_lengths_are_counted_whole():
    lengths = np.array([3, 3, 4, 9])
    chart = length_histogram(lengths, "tokens")
    assert [bar.text for bar in chart.bars] == ["3 tokens: 2", "4 tokens: 1", "9 tokens: 1"]
    assert length_histogram(np.array([5, 5]), "tokens") is None
    rng = np.random.default_rng(0)
    for most in (20, 28, 29, 500, 12345):
        lengths = rng.integers(1, most, 400)
        bars = length_histogram(lengths, "x").bars
        assert sum(int(bar.text.rpartition(": ")[2]) for bar in bars) == 400
        for bar in bars:
            low, _, high = bar.text.rpartition(" x: ")[0].replace(",", "").partition(" to ")
            count = ((lengths >= int(low)) & (lengths <= int(high or low))).sum()
            assert bar.text.endswith(f": {count}")


# --- show, TensorBoard, the command


def test_show_takes_samples_batches_and_loaders_of_text():
    sample = Encode(VOCAB)({"text": "Anna"})
    assert repr(show(sample)).startswith("a sample: dict")
    assert repr(show({"tokens": torch.ones(3).long()})).startswith("a sample: dict")
    batch = collate.pad([sample, sample])
    assert repr(show(batch)).startswith("a batch: dict")
    assert Page(show(batch)._repr_html_()).all("table")[0] == {"class": "matrix"}
    names = Names.synthetic(n=20, transform=Encode(VOCAB))
    html = show(Loader(names, 4))._repr_html_()
    assert 'class="matrix"' in html
    assert 'class="unknown"' in html
    html = show(names, samples=1)._repr_html_()
    assert 'class="tokens"' in html


def test_a_run_of_tensorboard_has_texts_and_pictures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from datakit.report.tensorboard.run import write_run

    write_run(tmp_path / "run", seen_in(["A|`na` <b>", "N"], Encode(VOCAB), survey_records=None))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    tags = events.Tags()
    assert {"text/0/text_summary", "figures/lengths/text_summary", "figures/tokens/text_summary"} <= set(
        tags["tensors"]
    )
    assert {"batch", "stages/0"} <= set(tags["images"])
    (event,) = events.Tensors("text/0/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert "| `` A\\|`na` <b> `` |" in text
    assert "`A <unk> <unk> n a <unk>" in text


@pytest.mark.parametrize("name", ["names", "translation-pairs"])
def test_the_command_shows_texts_with_and_without_a_vocabulary(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    VOCAB.save("v.json")
    for more in ([], ["-t", "Encode('v.json')", "-t", "AddSpecials('v.json')", "-t", "NextTokens"]):
        done = CliRunner().invoke(command, ["inspect", name, "--synthetic", "--json", *more])
        assert done.exit_code == 0, done.output
        document = json.loads(done.stdout)
        assert "texts" in document["samples"][0]["stages"][0]
        assert bool(document["survey"]["texts"]["tokens"]) is bool(more)
    done = CliRunner().invoke(command, ["inspect", name, "--synthetic", "--png", "x.png"])
    assert done.exit_code == 0, done.output
    assert np.asarray(Image.open("x.png")).std() > 5
