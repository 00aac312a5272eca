"""Surnames by language, beside the code of the tutorial."""

import shutil
import string
import unicodedata
from collections import Counter

import pytest

from datakit.errors import CorruptDataError, MissingDataError, UnknownNameError
from datakit.testing import assert_dataset
from datakit.text import NAME_LETTERS, Names, unicode_to_letters

ALL_LETTERS = string.ascii_letters + " .,;'"


def read_as_the_tutorial(folder):
    """`category_lines`, as in the tutorial's script."""

    def to_ascii(text):
        return "".join(
            c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn" and c in ALL_LETTERS
        )

    lines = {path.stem: path.read_text("utf-8").rstrip("\n").split("\n") for path in sorted(folder.glob("*.txt"))}
    return {language: [to_ascii(line) for line in names] for language, names in lines.items()}


def folder_of(tmp_path, **files):
    (tmp_path / "names").mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "names" / f"{name}.txt").write_bytes(data)
    return tmp_path


def test_a_copy_keeps_the_promises():
    names = Names.synthetic(n=40)
    assert_dataset(names, range(3))
    assert names[5].keys() == {"index", "text", "label", "line", "path"}
    assert sum(len(Names.synthetic(n=40, split=split)) for split in ("train", "test")) == 40


@pytest.mark.parametrize("n", [1, 2, 5, 13, 3000])
def test_a_copy_has_as_many_names_as_it_was_asked_for(n):
    names = Names.synthetic(n=n)
    assert len(names) == n
    assert all(len(set(own)) > 1 for own in names.by_class().values()) or n == 1


def test_the_real_names_are_those_of_the_tutorial(tutorial):
    names = Names(tutorial, normalize=unicode_to_letters)
    expected = read_as_the_tutorial(tutorial / "data" / "names")
    assert NAME_LETTERS == ALL_LETTERS
    assert names.by_class() == expected
    assert (len(names), len(names.classes)) == (20050, 18)
    assert [sample["text"] for sample in (names[0], names[-1])] == [expected["Arabic"][0], expected["Vietnamese"][-1]]


def test_a_record_says_where_it_is(tutorial):
    names = Names(tutorial)
    for index in (0, 2000, 12345, 20049):
        sample = names[index]
        with open(sample["path"], encoding="utf-8") as file:
            assert file.read().split("\n")[sample["line"] - 1] == sample["text"]
        assert names.classes[sample["label"]] in sample["path"]
    assert names.lengths().tolist() == [len(text) for text in names.texts()]


@pytest.mark.parametrize("layout", ["root/data/names", "root/names", "names"])
def test_the_folder_may_be_any_of_three(tutorial, tmp_path, layout):
    shutil.copytree(tutorial / "data" / "names", tmp_path / layout)
    names = Names(tmp_path / layout.split("/")[0])
    assert len(names) == 20050
    assert names[7]["path"] == str(tmp_path / layout / "Arabic.txt")
    assert names.fingerprint() == Names(tmp_path / layout.split("/")[0]).fingerprint()


def test_other_texts_in_the_root_are_no_names(tmp_path):
    (tmp_path / "notes.txt").write_text("Ana\nBo\n")
    with pytest.raises(MissingDataError, match="none of them in a folder `names`"):
        Names(tmp_path)


def test_a_split_is_stratified_and_keeps_equal_names_together(tutorial):
    train, test = (Names(tutorial, split=split, seed=3) for split in ("train", "test"))
    assert len(train) + len(test) == 20050
    assert not set(train.texts()) & set(test.texts())
    learnt = train.by_class()
    for language, held_out in test.by_class().items():
        different = len(set(held_out)) + len(set(learnt[language]))
        assert len(set(held_out)) / different == pytest.approx(0.15, abs=0.5 / different + 0.03), language


def test_a_split_depends_on_the_seed_and_the_names_alone(tutorial, tmp_path):
    first = list(Names(tutorial, split="test", seed=0).texts())
    assert first == list(Names(tutorial, split="test", seed=0).texts())
    assert first != list(Names(tutorial, split="test", seed=1).texts())
    reordered = tmp_path / "names"
    reordered.mkdir()
    for path in (tutorial / "data" / "names").glob("*.txt"):
        lines = path.read_text("utf-8").rstrip("\n").split("\n")
        (reordered / path.name).write_text("\n".join(reversed(lines)), encoding="utf-8")
    again = Names(tmp_path, split="test", seed=0)
    assert Counter(again.texts()) == Counter(first)


def test_a_name_in_several_languages_is_on_one_side(tmp_path):
    root = folder_of(tmp_path, A="x\ny\nz\nw\n", B="x\ny\nz\nw\n", C="p\nq\nx\nx\n")
    for seed in range(20):
        train, test = (Names(root, split, seed=seed, test_share=0.3) for split in ("train", "test"))
        assert not set(train.texts()) & set(test.texts())
        assert all(test.by_class().values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Ana\n\nBo\n", r"A\.txt: line 2: no name"),
        ("Ana\n  \nBo\n", r"A\.txt: line 2: no name"),
        (b"Ana\nB\xe9la\n", r"A\.txt: line 2, byte 5: 0xe9 is not UTF-8; is it Latin-1"),
        (b"Ana\nB\0\n", r"A\.txt: line 2, byte 5: a NUL byte"),
        ("Ana\n".encode("utf-16"), r"A\.txt: line 1: UTF-16"),
        ("Ana\n" + "x" * (2**20 + 1), r"A\.txt: line 2: longer than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(CorruptDataError, match=message):
        Names(folder_of(tmp_path, A=content, B="Li\n"))


def test_a_name_that_normalisation_wipes_out_is_an_error(tmp_path):
    root = folder_of(tmp_path, A="Ana\nłß\n")
    assert len(Names(root)) == 2
    with pytest.raises(CorruptDataError, match=r"line 2: no name, 'łß' normalised is ''"):
        Names(root, normalize=unicode_to_letters)


def test_windows_line_ends_and_byte_order_marks_are_no_part_of_a_name(tmp_path):
    root = folder_of(tmp_path, A="\ufeffAna\r\nBo\r\n\r\n", B="Li\nIda")
    assert Names(root).by_class() == {"A": ["Ana", "Bo"], "B": ["Li", "Ida"]}


def test_what_is_missing_says_so(tmp_path):
    with pytest.raises(MissingDataError):
        Names(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match=r"B\.txt: there are no names in it"):
        Names(folder_of(tmp_path / "empty", A="Ana\n", B="\n\n"))
    folder_of(tmp_path, A="Ana\nBo\n", B="Li\nLi\n")
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        Names(tmp_path, split="trian")
    with pytest.raises(MissingDataError, match="two different texts of each class, there is one: 'Li'"):
        Names(tmp_path, "test")
    with pytest.raises(ValueError, match="share in"):
        Names(tmp_path, "test", test_share=1.0)


def test_the_archive_is_fetched_from_a_mirror(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_MIRROR", shared.as_uri())
    assert len(Names(tmp_path / "data", download=True)) == 20050
