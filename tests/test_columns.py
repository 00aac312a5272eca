"""The index as columns."""

import multiprocessing
import pickle

import numpy as np
import pytest

from datakit.columns import Columns, Strings


def test_records_give_back_what_was_put_in():
    words = ["", "ants/1.jpg", "Zoë", "\udce4 not utf-8", "日本"]
    columns = Columns(file=words, label=np.arange(5, dtype=np.uint8), point=np.ones((5, 2), np.float32))
    assert [record.file for record in columns] == words
    assert columns[3].label == 3
    assert isinstance(columns[3].label, int)
    assert columns[0].point.shape == (2,)
    with pytest.raises(IndexError):
        columns[5]


@pytest.mark.parametrize("bad", [[1, "a"], [[1], [1, 2]], [object()]])
def test_columns_of_objects_are_refused(bad):
    with pytest.raises(ValueError):  # noqa: PT011  (the text is NumPy's in one case)
        Columns(x=bad)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="'a': 1, 'b': 2"):
        Columns(a=[1], b=[1, 2])


def test_pickle_and_digest():
    columns = Columns(file=["a", "bc"], label=[0, 1])
    back = pickle.loads(pickle.dumps(columns))
    assert back.digest() == columns.digest()
    assert back[1] == columns[1]
    assert Columns(file=["ab", "c"], label=[0, 1]).digest() != columns.digest()
    assert Columns(file=["a", "bc"], label=[0, 2]).digest() != columns.digest()


def _private_and_last(columns, answers):
    answers.put((columns[len(columns) - 1].file, isinstance(columns.column("label").base, np.ndarray)))


def test_a_spawned_process_reads_large_columns_from_shared_memory():
    columns = Columns(file=Strings(f"folder/{i:09d}.jpg" for i in range(200_000)), label=np.arange(200_000))
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_private_and_last, args=(columns, answers))
    process.start()
    last, _ = answers.get(timeout=60)
    process.join()
    assert last == "folder/000199999.jpg"
