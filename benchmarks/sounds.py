"""Sound files read one by one, and parts of a long one, beside soundfile, TorchCodec and torchaudio.

python benchmarks/sounds.py            # two minutes, on the spoken digits; writes docs/benchmarks.md
python benchmarks/sounds.py --quick    # few files, to see that it runs; prints only

TorchCodec and torchaudio take part where they are installed: `pip install ".[codec]"`, and FFmpeg.
"""

import statistics
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import soundfile
from core import interleaved
from figures import interval, script, spread

from datakit import audio

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SECONDS = 600  # of the long file
SUFFIXES = ("wav", "flac", "ogg", "mp3")


def by_soundfile(path, **part):
    return soundfile.read(path, dtype="float32", always_2d=True, **part)


def readers():
    """Name, and a function of a path, of everyone who can read a file here."""
    found = {"`audio.load`": audio.load, "soundfile, float32": by_soundfile}
    try:
        import torchaudio
        from torchcodec.decoders import AudioDecoder, WavDecoder
    except (ImportError, RuntimeError, OSError):
        return found
    found["TorchCodec, `WavDecoder`"] = lambda path: WavDecoder(path).get_all_samples().data
    found["TorchCodec, `AudioDecoder`"] = lambda path: AudioDecoder(path).get_all_samples().data
    found["`torchaudio.load`"] = torchaudio.load
    return found


def versions():
    names = ("soundfile", "torchaudio", "torchcodec")
    return ", ".join(f"{name} {number}" for name in names if (number := installed(name)))


def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def digit_rows(folder, count, repeats):
    digits = audio.SpokenDigits(folder, split="train")
    places = np.random.default_rng(0).permutation(len(digits))[:count].tolist()
    files = [f"{folder}/{digits.columns.column('file')[place]}" for place in places]
    runs = {"`SpokenDigits[i]`, the whole sample": lambda: [digits[place] for place in places]}
    for name, read in readers().items():
        runs[name] = lambda read=read: [read(file) for file in files]
    taken = interleaved(runs, len(files), repeats)
    theirs = taken["soundfile, float32"]
    for name, times in taken.items():
        rates = [one / mine for mine, one in zip(times, theirs, strict=True)]
        yield f"| {name} | {spread(times, 'µs')} | {1e6 / statistics.median(times):,.0f} | {interval(rates)} |"


def long_and_short(folder, suffix):
    """A file of ten minutes and one of a second, of the same recording over and over."""
    sentence, rate = audio.load(DATA / "audio" / "LJ002-0020.wav")
    long = sentence.repeat(1, 1 + SECONDS * rate // sentence.shape[1])[:, : SECONDS * rate]
    paths = [folder / f"{name}.{suffix}" for name in ("long", "short")]
    for path, values in zip(paths, (long, long[:, :rate]), strict=True):
        audio.save(path, values, rate)  # soundfile.write crashes on a long ogg
    return (*paths, rate)


def part_rows(folder, count, repeats):
    starts = np.random.default_rng(0).integers(0, SECONDS - 1, count).tolist()
    for suffix in SUFFIXES:
        long, short, rate = long_and_short(folder, suffix)
        taken = interleaved(
            {
                "short": lambda short=short: [audio.load(short) for _ in starts],
                "part": lambda long=long, rate=rate: [audio.load(long, start=at * rate, frames=rate) for at in starts],
                "theirs": lambda long=long, rate=rate: [
                    by_soundfile(long, start=at * rate, frames=rate) for at in starts
                ],
            },
            count,
            repeats,
        )
        ratios = [part / whole for part, whole in zip(taken["part"], taken["short"], strict=True)]
        times = " | ".join(spread(taken[name], "µs") for name in ("short", "part", "theirs"))
        yield f"| {suffix} | {times} | {interval(ratios)} |"


def sections(quick):
    count, parts, repeats = (100, 5, 3) if quick else (2700, 40, 15)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(DATA / "free-spoken-digit-dataset.zip") as archive:
            archive.extractall(folder)
        digits, parts_of_a_file = list(digit_rows(folder, count, repeats)), list(part_rows(folder, parts, repeats))
    others = "" if installed("torchcodec") else " TorchCodec was not installed, so it and torchaudio are not in it."
    return f"""## Sound files

{count:,} spoken digits, WAV of 16 bits, 0.4 s each on average, in the cache of the file system; one process. A time is
that of one file: medians of {repeats} interleaved passes, with the least and the greatest. The last column is the rate
by that of soundfile, with the 95 % interval of its median; the bar for the dataset is 0.9. {versions()}.{others}

| reader | a file | files/s | rate by soundfile's |
| --- | --- | --- | --- |
{chr(10).join(digits)}

One second out of {SECONDS // 60} minutes, at {parts} random places, beside a file of one second (22,050 Hz, mono).
The bar is a ratio of 2.

| file | the short file | a second of the long one | soundfile, the same second | part by short file |
| --- | --- | --- | --- | --- |
{chr(10).join(parts_of_a_file)}
"""


if __name__ == "__main__":
    script("sounds", sections)
