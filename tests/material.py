"""Datasets and transforms at the top of a module, so that spawned workers can import them."""

import hashlib
import os
import random
import signal
import time

import numpy as np
import torch

from datakit import Columns, Dataset
from datakit.transforms import Compose, RandomCrop, RandomHorizontalFlip, Rescale, ToTensor


def ordered(kind, n):
    """What makes a loader over n records order them by groups, by lengths, or by both; some lengths are equal."""
    lengths, groups = np.random.default_rng(n).integers(1, 40, n), np.arange(n) % 3
    return {
        "plain": {},
        "groups": {"groups": groups},
        "lengths": {"lengths": lengths},
        "both": {"groups": groups, "lengths": lengths},
    }[kind]


ORDERS = ("plain", "groups", "lengths", "both")


class Numbers(Dataset):
    """Records 0 … n - 1; each says what it is and draws one number."""

    def __init__(self, n, transform=None, broken=()):
        self.n, self.broken = n, frozenset(broken)
        super().__init__("nowhere", transform=transform or draw)

    def index(self):
        return Columns(file=[f"{i}.bin" for i in range(self.n)], number=np.arange(self.n))

    def load(self, record):
        if record.number in self.broken:
            raise self.failure(record.number)
        return {"number": record.number}

    def failure(self, number):
        return ValueError(f"number {number} is broken")


def draw(sample, rng=None):
    """Our kind of transform."""
    return {**sample, "draw": rng.integers(2**62)}


class Sleeps:
    """A transform, or a function that loads, of known cost."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, value, rng=None):
        time.sleep(self.seconds)
        return value

    def __repr__(self):
        return f"Sleeps({self.seconds})"


def global_draws(sample):
    """A plain function that knows nothing of datakit."""
    noise = random.random() + np.random.rand()
    return {**sample, "image": torch.roll(sample["image"], random.randrange(20), -1) + noise}


def ours():
    return Compose([Rescale(40), RandomCrop(32), RandomHorizontalFlip(), ToTensor()])


def plain():
    return Compose([Rescale(40), RandomCrop(32, pad=True), ToTensor(), global_draws])


def torchvision_v2():
    from torchvision.transforms import v2

    return Compose([v2.RandomResizedCrop(32, antialias=True), v2.ColorJitter(0.4, 0.4), ToTensor()])


def digest(values):
    """A hash of a sample's every value."""
    total = hashlib.blake2b(digest_size=16)
    for key in sorted(values):
        value = values[key]
        data = value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
        total.update(key.encode() + data)
    return total.hexdigest()


def digests(samples):
    """A collate function that keeps the samples apart: their place and their hash."""
    return [(sample["index"], digest(sample)) for sample in samples]


class Stops(Numbers):
    def failure(self, number):
        return StopIteration(number)


class Dies(Numbers):
    def failure(self, number):
        os.kill(os.getpid(), signal.SIGKILL)


class Leaves(Numbers):
    def failure(self, number):
        os._exit(0)


class Hangs(Numbers):
    def failure(self, number):
        time.sleep(60)


def start_slowly(folder, worker_id):
    """A worker_init_fn that says who it is, and takes its time."""
    open(os.path.join(folder, str(os.getpid())), "x").close()
    time.sleep(1)
