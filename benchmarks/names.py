"""A net that reads names one at a time, as the tutorial has it, beside the same net on packed batches.

python benchmarks/names.py            # three minutes, on ../shared/data/data.zip; writes docs/benchmarks.md
python benchmarks/names.py --quick    # once, to a loss that is soon reached; prints only
"""

import statistics
import sys
import tempfile
import zipfile
from pathlib import Path
from time import process_time

import numpy as np
import torch
from figures import interval, script, spread
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_sequence

from datakit import Loader, collate
from datakit.reference.char_rnn_classify import CLIP, LetterRnn
from datakit.text import Names, Vocab, unicode_to_ascii
from datakit.transforms import Encode

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "data.zip"
TOGETHER, RATE = 64, 2e-3  # names of a batch, and Adam's rate for a step of as many
ALONE = 3e-4  # Adam's rate for a step of one name; 1e-3 was faster with one seed, and with another never there
EVERY, PATIENCE = 1024, 60_000  # names between two looks at the held-out loss, and at most


class Run:
    """A net with its first weights, and the seconds of one core that it has learnt for."""

    def __init__(self, letters, languages, held_out, seed):
        torch.manual_seed(seed)
        self.net, self.held_out = LetterRnn(len(letters), languages), held_out
        self.letters, self.seconds, self.names, self.since = letters, 0.0, 0, process_time()

    def learn(self, optimizer, loss):
        """A step."""
        optimizer.zero_grad()
        loss.backward()
        self.step(optimizer)

    def step(self, optimizer):
        clip_grad_norm_(self.net.parameters(), CLIP)
        optimizer.step()

    def reached(self, names, target):
        """Whether the held-out loss is there, which is looked at now and then, and not timed."""
        before, self.names = self.names, self.names + names
        if before // EVERY == self.names // EVERY:
            return False
        self.seconds += process_time() - self.since
        with torch.inference_mode():
            loss = cross_entropy(self.net(self.held_out["tokens"]), self.held_out["label"]).item()
        self.since = process_time()
        if self.names > PATIENCE:
            raise SystemExit(f"held-out loss {loss:.3f} after {self.names} names, and {target} was to be reached")
        return loss <= target


def batched(run, names, seed, target):
    """`Loader`, packed batches, a step for each."""
    optimizer = torch.optim.Adam(run.net.parameters(), RATE)
    dataset = names.with_transform(Encode(run.letters))
    loader = Loader(dataset, TOGETHER, seed=seed, shuffle=True, collate_fn=collate.pack, rank=0, world_size=1)
    while True:
        for batch in loader:
            run.learn(optimizer, cross_entropy(run.net(batch["tokens"]), batch["label"]))
            if run.reached(len(batch["label"]), target):
                return run


def in_turn(run, names, seed):
    """Letters and language of one name after another, in an order of its own for each epoch."""
    texts, labels = list(names.texts()), names.columns.column("label")
    generator = np.random.default_rng(seed)
    while True:
        for place in generator.permutation(len(texts)).tolist():
            yield pack_sequence([run.letters.encode(texts[place])]), torch.tensor([int(labels[place])])


def one_by_one(run, names, seed, target):
    """A step for each name."""
    optimizer = torch.optim.Adam(run.net.parameters(), ALONE)
    for letters, label in in_turn(run, names, seed):
        run.learn(optimizer, cross_entropy(run.net(letters), label))
        if run.reached(1, target):
            return run


def summed(run, names, seed, target):
    """One name after another, and a step for 64 of them."""
    optimizer = torch.optim.Adam(run.net.parameters(), RATE)
    for place, (letters, label) in enumerate(in_turn(run, names, seed), 1):
        (cross_entropy(run.net(letters), label) / TOGETHER).backward()
        if place % TOGETHER == 0:
            run.step(optimizer)
            optimizer.zero_grad()
            if run.reached(TOGETHER, target):
                return run


WAYS = {
    "one name at a time, a step for each, as the tutorial did until 2024": one_by_one,
    "one name at a time, a step for 64 of them, as it does since": summed,
    "`Loader`, `collate.pack`, batches of 64": batched,
}


def sections(quick):
    torch.set_num_threads(1)
    repeats, target = (1, 1.7) if quick else (3, 1.2)
    with tempfile.TemporaryDirectory() as root:
        zipfile.ZipFile(ARCHIVE).extractall(root)
        train, test = (Names(root, split, normalize=unicode_to_ascii) for split in ("train", "test"))
        letters = Vocab.characters(train.texts(), min_count=2)
        every = Loader(test.with_transform(Encode(letters)), len(test), collate_fn=collate.pack, rank=0, world_size=1)
        (held_out,) = every
        runs = {name: [] for name in WAYS}
        for seed in range(repeats):
            for name, way in WAYS.items():
                runs[name].append(way(Run(letters, len(train.classes), held_out, seed), train, seed, target))
                print(f"seed {seed}, {name}: {runs[name][-1].seconds:.1f} s", file=sys.stderr, flush=True)
        ours = [run.seconds for run in runs["`Loader`, `collate.pack`, batches of 64"]]
        rows = []
        for name, own in runs.items():
            seconds = [run.seconds for run in own]
            seen = statistics.median(run.names for run in own)
            ratios = [theirs / one for theirs, one in zip(seconds, ours, strict=True)]
            rows.append(f"| {name} | {seen:,.0f} | {spread(seconds, 's')} | {interval(ratios)} |")
    return f"""## Names one by one, and in batches

Time until the net of `char-rnn-classify` has a loss of {target} nats on {len(test):,} held-out names; it begins at 2.9,
and to say no more than how frequent each language is gives 1.85. The same first weights, Adam, gradients clipped at
{CLIP:g}; each seed draws weights and order. {len(train):,} names to train on; the loss is looked at every
{EVERY:,} names, which is not timed. Seconds of one core: medians of {repeats} seeds, with the least and the greatest,
taken in turn; the last column is the time by that of batches, seed by seed, with the 95 % interval of its median. The
bar is 5. One name is read in one call of `torch.nn.RNN`, which is kinder to the first two ways than a loop over its
letters.

| way | names until then | time | by that of batches |
| --- | --- | --- | --- |
{chr(10).join(rows)}
"""


if __name__ == "__main__":
    script("names", sections)
