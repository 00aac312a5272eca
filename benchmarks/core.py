"""What the promises of the stream cost: memory of a large index, and time of the bookkeeping.

python benchmarks/core.py            # a few minutes; writes docs/benchmarks.md
python benchmarks/core.py --quick    # a small index, to see that it runs; prints only
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from figures import script, spread
from torch.utils.data import DataLoader

from datakit import Columns, Dataset, Loader, Subset

CONSTANT = {"x": 1}


def private_bytes():
    """Memory that this process shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) * 1024


class Paths(Dataset):
    """An index as large as ImageNet's; a record is read, nothing is decoded."""

    def __init__(self, n, transform=None):
        self.n = n
        super().__init__("nowhere", transform=transform)

    def index(self):
        return Columns(
            file=(f"train/n{i % 1000:08d}/image_{i:08d}.jpeg" for i in range(self.n)), label=np.arange(self.n)
        )

    def load(self, record):
        return {"label": record.label}


class PathList(torch.utils.data.Dataset):
    """The same index as most code has it: a list of tuples."""

    def __init__(self, n):
        self.items = [(f"train/n{i % 1000:08d}/image_{i:08d}.jpeg", i) for i in range(n)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Constant(Dataset):
    """Reading costs nothing, so what is left is the bookkeeping."""

    def __init__(self, n, transform=None):
        self.n = n
        super().__init__("nowhere", transform=transform)

    def index(self):
        return Columns(number=np.arange(self.n))

    def read(self, index, rng):
        return CONSTANT


def no_draw(sample, rng):
    return sample


def foreign(sample):
    return sample


def memory_of(samples):
    """A collate function that weighs its worker."""
    return os.getpid(), private_bytes()


def nothing(samples):
    return None


def growth(loader):
    """Of the worst worker: private memory gained from its first batch to its last, and held at the end, MB."""
    seen = {}
    for pid, size in loader:
        seen.setdefault(pid, []).append(size)
    gained = max(sizes[-1] - sizes[0] for sizes in seen.values())
    return gained / 1e6, max(sizes[-1] for sizes in seen.values()) / 1e6


def microseconds(run, n, repeats):
    """Time per item of `run`, several times."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        taken.append((time.perf_counter() - start) / n * 1e6)
    return taken


def interleaved(runs, n, repeats):
    """The runs in turn, so that a slow moment of the machine meets them all."""
    taken = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            taken[name] += microseconds(run, n, 1)
    return taken


def measure_memory(n, method):
    options = {"num_workers": 4, "multiprocessing_context": method}
    ours = growth(Loader(Paths(n), 1000, shuffle=True, collate_fn=memory_of, verify=False, **options))
    theirs = growth(DataLoader(PathList(n), 1000, shuffle=True, collate_fn=memory_of, **options))
    return ours, theirs


def measure_entry(n, repeats):
    columns, order = Paths(n).columns, np.random.default_rng(0).integers(n, size=20_000).tolist()
    return microseconds(lambda: [columns[index] for index in order], len(order), repeats)


def measure_bookkeeping(n, repeats):
    plain = [CONSTANT] * n
    runs = {
        "`Loader`, a transform that takes `rng`": Loader(Constant(n, no_draw), 64, shuffle=True, collate_fn=nothing),
        "`Loader`, a foreign transform": Loader(Constant(n, foreign), 64, shuffle=True, collate_fn=nothing),
        "`Loader` over a `Subset`": Loader(
            Subset(Constant(n, no_draw), range(n)), 64, shuffle=True, collate_fn=nothing
        ),
        "`DataLoader` over a list, for comparison": DataLoader(plain, 64, shuffle=True, collate_fn=nothing),
    }
    return interleaved(
        {name: lambda loader=loader: [None for _ in loader] for name, loader in runs.items()}, n, repeats
    )


def text_of(n, memory, entry, bookkeeping, repeats):
    rows = "\n".join(
        f"| {method} | {ours[0]:.1f} | {ours[1]:.0f} | {theirs[0]:.1f} | {theirs[1]:.0f} |"
        for method, (ours, theirs) in memory.items()
    )
    costs = "\n".join(f"| {name} | {spread(values, 'µs')} |" for name, values in bookkeeping.items())
    return f"""## Memory of a large index

{n:,} records (path and label), read once in shuffled order by 4 workers. The figure is the private memory that the
worst worker gained between its first and its last batch; the bar is 20 MB a worker. A spawned worker begins with what
it imports and, of a list, with a copy of its own, so what it holds at the end is shown too.

| start method | datakit: gained, MB | held at the end, MB | a list of tuples with `DataLoader`: gained, MB | held, MB |
| --- | --- | --- | --- | --- |
{rows}

Reading the entry of one record (path and label) takes {spread(entry, "µs")}. The bar is 5 µs.

## The bookkeeping of the stream

Time per sample where reading, transforming and collating cost nothing: the key, its generator, the hand-over to the
transform, the batch and the state, in one process. The bar is 30 µs. A foreign transform costs more, because the global
generators of Python, NumPy and torch are seeded for it, and put back after the batch.

| loop | time per sample |
| --- | --- |
{costs}

Times are medians of {repeats} interleaved repetitions, with the least and the greatest.
"""


def sections(quick):
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # 4 workers on purpose
    n, repeats = (20_000, 3) if quick else (1_000_000, 9)
    memory = {method: measure_memory(n, method) for method in ("fork", "spawn")}
    return text_of(n, memory, measure_entry(n, repeats), measure_bookkeeping(20_000, repeats), repeats)


if __name__ == "__main__":
    script("core", sections)
