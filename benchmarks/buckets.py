"""What buckets of like lengths save in padding, how random the batches still are, and what the order costs.

python benchmarks/buckets.py            # a minute, on the spoken digits; writes docs/benchmarks.md
python benchmarks/buckets.py --quick    # few epochs and records, to see that it runs; prints only
"""

import zipfile
from pathlib import Path

import numpy as np
from core import interleaved
from figures import script, spread

from datakit import BucketSampler, KeySampler, padding_share

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "free-spoken-digit-dataset.zip"
BATCHES = (8, 16, 32, 64)
POOLS = (4, 8, 16, 32, 64, None)
BATCH = 32  # of the table of pools


def spoken_digits():
    """Length of each recording in samples (44 bytes of header, then 16 bits a sample), and its speaker as a number."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        entries = archive.infolist()
    lengths = np.array([(entry.file_size - 44) // 2 for entry in entries])
    return lengths, np.unique([entry.filename.split("_")[1] for entry in entries], return_inverse=True)[1]


def pairs(groups):
    """How many pairs of records have the same number."""
    counts = np.unique(groups, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1)).sum() / 2)


def batches_of(order, batch_size):
    """The number of the batch in which each record is."""
    batch = np.empty(len(order), int)
    batch[order] = np.arange(len(order)) // batch_size
    return batch


def again(sampler, batch_size, epochs):
    """How often two records of one batch share one in the next epoch too, by what chance alone would give."""
    n, ratios = sampler.length, []
    for epoch in range(0, 2 * epochs, 2):
        first, second = (batches_of(sampler.order(epoch + step), batch_size) for step in (0, 1))
        ratios.append(pairs(first * n + second) / (pairs(first) * pairs(second) / (n * (n - 1) / 2)))
    return float(np.mean(ratios))


def alike(sampler, batch_size, labels, epochs):
    """How often two records of one batch have the same label, by what chance alone would give."""
    n, ratios = sampler.length, []
    for epoch in range(epochs):
        batch = batches_of(sampler.order(epoch), batch_size)
        ratios.append(pairs(batch * n + labels) / (pairs(batch) * pairs(labels) / (n * (n - 1) / 2)))
    return float(np.mean(ratios))


def padding(sampler, lengths, batch_size, epochs):
    return float(np.mean([padding_share(lengths, sampler.order(epoch), batch_size) for epoch in range(epochs)]))


def by_chance(lengths, batch_size):
    return KeySampler(len(lengths), shuffle=True)


def bucketed(lengths, batch_size, **options):
    return BucketSampler(len(lengths), lengths, block=batch_size, **{"shuffle": True, **options})


def batch_rows(lengths, epochs):
    kinds = [
        by_chance,
        bucketed,
        lambda *args: bucketed(*args, pool=None),
        lambda *args: bucketed(*args, shuffle=False),
    ]
    for size in BATCHES:
        yield (
            f"| {size} | "
            + " | ".join(f"{padding(of(lengths, size), lengths, size, epochs):.3f}" for of in kinds)
            + " |"
        )


def pool_rows(lengths, speakers, epochs):
    samplers = {"by chance": by_chance(lengths, BATCH)}
    samplers |= {"all" if pool is None else str(pool): bucketed(lengths, BATCH, pool=pool) for pool in POOLS}
    for name, sampler in samplers.items():
        share = padding(sampler, lengths, BATCH, epochs)
        more = again(sampler, BATCH, epochs), alike(sampler, BATCH, speakers, epochs)
        yield f"| {name} | {share:.3f} | {1 / (1 - share):.2f} | {more[0]:.1f} | {more[1]:.2f} |"


def costs(n, repeats):
    lengths = np.random.default_rng(0).integers(1, 400_000, n)
    samplers = {
        "shuffled": by_chance(lengths, BATCH),
        "shuffled, in buckets": bucketed(lengths, BATCH),
        "longest first": bucketed(lengths, BATCH, shuffle=False),
    }
    runs = {name: lambda sampler=sampler: sampler.order(0) for name, sampler in samplers.items()}
    for name, taken in interleaved(runs, n, repeats).items():
        yield f"| {name} | {spread([microseconds * n / 1e6 for microseconds in taken], 's')} |"


def sections(quick):
    epochs, n, repeats = (2, 20_000, 3) if quick else (20, 1_000_000, 9)
    lengths, speakers = spoken_digits()
    return f"""## Batches of like lengths

The {len(lengths):,} spoken digits of six speakers, {lengths.min()} to {lengths.max()} samples long, median
{np.median(lengths):.0f}. The share of padding is that of the positions of all padded batches that hold no sound:
means of {epochs} epochs. The bar is half of that by chance.

| batch size | shuffled | shuffled, `lengths` given | all sorted, batches shuffled | not shuffled, `lengths` given |
| --- | --- | --- | --- | --- |
{chr(10).join(batch_rows(lengths, epochs))}

How many blocks are sorted together (`pool`), at a batch size of {BATCH}: {len(lengths) // BATCH} whole ones an epoch.
Work: positions of the padded batches by those that hold sound. Together again: how often two records of one batch share
one in the next epoch too. Same speaker: how often two records of one batch are of one. Both by what chance would give.

| `pool` | padding | work | together again | same speaker |
| --- | --- | --- | --- | --- |
{chr(10).join(pool_rows(lengths, speakers, epochs))}

The order of an epoch of {n:,} records: medians of {repeats} interleaved repetitions, with the least and the greatest.

| order | time |
| --- | --- |
{chr(10).join(costs(n, repeats))}
"""


if __name__ == "__main__":
    script("buckets", sections)
