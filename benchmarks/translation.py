"""The tutorial on translation one pair at a time, as it was until 2023, beside the same net and data in batches.

python benchmarks/translation.py            # two minutes, on the pairs of data.zip; writes docs/benchmarks.md
python benchmarks/translation.py --quick    # one round on synthetic pairs, to see that it runs; prints only
"""

import random
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import torch
from figures import script, spread
from torch.nn import functional

from datakit import Loader
from datakit.reference import find
from datakit.reference.seq2seq import Read

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BATCH = 64
ONE_BY_ONE, IN_BATCHES = "one pair at a time", "`Loader` and `collate.pad`"
RATES = {ONE_BY_ONE: 2e-3, IN_BATCHES: 8e-3}  # of Adam: the best for each of those tried, 5e-4 to 1.6e-2
LOSSES = (1.2, 1.1)  # nats a word on held-out sentences; the first is the bar of `datakit train translate`
LIMIT = 30  # epochs
LOOKS = 8  # evaluations an epoch, whose time does not count


def fresh(reference, seed, rate):
    """The net and Adam; the weights are those of the seed."""
    torch.manual_seed(seed)
    reference.model = type(reference.model)(len(reference.french), len(reference.english))
    return reference.model, torch.optim.Adam(reference.model.parameters(), rate)


def one_by_one(reference, seed):
    """Forever: a pair by chance, its words in a loop through encoder and decoder, a step."""
    net, optimizer = fresh(reference, seed, RATES[ONE_BY_ONE])
    pairs = [(row["text"], row["target_text"]) for row in reference.seen.records.records()]
    french, english = (
        {token: place for place, token in enumerate(one.tokens)} for one in (reference.french, reference.english)
    )
    start, end = reference.numbers("start", "end")
    draw = random.Random(seed)
    while True:
        net.train()
        text, target_text = draw.choice(pairs)
        source = torch.tensor([*(french[word] for word in text.split(" ")), end]).view(-1, 1)
        target = torch.tensor([*(english[word] for word in target_text.split(" ")), end]).view(-1, 1)
        loss = loss_of_pair(net, source, target, start)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield 1


def loss_of_pair(net, source, target, start):
    """Word for word: tokens (S, 1) and (T, 1)."""
    hidden, states = torch.zeros(1, 1, net.source.embedding_dim), []
    for word in source:
        state, hidden = net.encoder(net.dropout(net.source(word)).view(1, 1, -1), hidden)
        states.append(state[0])
    states = torch.stack(states, 1)
    read = Read(states, net.attention.key(states), torch.ones(1, len(source), dtype=torch.bool), hidden[0])
    state, given, loss = hidden[0], torch.tensor([start]), 0.0
    for word in target:
        state, _ = net.follow(net.dropout(net.target(given)), state, read)
        loss = loss + functional.cross_entropy(net.scores(state), word)
        given = word  # teacher forcing
    return loss / len(target)


def in_batches(reference, seed):
    """Forever: a batch of `Loader` and `collate.pad`, a step."""
    net, optimizer = fresh(reference, seed, RATES[IN_BATCHES])
    loader = Loader(reference.seen.records, BATCH, seed=seed, shuffle=True, rank=0, world_size=1)
    while True:
        for batch in loader:
            net.train()
            target = batch["target_tokens"]
            scores = net(batch["tokens"], batch["length"], target[:, :-1])
            loss = functional.cross_entropy(scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield len(target)


def until(steps, reference, losses):
    """Processor seconds and epochs of the training until the held-out loss is at most each of `losses`."""
    total = len(reference.seen.records)
    seconds, pairs, due, found = 0.0, 0, 0.0, []
    for loss in losses:
        while not due or reference.loss(reference.test) > loss:
            if pairs > LIMIT * total:
                raise RuntimeError(f"the held-out loss is not {loss} after {LIMIT} epochs")
            due += total / LOOKS
            began = time.process_time()
            while pairs < due:
                pairs += next(steps)
            seconds += time.process_time() - began
        found.append((seconds, pairs / total))
    return found


def opened(quick, folder):
    """The reference, which has the pairs, the vocabularies and the held-out loss."""
    if not quick:
        with zipfile.ZipFile(DATA / "data.zip") as archive:
            archive.extractall(folder)
    reference = find("translate")(None if quick else folder)
    reference.build()
    return reference


def rows(taken, losses):
    """A row for each way and loss."""
    for place, loss in enumerate(losses):
        theirs = [found[place][0] for found in taken[ONE_BY_ONE]]
        for name, every in taken.items():
            seconds, epochs = ([found[place][part] for found in every] for part in (0, 1))
            rates = [one / mine for one, mine in zip(theirs, seconds, strict=True)]
            ratio = f"{statistics.median(rates):.2f} ({min(rates):.2f} – {max(rates):.2f})"
            figures = f"{RATES[name]:g} | {statistics.median(epochs):.1f} | {spread(seconds, 's')} | {ratio}"
            yield f"| {loss} | {name} | {figures} |"


def sections(quick):
    torch.set_num_threads(1)
    repeats, losses = (1, LOSSES[:1]) if quick else (3, LOSSES)
    taken = {ONE_BY_ONE: [], IN_BATCHES: []}
    with tempfile.TemporaryDirectory() as folder:
        reference = opened(quick, folder)
        for seed in range(repeats):
            taken[ONE_BY_ONE].append(until(one_by_one(reference, seed), reference, losses))
            taken[IN_BATCHES].append(until(in_batches(reference, seed), reference, losses))
    return f"""## Translation in batches

The net of the tutorial on translation and its pairs, French to English, {len(reference.seen.records)} to learn from:
one pair at a time and word for word, as the tutorial trained until 2023, and {BATCH} at a time by `Loader` and
`collate.pad`. Weights are the same at the start of a round, and both have Adam, each with the best rate for itself.
Seconds are of one thread's processor time, until the held-out loss is as low as it says, in nats a word; that is looked
at {LOOKS} times an epoch, which does not count. Medians of {repeats} rounds in which both took turns, with the least
and the greatest. The bar is a ratio of 5.

| held-out loss | training | rate | epochs | time | times as fast |
| --- | --- | --- | --- | --- | --- |
{chr(10).join(rows(taken, losses))}
"""


if __name__ == "__main__":
    script("translation", sections)
