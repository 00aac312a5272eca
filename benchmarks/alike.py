"""What `check` finds of copies that are nearly the same, what it says of real data, and how long that takes.

python benchmarks/alike.py            # ten minutes, on the real data; writes docs/benchmarks.md
python benchmarks/alike.py --quick    # few, to see that it runs; prints only
"""

import hashlib
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from alterations import PICTURES, SOUNDS, TEXTS
from figures import script

from datakit import Concat
from datakit.audio import SpokenDigits, YesNo
from datakit.check.alike import WORDS, candidates, confirm, sketch
from datakit.errors import SampleError
from datakit.text import Names, TranslationPairs
from datakit.vision import CIFAR10, MNIST, FaceLandmarks, ImageFolder, PennFudan

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NOTHING = np.zeros(WORDS, np.uint64)


def unpacked(folder):
    """The archives of the real data, where the datasets look for them."""
    for archive in DATA.glob("*.zip"):
        zipfile.ZipFile(archive).extractall(folder)
    for archive in (DATA / "waves_yesno.tar.gz", DATA / "cifar10-subset" / "cifar-10-python.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    return {
        "photographs": Concat([ImageFolder(folder / "hymenoptera_data" / split) for split in ("train", "val")]),
        "faces": FaceLandmarks(folder),
        "nuclei": PennFudan(folder),
        "CIFAR-10, a fifth": Concat([CIFAR10(folder, split) for split in CIFAR10.splits]),
        "MNIST": Concat([MNIST(DATA, split) for split in MNIST.splits]),
        "spoken digits": Concat([SpokenDigits(folder, split) for split in SpokenDigits.splits]),
        "yesno": YesNo(folder),
        "paragraphs": Paragraphs(TranslationPairs(folder)),
        "names": Names(folder),
        "translation pairs": TranslationPairs(folder),
    }


class Paragraphs(list):
    """French sentences, none of them twice, in paragraphs of 25 words or more: the real data has no longer texts."""

    def __init__(self, pairs):
        super().__init__()
        words = []
        for text in dict.fromkeys(pairs.texts("target_text")):
            words += text.split()
            if len(words) >= 25:
                self.append({"text": " ".join(words)})
                words = []


def loaded(dataset, index):
    """A sample; None where it cannot be read."""
    try:
        return dataset[int(index)]
    except SampleError:
        return None


def sketches(samples):
    """One each, and ms each; zeros for those without, and for those that are there already, bit for bit."""
    made, seconds, known = [], 0.0, set()
    for sample in samples:
        started = time.perf_counter()
        one = None if sample is None else sketch(sample)
        seconds += time.perf_counter() - started
        content = None if sample is None else content_of(sample)
        made.append(NOTHING if one is None or content in known else one)
        known.add(content)
    return np.array(made), 1000 * seconds / len(made)


def content_of(sample):
    """What makes two samples the same."""
    if "image" in sample:
        return hashlib.blake2b(sample["image"].tobytes()).digest()
    if "waveform" in sample:
        return hashlib.blake2b(sample["waveform"].numpy().tobytes()).digest()
    return sample["text"], sample.get("target_text")


def found_in(dataset, rows):
    """What is said of a dataset as it is: figures, and the pairs."""
    started = time.perf_counter()
    near = candidates(rows)
    searched = time.perf_counter() - started
    pairs, started = [], time.perf_counter()
    for i, j in near.pairs.tolist():
        if (likeness := confirm(loaded(dataset, i), loaded(dataset, j))) is not None:
            pairs.append((i, j, likeness))
    return near, searched, pairs, time.perf_counter() - started


def named(sample):
    """What a person knows a sample by."""
    return sample.get("path") or [sample[key] for key in ("text", "target_text") if key in sample]


def altered(sample, alteration):
    """The sample with its picture, sound or text altered."""
    if "image" in sample:
        return {"image": alteration(sample["image"])}
    if "waveform" in sample:
        wave, rate = alteration(sample["waveform"], sample["sample_rate"])
        return {"waveform": wave, "sample_rate": rate}
    return {"text": alteration(sample["text"])}


def recall(dataset, rows, alteration, count):
    """The shares of altered copies that become candidates among all, and that are confirmed."""
    usable = np.flatnonzero(rows[:, 0])
    chosen = np.random.default_rng(0).permutation(usable)[:count]
    originals = [loaded(dataset, index) for index in chosen]
    copies = [altered(sample, alteration) for sample in originals]
    planted, _ = sketches(copies)
    near = candidates(np.concatenate([rows, planted]))
    known = set(map(tuple, near.pairs.tolist()))
    are_near = [(int(index), len(rows) + place) in known for place, index in enumerate(chosen)]
    are_same = [confirm(one, other) is not None for one, other in zip(originals, copies, strict=True)]
    both = [near and same for near, same in zip(are_near, are_same, strict=True)]
    return sum(are_near) / len(chosen), sum(are_same) / len(chosen), sum(both) / len(chosen)


PLANTED = {
    "photographs": PICTURES,
    "CIFAR-10, a fifth": PICTURES,
    "nuclei": PICTURES,
    "MNIST": PICTURES,
    "spoken digits": SOUNDS,
    "paragraphs": TEXTS,
}


def sections(quick):
    """Markdown of the tables."""
    torch.set_num_threads(1)
    real, shares = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name, dataset in unpacked(Path(folder)).items():
            if quick and name not in ("spoken digits", "paragraphs", "yesno", "names", "translation pairs"):
                continue
            rows, each = sketches(loaded(dataset, index) for index in range(len(dataset)))
            near, searched, pairs, confirmed = found_in(dataset, rows)
            for i, j, likeness in pairs:
                print(name, i, j, likeness, *map(named, (loaded(dataset, i), loaded(dataset, j))), file=sys.stderr)
            cut = ", cut" if near.is_cut else ""
            time_each = f"{1000 * confirmed / max(1, len(near.pairs)):.1f} ms"
            real.append(
                f"| {name} | {len(dataset):,} | {each:.2f} ms | {searched:.2f} s | {len(near.pairs):,}{cut} "
                f"| {time_each if len(near.pairs) else ''} | {len(pairs):,} |"
            )
            for alteration, function in PLANTED.get(name, {}).items():
                found = recall(dataset, rows, function, 20 if quick else 200)
                shares[name, alteration] = found
                print(name, alteration, *(f"{share:.3f}" for share in found), file=sys.stderr, flush=True)
    return "\n".join([*heading(), *real, "", *table(shares)])


def heading():
    """What the first table shows."""
    return [
        "## Records that are nearly the same",
        "",
        "What `datakit check` says of the real data: what the bits of a sample cost once it is loaded, how long the "
        "search for near ones takes, how many pairs it gives, what it costs to load both and compare them, and how "
        "many are nearly the same.",
        "",
        "| data | records | bits, each | search | pairs | comparing, each | nearly the same |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]


def table(shares):
    """What is found of the copies, a table for pictures, one for sounds and one for texts."""
    lines = ["Copies that were altered, 200 of each kind, among all records: the share of them that is found."]
    for kinds in (PICTURES, SOUNDS, TEXTS):
        names = list(dict.fromkeys(name for name, alteration in shares if alteration in kinds))
        if not names:
            continue
        lines += ["", f"| altered | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
        for alteration in kinds:
            cells = [f"{shares[name, alteration][2]:.1%}".replace("%", " %") for name in names]
            lines.append(f"| {alteration} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    script("alike", sections)
