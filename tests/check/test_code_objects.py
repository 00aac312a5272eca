"""What a walk through the objects of a dataset shows."""

import functools
import io
import random
import sqlite3
import zipfile
from dataclasses import dataclass

import numpy as np
import pandas as pd
import planted_code as planted
import pytest
import torch
from planted_code import Clean

from datakit import Columns, Loader, Mapped
from datakit.check.code import _Check, start_method
from datakit.check.containers import many_objects
from datakit.check.generators import generators
from datakit.check.handles import open_handles
from datakit.check.objects import Held, held
from datakit.check.pickling import pickled_bytes, unpicklable
from datakit.transforms import Compose, ToTensor

MODULE_RNG = np.random.default_rng(0)


def paths(root, kind):
    return [one.path for one in held(root, "dataset") if isinstance(one.value, kind)]


class Slotted:
    __slots__ = ("empty", "rng")

    def __init__(self):
        self.rng = random.Random(0)


@dataclass(frozen=True)
class Field:
    rng: torch.Generator

    def __call__(self, sample):
        return sample


class Trap:
    """Its properties and its `__getattr__` must not run."""

    @property
    def rng(self):
        raise AssertionError("a property ran")

    def __getattr__(self, name):
        raise AssertionError("__getattr__ ran")

    def __call__(self, sample):
        return sample


class InBody(Clean):
    shared = np.random.RandomState(0)


def uses_a_global(sample):
    return {**sample, "noise": MODULE_RNG.normal()}


def closed_over(rng):
    def transform(sample):
        return {**sample, "noise": rng.normal()}

    return transform


def with_default(sample, rng_of_its_own=np.random.default_rng(1)):  # noqa: B008
    return sample


CASES = [
    (Clean(transform=Compose([ToTensor(), ToTensor(), planted.OwnGenerator()])), "dataset.transform.transforms[2].rng"),
    (Clean(transform=Field(torch.Generator())), "dataset.transform.rng"),
    (Mapped([1], functools.partial(planted.ignores_rng, rng=random.Random(1))), "dataset.fn.keywords['rng']"),
    (Mapped([1], planted.OwnGenerator().__call__), "dataset.fn.rng"),
    (Mapped([1], closed_over(np.random.default_rng(2))), "the variable rng around closed_over.<locals>.transform"),
    (Mapped([1], uses_a_global), f"{__name__}.MODULE_RNG"),
    (Mapped([1], with_default), "a default of with_default"),
    (Mapped([Slotted()]), "dataset.foreign[0].rng"),
    (Mapped([{"a": {Slotted()}}]), "dataset.foreign[0]['a'][0].rng"),
    (InBody(), "dataset.shared"),
    (torch.utils.data.Subset(Clean(transform=planted.OwnGenerator()), [0]), "dataset.dataset.transform.rng"),
]


@pytest.mark.parametrize(("dataset", "path"), CASES, ids=[path for _, path in CASES])
def test_a_generator_is_found_wherever_it_is(dataset, path):
    (finding,) = generators(held(dataset, "dataset"))
    assert finding.text.startswith(f"{path} is a ")


def test_the_kinds_of_generators_are_named():
    made = [random.Random(0), np.random.default_rng(0), np.random.RandomState(0), torch.Generator(), np.random.PCG64()]
    names = [finding.text.split(" is a ")[1].split(":")[0] for finding in generators(held(made, "dataset"))]
    assert names == [
        "random.Random", "numpy.random.Generator", "numpy.random.RandomState", "torch.Generator",
        "numpy.random.BitGenerator",
    ]  # fmt: skip


def test_global_generators_and_the_loaders_own_are_none():
    dataset = Clean(transform=planted.draws_globally)
    known = [random._inst, np.random.mtrand._rand, torch.default_generator]
    assert list(generators(held(known, "dataset"))) == []
    check = _Check(dataset, Loader(dataset, 4, shuffle=True), "", 0, 4, lambda *what: None)
    assert list(check._objects()) == []


