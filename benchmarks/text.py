"""What encoding text costs, and what a million lines cost workers.

python benchmarks/text.py            # two minutes, on the real names and sentences; writes docs/benchmarks.md
python benchmarks/text.py --quick    # few and short, to see that it runs; prints only
"""

import multiprocessing
import tempfile
import time
import zipfile
from functools import partial
from pathlib import Path

import psutil
import torch
from core import interleaved
from figures import script, spread

from datakit import Loader, Mapped, collate
from datakit.text import Names, TextLines, TranslationPairs, Vocab
from datakit.transforms import Encode

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "data.zip"
LINE = "this is line {} of a million lines of text"
WORKERS, BATCH, WARM = 2, 256, 8


def rates(quick):
    """How fast texts become tensors: a vocabulary beside a dict in a loop, and a tokenizer of Hugging Face."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(ARCHIVE) as archive:
            archive.extractall(folder)
        names = list(Names(folder).texts())
        sentences = list(TranslationPairs(folder).texts("target_text"))
    rows = []
    for what, texts, unit in (("names, characters", names, "characters"), ("sentences, words", sentences, "words")):
        made = Vocab.characters(texts) if unit == "characters" else Vocab.words(texts)
        kinds = {"`Vocab.encode`": made.encode, "a dict, in a loop": looped(made), **tokenizers(made)}
        runs = {kind: partial(all_of, encode, texts) for kind, encode in kinds.items()}
        found = interleaved(runs, len(texts), 3 if quick else 9)  # µs a text
        base = found["a dict, in a loop"]
        for kind, each in found.items():
            ratios = [one / other for one, other in zip(base, each, strict=True)]
            rows.append(f"| {what} | {kind} | {spread(each, 'µs')} | {spread(ratios, '').replace('  ', ' ')} |")
    return rows


def looped(made):
    """What tutorials do."""
    numbers, unknown = {token: number for number, token in enumerate(made.tokens)}, made.of("unknown")
    if made.unit == "characters":
        return lambda text: torch.tensor([numbers.get(char, unknown) for char in text])
    return lambda text: torch.tensor([numbers.get(word, unknown) for word in text.split()])


def tokenizers(made):
    """The tokenizer of Hugging Face for the same words, where it is installed; it has none for characters."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers
    except ImportError:
        return {}
    if made.unit == "characters":
        return {}
    own = Tokenizer(models.WordLevel({token: number for number, token in enumerate(made.tokens)}, unk_token="<unk>"))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return {"`tokenizers`, words": Encode(own).codes.encode}


def all_of(encode, texts):
    """Encode them one by one."""
    for text in texts:
        encode(text)


def epoch(path, kind, steps, queue):
    """An epoch of lines by two workers: seconds to open and to read, and what the workers grew by."""
    started = time.perf_counter()
    lines = TextLines(path)
    dataset = lines if kind == "lines" else Mapped([{"text": text} for text in lines.texts()])
    opened = time.perf_counter() - started
    vocab = Vocab.words([LINE])
    options = {"num_workers": WORKERS, "multiprocessing_context": "fork", "shuffle": True, "verify": False}
    loader = Loader(dataset.with_transform(Encode(vocab)), BATCH, collate_fn=collate.pad, **options)
    own, started = {}, time.perf_counter()
    for step, _ in enumerate(loader):
        if step in (WARM, steps - 10):
            for child in psutil.Process().children():
                own.setdefault(child.pid, []).append(child.memory_full_info().uss)
    grown = max(after - before for before, after in own.values())
    queue.put((opened, time.perf_counter() - started, grown))


def memory(quick):
    """Lines of a file beside a list of them."""
    count = 100_000 if quick else 1_000_000
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lines.txt")
        with open(path, "w") as file:
            file.writelines(f"{LINE.format(number)}\n" for number in range(count))
        size = path.stat().st_size
        for kind, called in (("lines", "`TextLines`"), ("list", "a list of dicts")):
            context = multiprocessing.get_context("spawn")
            queue = context.SimpleQueue()
            process = context.Process(target=epoch, args=(path, kind, count // BATCH, queue))
            process.start()
            process.join()
            opened, seconds, grown = queue.get()
            rows.append(f"| {called} | {opened:.2f} s | {count / seconds:,.0f} lines/s | {grown / 1e6:.1f} MB |")
    return count, size, rows


def sections(quick):
    """Markdown of the tables."""
    encoding = rates(quick)
    count, size, kept = memory(quick)
    return "\n".join(
        [
            "## Text",
            "",
            "What it takes to make an int64 tensor of a text, and how many times as fast that is as a dict in a list "
            "comprehension, the tutorials' way. Medians of interleaved passes, with the least and the greatest.",
            "",
            "| texts | by | each | rate, by the loop's |",
            "| --- | --- | --- | --- |",
            *encoding,
            "",
            f"{count:,} lines ({size / 1e6:.0f} MB), shuffled, encoded as words and padded by {WORKERS} workers that "
            "are forked: what it takes to open them, how fast they come, and how much more private memory a worker has "
            f"near the end of the epoch than after its first {WARM} batches.",
            "",
            "| lines in | opened in | rate | a worker's growth |",
            "| --- | --- | --- | --- |",
            *kept,
        ]
    )


if __name__ == "__main__":
    script("text", sections)
