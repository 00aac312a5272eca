"""`data-parallel`: a batch over several replicas of a model, and the records over several processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from datakit.loader import Loader
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check
from datakit.reference.curve import finish, panels
from datakit.reference.history import History
from datakit.reference.kept import Kept
from datakit.reference.processes import read_together
from datakit.report.palette import COLOURS, INK, SOFT
from datakit.vision import RandomData

BATCH = 30
SPLITS = {
    (30, 1): [30], (30, 2): [15, 15], (30, 3): [10, 10, 10], (30, 8): [4, 4, 4, 4, 4, 4, 4, 2],
    (10, 1): [10], (10, 2): [5, 5], (10, 3): [4, 4, 2], (10, 8): [2, 2, 2, 2, 2],
}  # fmt: skip
"""What the tutorial prints: the sizes that a batch is cut into, by its size and the number of replicas."""

Shapes = tuple[list[int], list[int]]  # of what goes in and of what comes out


class DataParallel(Reference):
    """A batch over 1, 2, 3 and 8 replicas of a model, and 100 records over 2, 3 and 8 processes. Nothing is learnt.

    Where there are that many GPUs, `nn.DataParallel` cuts each batch. Elsewhere it is cut by the same rule, and its
    parts go through the model one after another. Then real processes, joined by torch.distributed, read the epoch
    together. The bars are exact: the parts are as large as in the tutorial, and what comes out of them is what the
    undivided batch gives; each record comes once in all processes together, at the place where a single process reads
    it.
    """

    name = "data-parallel"
    source = "https://docs.pytorch.org/tutorials/beginner/blitz/data_parallel_tutorial.html"
    needs_data = learns = False
    bars = (
        Bar("splits unlike the tutorial's", 0, "low"),
        Bar("rows unlike those of the undivided batch", 0, "low"),
        Bar("records missing or too often", 0, "low"),
        Bar("records out of place", 0, "low"),
    )
    replicas = (1, 2, 3, 8)
    worlds = (2, 3, 8)

    def build(self) -> None:
        """A layer from 5 numbers to 2, and its records."""
        self.loader = self.learn_from(records(), BATCH)
        self.data = repr(self.loader.records)
        self.model = Model().to(self.device)
        self.cuts, self.shares = Kept(), Kept()
        if serial := [str(count) for count in self.replicas if self.in_turn(count)]:
            self.notes.append(f"{', '.join(serial)} replicas took turns on {self.device}")

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """How many cuts of the batch are not the tutorial's, and how many rows come out otherwise."""
        data, splits, rows = batch["data"].to(self.device), 0, 0
        with torch.inference_mode():
            whole = self.model(data)
            for count in self.replicas:
                self.model.seen.clear()
                joined = self.forward(data, count)
                parts = sorted(self.model.seen, reverse=True)  # replicas on GPUs run side by side
                splits += [shape[0] for shape, _ in parts] != SPLITS[len(data), count]
                rows += int((~torch.isclose(joined, whole, rtol=1.3e-6, atol=1e-5)).any(1).sum())
                self.cuts.append((count, parts, (list(data.shape), list(joined.shape))))
        return {"other splits": splits, "other rows": rows}

    def forward(self, data: torch.Tensor, count: int) -> torch.Tensor:
        """What `count` replicas make of a batch (B, 5): (B, 2), in the order of the batch."""
        if self.in_turn(count):
            return torch.cat([self.model(part) for part in self.split(data, count)])
        own, all_ = self.device.index or 0, torch.cuda.device_count()  # the model's own comes first
        output: torch.Tensor = nn.DataParallel(self.model, [(own + step) % all_ for step in range(count)])(data)
        return output

    def in_turn(self, count: int) -> bool:
        """Whether there are not that many GPUs."""
        return self.device.type != "cuda" or torch.cuda.device_count() < count

    def split(self, data: torch.Tensor, count: int) -> Sequence[torch.Tensor]:
        """The parts of a batch, as the scatter of `nn.DataParallel` cuts it."""
        return data.chunk(count)

    @classmethod
    def reader(cls, seed: int) -> DataLoader[Any]:
        """What each process reads from: the loader learns its rank from torch.distributed."""
        return Loader(records(), BATCH, seed=seed, shuffle=True)

    def evaluate(self) -> dict[str, float]:
        """How many records come not at all, or too often, or at another place than in a single process."""
        order = Loader(records(), seed=self.seed, shuffle=True, rank=0, world_size=1).keys.order(epoch=0).tolist()
        self.shares[:] = [(world, read_together(self.reader, world, self.seed)) for world in self.worlds]
        wrong, moved = 0, 0
        for _, shares in self.shares:
            together = [index for turn in zip_longest(*shares) for index in turn if index is not None]
            counts = Counter(together)
            wrong += sum(abs(counts[index] - 1) for index in order)
            moved += sum(one != other for one, other in zip_longest(together, order))
        return {"missing or too often": wrong, "out of place": moved}

    def checks(self, history: History) -> Sequence[Check]:
        """Nothing is otherwise."""
        steps = {name: sum(values) for name, values in history.losses.items()}
        figures = (
            *(steps.get(name) for name in ("other splits", "other rows")),
            *(history.last(name) for name in ("missing or too often", "out of place")),
        )
        return [bar.check(figure) for bar, figure in zip(self.bars, figures, strict=True)]

    def lines(self) -> Sequence[str]:
        """What the tutorial prints, once for each size of a batch; and how many records each process read."""
        lines, cuts = [], {(count, outside[0][0]): (parts, outside) for count, parts, outside in self.cuts}
        for count in self.replicas:
            lines.append(f"{_many(count, 'replica')}:")
            for parts, outside in (cut for (replicas, _), cut in cuts.items() if replicas == count):
                lines += [f"    In Model: {_sizes(part)}" for part in parts]
                lines.append(f"Outside: {_sizes(outside)}")
        read = {
            _many(world, "process"): " + ".join(str(len(share)) for share in shares) for world, shares in self.shares
        }
        return [*lines, *(f"{processes}: {lengths} records" for processes, lengths in read.items())]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """How many rows each replica got, and how many records each process."""
        cut = {_many(count, "replica"): parts for count, parts, outside in self.cuts if outside[0][0] == BATCH}
        read = {_many(world, "process"): [len(share) for share in shares] for world, shares in self.shares}
        figure, (left, right) = panels(2)
        _draw_parts(
            left, BATCH, "rows of a batch", {name: [rows[0] for rows, _ in parts] for name, parts in cut.items()}
        )
        _draw_parts(right, len(self.loader.records), "records", read)
        return {"shares.png": finish(figure, self)}