class NamedAlike:
    """Its attribute is called like a global of this module, which it does not use."""

    MODULE_RNG = None

    def __call__(self, sample):
        return {**sample, "noise": self.MODULE_RNG}


def test_a_global_that_is_called_like_an_attribute_is_not_the_transforms():
    assert list(generators(held(Mapped([1], NamedAlike()), "dataset"))) == []


def test_a_sampler_of_ones_own_is_looked_into():
    class Sampler(torch.utils.data.Sampler):
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def __iter__(self):
            return iter(range(4))

    loader = torch.utils.data.DataLoader(Clean(), sampler=Sampler())
    (finding,) = _Check(Clean(), loader, "", 0, 4, lambda *what: None)._objects()
    assert finding.text.startswith("sampler.rng is a numpy.random.Generator")


def test_no_code_of_the_objects_runs_and_cycles_end():
    trap = Trap()
    trap.__dict__["self"] = trap
    trap.__dict__["inner"] = [trap, {"again": trap}]
    assert paths(Mapped([trap]), Trap) == ["dataset.foreign[0]"]


def test_a_deep_or_wide_object_ends():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert len(list(held(deep, "dataset"))) < 100
    wide = [[[object() for _ in range(90)] for _ in range(90)] for _ in range(90)]
    assert len(list(held(wide, "dataset"))) <= 50_200
    while deep:  # taken apart here: freeing a deep list recurses
        deep = deep.pop()


# --- pickling


def unsendable(value, method="fork"):
    (finding,) = unpicklable([Held("dataset", value)], start_method=method)
    return finding


def test_what_cannot_be_pickled_is_named():
    line = test_what_cannot_be_pickled_is_named.__code__.co_firstlineno + 2
    dataset = Clean(transform=Compose([ToTensor(), Mapped([1], lambda item: item).fn]))
    finding = unsendable(dataset)
    assert finding.text == f"dataset.transform.transforms[1] is a lambda (line {line} of test_code_objects.py)"
    assert finding.severity == "warning"
    assert unsendable(dataset, "spawn").severity == "error"
    inner = unsendable(Mapped([1], closed_over(None))).text
    assert inner.startswith("dataset.fn is a function within another, closed_over.<locals>.transform (line ")
    partial = functools.partial(with_default, lambda: 0)
    assert unsendable(Mapped([1], partial)).text.startswith("dataset.fn.args[0] is a lambda")
    with open(__file__) as file:
        assert unsendable(Mapped([{"file": file}])).text.startswith("dataset.foreign[0]['file'] is a TextIOWrapper")

    class Local(Clean):
        pass

    assert unsendable(Local()).text.startswith("dataset is of a class within a function")


def test_a_getstate_that_leaves_it_out_is_respected():
    class_with = Dropping()
    assert list(unpicklable([Held("dataset", Mapped([class_with]))], start_method="spawn")) == []
    class_with.extra = lambda: 0
    assert unsendable(Mapped([class_with])).text.startswith("dataset.foreign[0].extra is a lambda")


class Dropping:
    def __init__(self):
        self.file = open(__file__)  # noqa: SIM115
        self.file.close()
        self.extra = None

    def __getstate__(self):
        return {"extra": self.extra}


def test_what_workers_may_get_is_no_finding():
    shared = [torch.multiprocessing.get_context("fork").Lock(), torch.zeros(3), Columns(number=range(10))]
    assert list(unpicklable([Held("dataset", Mapped(shared))], start_method="spawn")) == []


def test_a_large_pickle_is_worth_a_note():
    array = np.zeros(30_000_000, np.float32)
    (finding,) = unpicklable([Held("dataset", Mapped([array]))], start_method="fork")
    assert (finding.kind, finding.severity) == ("memory", "note")
    assert finding.text.startswith("dataset is 120.0 MB when it is pickled")
    assert pickled_bytes(Mapped([torch.zeros(30_000_000)])) < 10_000  # a tensor is shared


