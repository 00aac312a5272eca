"""Datasets and what is made of them."""

import importlib
import pickle
import sys
import types

import datasets
import numpy as np
import pytest
import torch
import torchvision
from material import Numbers, draw
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from datakit import Concat, Dataset, Key, Mapped, Subset, catalog
from datakit.chain import same
from datakit.errors import DatakitError, MissingDataError, SampleError, UnknownNameError
from datakit.testing import assert_dataset, assert_sample
from datakit.transforms import Compose, ToTensor
from datakit.vision import FaceLandmarks


class Split(Numbers):
    splits = ("train", "test")

    def __init__(self, split=None):
        self.n = 3
        Dataset.__init__(self, "nowhere", split)


def test_splits_are_checked_with_a_suggestion():
    assert Split().split == "train"
    assert Split("test").fingerprint() != Split("train").fingerprint()
    with pytest.raises(UnknownNameError, match="unknown split of Split 'tset'; did you mean 'test'?"):
        Split("tset")
    with pytest.raises(UnknownNameError, match="FaceLandmarks has no splits"):
        FaceLandmarks("nowhere", "train")


def test_without_a_key_the_global_generators_decide():
    dataset = Numbers(5, transform=lambda sample: {**sample, "x": np.random.rand()})
    np.random.seed(0)
    first = dataset[2]["x"]
    np.random.seed(0)
    assert dataset[2]["x"] == first != dataset[2]["x"]


def test_indices_are_those_of_a_list():
    dataset = Numbers(5, transform=lambda sample: sample)
    assert [sample["number"] for sample in dataset] == [0, 1, 2, 3, 4]
    assert dataset[-1]["number"] == dataset[np.int64(4)]["number"] == 4
    for outside in (5, -6):
        with pytest.raises(IndexError, match=r"Numbers\[-?\d\]: there are 5 records"):
            dataset[outside]
    with pytest.raises(TypeError):
        dataset["x"]


def test_an_error_says_dataset_index_path_stage_and_keeps_its_cause():
    dataset = Numbers(5, broken={3})
    with pytest.raises(
        SampleError, match=r"^Numbers\[3\] 3.bin: ValueError: number 3 is broken \(loading\)$"
    ) as caught:
        dataset[3]
    assert isinstance(caught.value.__cause__, ValueError)
    failing = dataset.with_transform(lambda sample: 1 / 0)
    with pytest.raises(SampleError, match="ZeroDivisionError") as caught:
        failing[Key(0, 0, 1)]
    assert caught.value.stage.endswith("<lambda>")
    assert caught.value.index == 1


def test_subset_and_concat_are_the_same_samples_under_the_same_generator():
    dataset = Numbers(10)
    subset = Subset(dataset, [7, 2, 2])
    assert [subset[i]["number"] for i in range(3)] == [7, 2, 2]
    assert same(subset[Key(0, 0, 1)], dataset.get(2, Key(0, 0, 1).generator()))
    both = Concat([subset, dataset], transform=lambda sample: {**sample, "seen": True})
    assert len(both) == 13
    assert [both[i]["number"] for i in (0, 2, 3, 12, -1)] == [7, 2, 0, 9, 9]
    assert both[0]["seen"]
    assert [row["number"] for row in both.records()] == [7, 2, 2, *range(10)]
    assert both.path_of(3) == "0.bin"
    with pytest.raises(IndexError, match="1 indices, first 10"):
        Subset(dataset, [0, 10])
    with pytest.raises(ValueError, match="at least one"):
        Concat([])


def test_errors_keep_the_record_that_failed_through_subset_and_concat():
    both = Concat([Numbers(4), Subset(Numbers(10, broken={8}), [8])])
    with pytest.raises(SampleError) as caught:
        both[4]
    assert (caught.value.dataset, caught.value.index, caught.value.path) == ("Numbers", 8, "8.bin")


def test_fingerprints_tell_records_apart_and_transforms_not():
    dataset = Numbers(10)
    kinds = [dataset, Numbers(11), Subset(dataset, [1]), Subset(dataset, [2]), Concat([dataset]), Mapped([1] * 10)]
    assert len({kind.fingerprint() for kind in kinds}) == len(kinds)
    assert dataset.with_transform(None).fingerprint() == dataset.fingerprint()
    assert dataset.as_tuple("number").fingerprint() == dataset.fingerprint()


def test_with_transform_leaves_the_dataset_as_it_was():
    dataset = Numbers(3)
    other = dataset.with_transform(None)
    assert "draw" not in other[0]
    assert dataset.transform is draw


def test_mapped_takes_any_map_style_dataset():
    tensors = Mapped(TensorDataset(torch.arange(3), torch.arange(3) * 2), lambda pair: {"x": pair[0], "y": pair[1]})
    assert tensors[2]["y"] == 4
    assert tensors[2]["index"] == 2
    assert Mapped([{"x": 1}])[0] == {"index": 0, "x": 1}
    assert tensors.as_tuple("x", "y")[1] == (1, 2)
    with pytest.raises(TypeError, match=r"len\(\) and \[i\], got generator"):
        Mapped(i for i in range(3))
    with pytest.raises(SampleError, match=r"as_tuple asks for \['z'\], the sample has \['index', 'x', 'y'\]"):
        tensors.as_tuple("x", "z")[0]