class Model(nn.Module):
    """The tutorial's: one layer, which notes the sizes that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 2)
        self.seen: list[Shapes] = []

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """(B, 2) of (B, 5)."""
        output: torch.Tensor = self.fc(data)
        self.seen.append((list(data.shape), list(output.shape)))  # the list of all replicas
        return output


def records() -> RandomData:
    """The tutorial's: 100 vectors of 5 numbers."""
    return RandomData(5, n=100, classes=0)


def _sizes(shapes: Shapes) -> str:
    return f"input size {shapes[0]} output size {shapes[1]}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}es" if what.endswith("s") else f"{count} {what}s"


def _draw_parts(axes: Any, total: int, what: str, bars: Mapping[str, Sequence[int]]) -> None:
    """A bar for each name, cut into its parts; where it should end there is a line."""
    for place, (name, parts) in enumerate(bars.items()):
        ends = [sum(parts[: number + 1]) for number in range(len(parts))]
        for part, end, colour in zip(parts, ends, COLOURS * len(parts), strict=False):
            axes.barh(name, part, left=end - part, color=colour, edgecolor="white", height=0.6)
            axes.text(end - part / 2, place, str(part), color="white", ha="center", va="center", fontsize=9)
    axes.axvline(total, color=INK, linestyle=(0, (4, 3)), linewidth=1)
    axes.invert_yaxis()
    axes.set_title(f"{total} {what}", loc="left", fontsize=10, color=SOFT)


class EveryoneReadsEverything(DataParallel):
    """The loader of each process is not told its rank: every one reads all records."""

    bug = "everyone-reads-everything"

    @classmethod
    def reader(cls, seed: int) -> DataLoader[Any]:
        """As if it were alone."""
        return Loader(records(), BATCH, seed=seed, shuffle=True, rank=0, world_size=1)


class Padded(DataParallel):
    """Each process reads as many records as the others: `DistributedSampler` gives some of them twice."""

    bug = "padded"

    @classmethod
    def reader(cls, seed: int) -> DataLoader[Any]:
        """With torch's sampler, by default."""
        return DataLoader(records(), BATCH, sampler=DistributedSampler(records(), seed=seed))


class SplitByStride(DataParallel):
    """Each replica gets every n-th row of a batch, and the outputs are joined as if it had a stretch of it."""

    bug = "split-by-stride"

    def split(self, data: torch.Tensor, count: int) -> Sequence[torch.Tensor]:
        """Rows 0, count, 2 count and so on first, then those from 1 on."""
        return [data[number::count] for number in range(count)]