def test_the_collate_function_and_the_start_function_are_looked_at():
    loader = Loader(Clean(), 4, collate_fn=lambda samples: samples, worker_init_fn=lambda worker: None)
    texts = [one.text.split(" (")[0] for one in _Check(Clean(), loader, "", 0, 4, lambda *what: None)._objects()]
    assert texts == ["collate_fn is a lambda", "worker_init_fn is a lambda"]


def test_the_start_method_is_the_loaders():
    assert start_method(Loader([1], num_workers=1, multiprocessing_context="forkserver")) == "forkserver"
    assert start_method(None) == torch.multiprocessing.get_all_start_methods()[0]


# --- containers

MANY = 120_000


@pytest.mark.parametrize(
    ("value", "objects"),
    [
        ([f"{number:08}.png" for number in range(MANY)], "120,000"),
        ([(f"{number:08}.png", 0) for number in range(MANY)], "240,000"),
        ({number + 1000: str(number) for number in range(MANY)}, "240,000"),
        ({str(number) for number in range(MANY)}, "120,000"),
        ([{"file": str(number), "label": 1} for number in range(60_000)], "120,000"),
        (np.array([str(number) for number in range(MANY)], object), "120,000"),
        (pd.DataFrame({"file": [f"{n}" for n in range(MANY)], "label": 0}).astype({"file": object}), "120,000"),
    ],
    ids=["strings", "pairs", "dict", "set", "records", "array", "table"],
)
def test_many_objects_are_counted_and_weighed(value, objects):
    (finding,) = many_objects(held(Mapped([{"inner": value}]), "dataset"))
    assert finding.text.startswith("dataset.foreign[0]['inner'] is a")
    assert f"about {objects} Python objects" in finding.text
    assert finding.kind == "memory"


def test_the_weight_is_that_of_the_objects():
    value = ["x" * 951 + f"{number:08}" for number in range(101_000)]  # 1,008 bytes each
    (finding,) = many_objects(held(value, "dataset"))
    assert "copies up to 101.8 MB" in finding.text
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    "value",
    [
        np.arange(10**6),
        Columns(file=[str(number) for number in range(MANY)]),
        [0] * 10**6,  # one object
        [number * 7 % 200 for number in range(10**6)],  # two hundred
        ["of them all"] * 10**6,
        [str(number) for number in range(50_000)],
        range(10**9),
        pd.DataFrame({"label": np.arange(10**6)}),
        torch.arange(10**6),
    ],
    ids=lambda value: type(value).__name__,
)
def test_compact_values_and_few_objects_are_none(value):
    assert list(many_objects(held(Mapped([value]), "dataset"))) == []


# --- handles


def test_open_files_are_found_and_those_in_memory_are_none(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
    from PIL import Image

    Image.fromarray(planted.picture(0)).save(tmp_path / "a.png")
    with (
        zipfile.ZipFile(path) as archive,
        open(path, "rb") as file,
        sqlite3.connect(tmp_path / "a.db") as base,
        Image.open(tmp_path / "a.png") as image,
        open(tmp_path / "log", "w") as log,
    ):
        kept = {"zip": archive, "file": file, "base": base, "image": image, "log": log, "memory": io.BytesIO(b"1")}
        kept["mapped"] = np.memmap(path, np.uint8, "r")
        found = [(handle.path, handle.kind) for handle in open_handles(held(kept, "d"))]
        assert found == [
            ("d['zip']", "ZipFile"), ("d['file']", "BufferedReader"), ("d['base']", "Connection"),
            ("d['image']", "PngImageFile"),
        ]  # fmt: skip
        image.load()
        file.close()
        found = [handle.path for handle in open_handles(held(kept, "d"))]
        assert found == ["d['zip']", "d['base']"]
    base.close()
