"""Whether `datakit bench` can be believed: against a plain loop, and with clocks against without.

python benchmarks/measuring.py            # ten minutes, on ../shared/data/faces.zip; writes docs/benchmarks.md
python benchmarks/measuring.py --quick    # to see that it runs; prints only
"""

import gc
import tempfile
import zipfile
from pathlib import Path
from time import perf_counter

import torch
from figures import interval, script

from datakit import Loader, Subset
from datakit.bench import Configuration, measure
from datakit.bench.loaders import at_epoch
from datakit.bench.stages import _clocked
from datakit.bench.timing import timed
from datakit.transforms import Compose, RandomCrop, RandomHorizontalFlip, Rescale, ToTensor
from datakit.vision import FaceLandmarks

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "faces.zip"
BATCH = 16


def chained(faces):
    """Two batches of photographs, or their like: short passes, so that the two of a pair see the same machine."""
    chain = Compose([Rescale(256), RandomCrop(224), RandomHorizontalFlip(), ToTensor()])
    return Subset(faces.with_transform(chain), range(2 * BATCH))


def made(dataset, workers, epoch=1):
    return at_epoch(Loader(dataset, BATCH, shuffle=True, num_workers=workers), epoch)


def plain_loop(dataset, workers):
    """Seconds of the loop that anyone would write."""
    loader = made(dataset, workers)
    start = perf_counter()
    for _ in loader:
        pass
    return perf_counter() - start


def reported(dataset, workers):
    """Seconds of the same pass, as `datakit bench` reports it."""
    wanted = Configuration(workers, BATCH)
    (measured,) = measure(lambda _: made(dataset, workers), workers=[wanted.workers], repeats=1)
    return measured.samples / measured.samples_per_second


def pairs(first, second, rounds):
    """Ratios of two measurements that take turns, in changing order."""
    ratios = []
    gc.collect()
    gc.freeze()  # what is there already need not be looked through before every pass
    try:
        for turn in range(rounds):
            gc.collect()
            taken = {run: run() for run in ((first, second) if turn % 2 else (second, first))}
            ratios.append(taken[first] / taken[second])
    finally:
        gc.unfreeze()
    return ratios


def agreement(dataset, workers, rounds):
    """The seconds that the command reports, by those of a plain loop."""
    return pairs(lambda: reported(dataset, workers), lambda: plain_loop(dataset, workers), rounds)


def clocks(dataset, workers, rounds):
    """Seconds of a pass with clocks, by those without."""
    return pairs(
        lambda: _clocked(made(dataset, workers), None)[0].seconds,
        lambda: timed(made(dataset, workers), None).seconds,
        rounds,
    )


def control(dataset, workers, rounds):
    """A plain loop by itself: what the machine alone does to such a ratio."""
    return pairs(lambda: plain_loop(dataset, workers), lambda: plain_loop(dataset, workers), rounds)


def sections(quick):
    torch.set_num_threads(1)  # its threads would wait on the cores that a worker wants
    rounds = {0: 3, 1: 3, 2: 3} if quick else {0: 300, 1: 150, 2: 150}
    with tempfile.TemporaryDirectory() as root:
        zipfile.ZipFile(ARCHIVE).extractall(root)
        dataset = chained(FaceLandmarks(root))
        rows = "\n".join(
            f"| {workers} | {count} | " + " | ".join(interval(of(dataset, workers, count)) for of in MEASURED) + " |"
            for workers, count in rounds.items()
        )
    return f"""## Whether `datakit bench` can be believed

Seconds of one pass by those of another that took turns with it, pair by pair: the median of the pairs, and the 95 %
interval of that median. A pass reads, decodes, rescales, crops and flips {2 * BATCH} photographs of faces. The first
column of ratios is a loop against itself, and so the machine's own noise. The bars: the figure of the command within
5 % of a plain loop, clocks at most 3 %; `pytest -m benchmark` holds them.

| workers | pairs | a loop by itself | the command by a plain loop | with clocks by without |
| --- | --- | --- | --- | --- |
{rows}
"""


MEASURED = (control, agreement, clocks)

if __name__ == "__main__":
    script("measuring", sections)
