"""Datasets and transforms with one defect each."""

import functools
import os
import random
import secrets
import time

import numpy as np
import torch

from datakit import Columns, Dataset
from datakit.transforms import Compose

N = 40


class Clean(Dataset):
    """Noise images that follow their index; the others plant one defect into it."""

    def __init__(self, n=N, transform=None):
        super().__init__(".", transform=transform)
        self.columns = Columns(number=range(n))

    def index(self):
        return Columns(number=range(N))

    def load(self, record):
        return {"image": picture(record.number), "label": record.number % 3}


def picture(number, side=24):
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


# --- purity


class Urandom(Clean):
    def load(self, record):
        return {**super().load(record), "salt": secrets.randbits(40)}


class Counting(Clean):
    """Says how many records it has read."""

    reads = 0

    def load(self, record):
        self.reads += 1
        return {**super().load(record), "reads": self.reads}


class AfterAnother(Clean):
    """A record depends on which other one was read before it, and is the same when it is read twice."""

    last = before = -1

    def load(self, record):
        if record.number != self.last:
            self.last, self.before = record.number, self.last
        return {**super().load(record), "before": self.before}


class Caching(Clean):
    """Hands out what it keeps."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.cache = {}

    def load(self, record):
        if record.number not in self.cache:
            self.cache[record.number] = super().load(record)
        return self.cache[record.number]


class ByProcess(Clean):
    """Three ways to differ between processes: their number, that of the worker, the order of a set."""

    def load(self, record):
        info = torch.utils.data.get_worker_info()
        words = {f"word {number}" for number in range(20)}
        others = {"process": os.getpid(), "worker": 0 if info is None else info.id, "word": " ".join(words)}
        return {**super().load(record), **others}


def by_time(sample):
    return {**sample, "time": time.perf_counter_ns()}


def in_place(sample):
    sample["image"] //= 2
    return sample


# --- draws


class OwnGenerator:
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, sample):
        return {**sample, "noise": self.rng.normal()}


class UnusedGenerator(OwnGenerator):
    def __call__(self, sample):
        return sample


def reseeds_python(sample):
    random.seed(0)
    return {**sample, "noise": random.random()}


def reseeds_numpy(sample):
    np.random.seed(3)
    return {**sample, "noise": np.random.rand()}


def reseeds_torch(sample):
    torch.manual_seed(1)
    return {**sample, "noise": float(torch.rand(()))}


class ReseedsInLoad(Clean):
    def load(self, record):
        random.seed(7)
        return super().load(record)


def ignores_rng(sample, rng):
    return {**sample, "noise": np.random.default_rng(0).normal()}


def derives_from_rng(sample, rng):
    return {**sample, "noise": np.random.default_rng(int(rng.integers(2**31))).normal()}


def draws_globally(sample):
    return {**sample, "noise": random.random() + np.random.rand() + float(torch.rand(()))}


# --- chain


def fails_for_some(sample):
    if sample["index"] % 10 == 3:
        raise ValueError("no good")
    return sample


def fails_by_chance(sample, rng):
    if rng.random() < 0.1:
        raise ValueError("out of luck")
    return sample


def divides(sample):
    return {**sample, "image": (torch.as_tensor(sample["image"]).float() / 255)}


def some_grey(sample):
    image = sample["image"]
    return {**sample, "image": image[:, :, :1].copy()} if sample["index"] % 5 == 0 else sample


def some_half(sample):
    return {**sample, "value": np.float64(1.0) if sample["index"] % 8 == 0 else np.float32(1.0)}


def some_key(sample):
    return {**sample, "extra": 1} if sample["index"] % 4 else sample


def gives_nan(sample):
    return {**sample, "image": np.full((4, 4, 3), np.nan)}


# --- memory and files


class Keeping(Clean):
    """Keeps every image that it read."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = []

    def load(self, record):
        image = np.random.default_rng(record.number).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        self.seen.append(image)
        return {"image": image.copy(), "label": 0}


@functools.lru_cache(None)
def remembered(number):
    return np.zeros(50_000, np.uint8) + np.uint8(number % 255)


class Remembering(Clean):
    """Decodes through a cache without a limit."""

    def load(self, record):
        return {**super().load(record), "decoded": remembered(record.number).copy()}


@functools.lru_cache(100_000)
def remembered_for_a_while(number):
    return np.zeros(50_000, np.uint8) + np.uint8(number % 255)


class Bounding(Clean):
    """Decodes through a cache whose limit no short look reaches."""

    def load(self, record):
        return {**super().load(record), "decoded": remembered_for_a_while(record.number).copy()}


class Bounded(Clean):
    """A cache of 16 records."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.cache = {}

    def load(self, record):
        if record.number not in self.cache:
            self.cache[record.number] = picture(record.number, 100)
            if len(self.cache) > 16:
                self.cache.pop(next(iter(self.cache)))
        return {"image": self.cache[record.number].copy(), "label": 0}


SIDE = 64  # bytes of a record times this


class OpenFile(Clean):
    """One file of all records, opened once."""

    def __init__(self, path, n=N):
        super().__init__(n)
        self.file = open(path, "rb")  # noqa: SIM115

    def load(self, record):
        self.file.seek(record.number * 10_000)
        return {"bytes": np.frombuffer(self.file.read(10_000), np.uint8).copy()}


class LazyFile(OpenFile):
    """Opens at the first read, and keeps it, in whichever process."""

    def __init__(self, path, n=N):
        Clean.__init__(self, n)
        self.path, self.file = path, None

    def load(self, record):
        self.file = self.file or open(self.path, "rb")  # noqa: SIM115
        return super().load(record)


class FileOfProcess(LazyFile):
    """Opens anew in each process."""

    process = 0

    def load(self, record):
        if self.process != os.getpid():
            self.file, self.process = None, os.getpid()
        return super().load(record)


class Hanging(Clean):
    def load(self, record):
        if record.number % 5 == 2:
            time.sleep(1000)
        return super().load(record)


class Dying(Clean):
    def load(self, record):
        if record.number % 5 == 2:
            os.kill(os.getpid(), 9)
        return super().load(record)


class Everything(OpenFile):
    """All that may be wrong, in company."""

    classes = ("train", "val")

    def __init__(self, path):
        super().__init__(path)
        self.files = [f"folder/{number:08}.jpg" for number in range(150_000)]
        self.seen = []
        self.transform = Compose([
            *(OwnGenerator(), reseeds_numpy, ignores_rng, some_grey, some_half, some_key, fails_for_some),
            *(divides, divides, lambda sample: {**sample, "size": np.zeros(1 + sample["index"])}),
        ])  # fmt: skip

    def load(self, record):
        sample = {**super().load(record), "image": picture(record.number, 100), "salt": secrets.randbits(40)}
        self.seen.append(sample["image"])
        return sample
