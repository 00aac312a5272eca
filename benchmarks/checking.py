"""What a check costs: the first time beside reading the records, the second time, and for a million files.

python benchmarks/checking.py            # minutes, on the real photographs and digits; writes docs/benchmarks.md
python benchmarks/checking.py --quick    # few files, to see that it runs; prints only
"""

import os
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from figures import script, spread

from datakit import Columns, Dataset, Loader
from datakit.audio import SpokenDigits
from datakit.check import check
from datakit.vision import MNIST, ImageFolder

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
WORKERS, SIDE = 2, 8
RECORDS = ["unreadable", "duplicate", "contradiction", "constant", "drift", "outlier", "empty-class", "imbalance"]


class RawImages(Dataset):
    """Files of 192 bytes, an image each."""

    def index(self):
        names = [
            f"{folder}/{name}" for folder in sorted(os.listdir(self.root)) for name in files_of(self.root / folder)
        ]
        return Columns(file=names)

    def load(self, record):
        data = (self.root / record.file).read_bytes()
        return {"image": np.frombuffer(data, np.uint8).reshape(SIDE, SIDE, 3)}


def files_of(folder):
    return sorted(entry.name for entry in os.scandir(folder))


def made(folder, count):
    """Files of noise, a thousand a folder."""
    rng = np.random.default_rng(0)
    for start in range(0, count, 1000):
        place = Path(folder, f"{start:07}")
        place.mkdir()
        for number, data in enumerate(
            rng.integers(0, 256, (min(1000, count - start), SIDE * SIDE * 3), dtype=np.uint8)
        ):
            (place / f"{number:03}.raw").write_bytes(data.tobytes())
    return RawImages(folder)


@contextmanager
def own_cache():
    """A cache that nobody has used."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATAKIT_CACHE"] = folder
        yield


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def read(dataset):
    """All records once, as they are loaded."""
    for _ in Loader(dataset, 32, num_workers=WORKERS, collate_fn=len, verify=False):
        pass


def real(quick):
    """Rows of real datasets: plain reading, the first check and the second, in turns."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("hymenoptera_data", "free-spoken-digit-dataset"):
            with zipfile.ZipFile(SHARED / f"{name}.zip") as archive:
                archive.extractall(folder)
        datasets = {
            "245 photographs (hymenoptera)": ImageFolder(f"{folder}/hymenoptera_data/train"),
            "2,700 spoken digits": SpokenDigits(folder),
            "60,000 digits of MNIST": MNIST(SHARED),
        }
        for name, dataset in datasets.items():
            rounds = [one_round(dataset) for _ in range(1 if quick else 5)]
            plain, first, second = zip(*rounds, strict=True)
            times = [one / other for one, other in zip(first, plain, strict=True)]
            again = [one / other for one, other in zip(first, second, strict=True)]
            rows.append(
                f"| {name} | {spread(plain, 's')} | {spread(first, 's')} | {spread(times, '').replace('  ', ' ')} | "
                f"{spread(second, 's')} | {median(again):.0f} |"
            )
    return rows


def one_round(dataset):
    """Seconds of plain reading, of a first check and of a second."""
    with own_cache():
        return (
            seconds(lambda: read(dataset)),
            seconds(lambda: check(dataset, only=RECORDS, workers=WORKERS)),
            seconds(lambda: check(dataset, only=RECORDS, workers=WORKERS)),
        )


def million(quick):
    """A row of many small files."""
    count = 10_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder, own_cache():
        dataset = made(folder, count)
        first = seconds(lambda: check(dataset, only=RECORDS, workers=WORKERS))
        second = seconds(lambda: check(dataset, only=RECORDS, workers=WORKERS))
        stats = seconds(lambda: [os.stat(dataset.root / name) for name in dataset.columns.column("file")])
        kept = sum(path.stat().st_size for path in Path(os.environ["DATAKIT_CACHE"]).rglob("*.npz"))
    return f"| {count:,} | {first:.0f} s | {second:.1f} s | {stats:.1f} s | {kept / 1e6:.0f} MB |"


def sections(quick):
    """Markdown of the tables."""
    return "\n".join(
        [
            "## Checking",
            "",
            f"`datakit check` of the records as loaded, by {WORKERS} workers: reading all records once by a `Loader`, "
            "a first check, and a second, of which the cache knows all. Medians of rounds in which they took turns, "
            "with the least and the greatest.",
            "",
            "| records | reading | first check | by reading | second check | times as fast as the first |",
            "| --- | --- | --- | --- | --- | --- |",
            *real(quick),
            "",
            "Many small files, 192 bytes each: the first check, the second, what it takes to ask the system for the "
            "state of each file once in a loop, and the size of the cache.",
            "",
            "| files | first check | second check | `os.stat` of each | cache |",
            "| --- | --- | --- | --- | --- |",
            million(quick),
        ]
    )


if __name__ == "__main__":
    script("checking", sections)