def test_mapped_takes_the_datasets_of_torchvision_and_hugging_face():
    pairs = torchvision.datasets.FakeData(6, (3, 30, 40), transform=v2.RandomHorizontalFlip())
    ours = Mapped(pairs, _named, transform=Compose([v2.RandomResizedCrop(16), ToTensor()]))
    assert ours[3]["image"].shape == (3, 16, 16)
    assert_dataset(ours)
    rows = Mapped(datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}))
    assert rows[1] == {"index": 1, "text": "b", "label": 0}
    assert_dataset(rows)
    longer = Mapped(datasets.Dataset.from_dict({"text": ["a", "c"], "label": [1, 0]}))
    assert longer.fingerprint() != rows.fingerprint()


def _named(pair):
    return {"image": pair[0], "label": int(pair[1])}


def test_an_index_error_inside_a_foreign_dataset_does_not_end_the_epoch():
    class Short(list):
        def __len__(self):
            return 5

    with pytest.raises(SampleError, match=r"Mapped\[3\]: IndexError"):
        list(Mapped(Short([0, 1, 2])))


def test_tracing_goes_through_all_layers():
    inner = Numbers(4)
    outer = Subset(Concat([inner], transform=lambda sample: {**sample, "b": 1}), [2], transform=draw)
    names = [name for name, _ in outer.trace(Key(0, 0, 0))]
    assert names[0] == "loaded"
    assert names[1] == names[3] == "draw"
    assert same(list(outer.trace(Key(0, 0, 0)))[-1][1], outer[Key(0, 0, 0)])


def test_a_list_of_transforms_is_refused_at_once():
    with pytest.raises(TypeError, match=r"got a list; put the list into Compose"):
        Numbers(3).with_transform([draw])


def test_a_dataset_that_forgets_a_method_is_told():
    with pytest.raises(NotImplementedError, match="def index"):
        Dataset("nowhere")
    with pytest.raises(NotImplementedError, match="synthetic"):
        Numbers.synthetic(n=2)


# --- the catalog ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalog.names())
def test_every_dataset_of_the_catalog_keeps_the_promises(name):
    kind = catalog.find(name)
    dataset = kind.synthetic(n=6)
    assert len(dataset) == 6
    assert_dataset(dataset)
    for column in ("| key | shape | dtype | meaning |", "Source:", "Raises:"):
        assert column in kind.__doc__
    assert len(pickle.dumps(dataset)) < 20_000


def test_names_are_found_with_a_suggestion(monkeypatch):
    assert catalog.find("faces") is FaceLandmarks
    with pytest.raises(UnknownNameError, match="unknown dataset 'face'; did you mean 'faces'"):
        catalog.find("face")
    entry = types.SimpleNamespace(name="stamps", value="no.such:Thing")
    monkeypatch.setattr(catalog, "entry_points", lambda group: [entry])
    assert "stamps" in catalog.names()
    with pytest.raises(DatakitError, match="cannot import 'no.such:Thing'"):
        catalog.find("stamps")
    with pytest.raises(DatakitError, match="package.module:object"):
        catalog.import_object("nothing")


def test_a_synthetic_copy_is_drawn_anew_when_the_code_beside_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "drawn_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "dots.py").write_text(
        "from datakit import Columns, Dataset\n"
        "class Dots(Dataset):\n"
        "    def index(self): return Columns(n=range(2))\n"
        "    @staticmethod\n"
        "    def synthesize(root, n, rng):\n"
        "        from drawn_package.drawing import write\n"
        "        write(root)\n"
    )
    roots = []
    for text in ("one", "two", "one"):
        (package / "drawing.py").write_text(f"def write(root): (root / 'dots.txt').write_text({text!r})\n")
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.startswith("drawn_package")]:
            del sys.modules[name]
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        roots.append(importlib.import_module("drawn_package.dots").Dots.synthetic(n=2).root)
        assert (roots[-1] / "dots.txt").read_text() == text
    assert roots[0] == roots[2] != roots[1]


def test_a_synthetic_copy_is_written_once_and_again_when_it_should_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAKIT_CACHE", str(tmp_path))
    first = FaceLandmarks.synthetic(n=3)
    stamp = (first.root / "faces" / "face-0000.jpg").stat().st_mtime_ns
    assert FaceLandmarks.synthetic(n=3).root == first.root
    assert (first.root / "faces" / "face-0000.jpg").stat().st_mtime_ns == stamp
    roots = {FaceLandmarks.synthetic(n=n, seed=seed).root for n, seed in ((3, 0), (4, 0), (3, 1))}
    assert len(roots) == 3
    assert len(list((tmp_path / "synthetic").iterdir())) == 3
    with pytest.raises(ValueError, match="at least one record"):
        FaceLandmarks.synthetic(n=0)


@pytest.mark.parametrize("bad", [
    [], {1: 2}, {"image": np.zeros((3, 3, 3))}, {"label": "x"}, {"landmarks": np.zeros((3, 2))}, {"length": -1},
])  # fmt: skip
def test_a_sample_that_breaks_the_contract_is_named(bad):
    with pytest.raises(AssertionError):
        assert_sample(bad)


def test_missing_data_says_what_to_do(tmp_path):
    with pytest.raises(MissingDataError, match=r"download=True"):
        FaceLandmarks(tmp_path)
