"""Images that lie in arrays, MNIST and CIFAR-10: datakit against torchvision's own classes on the same files.

python benchmarks/arrays.py            # some minutes, on ../shared/data; writes docs/benchmarks.md
python benchmarks/arrays.py --quick    # to see that it runs; prints only
"""

import gzip
import pickle
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
from core import interleaved
from figures import interval, script, spread
from torch.utils.data import DataLoader
from torchvision import datasets
from torchvision.transforms import ToTensor as TheirToTensor
from torchvision.transforms import v2

from datakit import Loader
from datakit.transforms import Compose, ToTensor
from datakit.vision import CIFAR10, MNIST
from datakit.vision.thing_drawing import python2_pickle

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
BATCH = 64


class TheirCIFAR10(datasets.CIFAR10):
    """Without its checksums: the files are a subset."""

    train_list = tuple((name, None) for name, _ in datasets.CIFAR10.train_list)
    test_list = (("test_batch", None),)

    def _load_meta(self):
        pass


def unpack(root):
    """The real files as their authors have them: MNIST plain, CIFAR-10 with keys and bytes as Python 2 wrote them."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (SHARED / "MNIST" / "raw").iterdir():
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    with tarfile.open(SHARED / "cifar10-subset" / "cifar-10-python.tar.gz") as tar:
        tar.extractall(root, filter="data")
    for path in (root / "cifar-10-batches-py").iterdir():
        entries = pickle.loads(path.read_bytes(), encoding="bytes")
        entries.pop(b"filenames", None)
        path.write_bytes(python2_pickle(entries))


def opened(root):
    """Name of the dataset -> ours and theirs: the test split of each."""
    return {
        "MNIST": (MNIST(root, "test"), datasets.MNIST(root, train=False)),
        "CIFAR-10": (CIFAR10(root, "test"), TheirCIFAR10(root, train=False)),
    }


def with_transform(dataset, transform):
    """The datasets of torchvision have no such method; this gives each form a copy of its own."""
    other = object.__new__(type(dataset))
    other.__dict__.update(dataset.__dict__, transform=transform)
    return other


def forms(ours, theirs):
    """Name of a form of the result -> the two that give it."""
    to_float = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    return {
        "as loaded: array, PIL image": (ours, theirs),
        "float tensor": (ours.with_transform(Compose([ToTensor()])), with_transform(theirs, TheirToTensor())),
        "float tensor, v2": (ours.with_transform(Compose([ToTensor()])), with_transform(theirs, to_float)),
    }


def items(dataset, order):
    return lambda: [dataset[index] for index in order]


def batches(dataset, workers):
    """A shuffled pass, each side by its own loader."""
    kind = Loader if isinstance(dataset, MNIST | CIFAR10) else DataLoader
    loader = kind(dataset, BATCH, shuffle=True, num_workers=workers)
    return lambda: [None for _ in loader]


def measured(runs, n, repeats):
    """Microseconds of ours and theirs an item, taking turns, after one pass that counts for nothing."""
    for run in runs:
        run()
    taken = interleaved({"ours": runs[0], "theirs": runs[1]}, n, repeats)
    return taken["ours"], taken["theirs"]


def row(name, form, ours, theirs):
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return f"| {name} | {form} | {spread(ours, 'µs')} | {spread(theirs, 'µs')} | {interval(ratios)} |"


def item_rows(pairs, n, repeats):
    for name, (ours, theirs) in pairs.items():
        order = np.random.default_rng(0).integers(len(ours), size=n).tolist()
        for form, pair in forms(ours, theirs).items():
            yield row(name, form, *measured([items(dataset, order) for dataset in pair], n, repeats))


def loader_rows(pairs, repeats):
    for name, (ours, theirs) in pairs.items():
        for workers in (0, 2):
            runs = [batches(dataset, workers) for dataset in forms(ours, theirs)["float tensor"]]
            yield row(name, f"{workers} workers", *measured(runs, len(ours), repeats))


def opening_rows(root, repeats):
    """Microseconds to open a dataset; a pickled copy of ours leaves the images behind."""
    for name, kinds in {"MNIST": (MNIST, datasets.MNIST), "CIFAR-10": (CIFAR10, TheirCIFAR10)}.items():
        runs = [lambda kind=kind: kind(root) for kind in kinds]
        ours, theirs = ([value / 1000 for value in taken] for taken in measured(runs, 1, repeats))
        sizes = " | ".join(f"{len(pickle.dumps(kind(root))) / 1e6:.2f}" for kind in kinds)
        yield f"| {name} | {spread(ours, 'ms')} | {spread(theirs, 'ms')} | {sizes} |"


def sections(quick):
    torch.set_num_threads(1)  # its threads would wait on the cores that a worker wants
    n, repeats = (2_000, 3) if quick else (10_000, 25)
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder))
        pairs = opened(folder)
        single = "\n".join(item_rows(pairs, n, repeats))
        loaded = "\n".join(loader_rows(pairs, repeats))
        opening = "\n".join(opening_rows(folder, max(3, repeats // 3)))
    head = "| ours | torchvision | ours by theirs |\n| --- | --- | --- | --- | --- |"
    return f"""## Images that lie in arrays

MNIST, and a subset of CIFAR-10 in the original's layout, against torchvision's own classes on the same files. Time an
item: medians of {repeats} repetitions that took turns, with the least and the greatest; ratios are of neighbours, with
the 95 % interval of their median. The bar is a ratio of 1.

`dataset[i]` in random order:

| dataset | result {head}
{single}

A shuffled pass over the test split (10,000 and 2,000 images) in batches of {BATCH}, ending in a float tensor:
`datakit.Loader` with `ToTensor` against `DataLoader` with torchvision's `ToTensor`. The start of workers is part of it.

| dataset | loader {head}
{loaded}

Opening a dataset, and what a pickled copy holds, which is what a spawned worker is sent:

| dataset | ours | torchvision | ours, MB | torchvision, MB |
| --- | --- | --- | --- | --- |
{opening}
"""


if __name__ == "__main__":
    script("arrays", sections)
