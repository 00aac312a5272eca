"""Fbank of 1,000 real utterances: whole batches against the peers, one by one.

python benchmarks/features.py            # two minutes, on the real sounds; writes docs/benchmarks.md
python benchmarks/features.py --quick    # few utterances, to see that it runs; prints only

Peers that are not installed (kaldi-native-fbank of the test extra, lhotse of the bench extra) are left out.
"""

import io
import resource
import statistics
import tarfile
import zipfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from figures import script

from datakit import audio
from datakit.audio.features import Fbank, resample_waveform

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
BATCH = 32
RATE = 16000


def utterances(count):
    """Real sounds at 16 kHz: spoken digits, the 60 files of yesno, a sentence of LJ Speech and one of LibriSpeech."""
    found = []
    with tarfile.open(SHARED / "librispeech-one-utterance.tar.gz") as tar:
        member = next(member for member in tar if member.name.endswith(".flac"))
        found.append(audio.load(io.BytesIO(tar.extractfile(member).read())))
    found.append(audio.load(SHARED / "audio" / "LJ002-0020.wav"))
    with tarfile.open(SHARED / "waves_yesno.tar.gz") as tar:
        found += [audio.load(tar.extractfile(member).read()) for member in tar if member.name.endswith(".wav")]
    with zipfile.ZipFile(SHARED / "free-spoken-digit-dataset.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".wav"))
        chosen = np.random.default_rng(0).choice(names, count - len(found), replace=False)
        found += [audio.load(archive.read(name)) for name in chosen]
    waves = [resample_waveform(waveform[0], rate, RATE).contiguous() for waveform, rate in found]
    return [waves[place] for place in np.random.default_rng(1).permutation(len(waves))]


def in_batches(waves, **options):
    fbank = Fbank(num_mel_bins=80, dither=0.0, **options)

    def run():
        for start in range(0, len(waves), BATCH):
            fbank(waves[start : start + BATCH])

    return run


def torchaudio_loop(waves):
    from torchaudio.compliance import kaldi

    def run():
        for wave in waves:
            kaldi.fbank(wave[None] * 32768, num_mel_bins=80, dither=0.0)

    return run


def native_loop(waves):
    import kaldi_native_fbank as native

    options = native.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 80
    arrays = [wave.numpy() * 32768 for wave in waves]

    def run():
        for wave in arrays:
            fbank = native.OnlineFbank(options)
            fbank.accept_waveform(RATE, wave)
            fbank.input_finished()
            np.stack([fbank.get_frame(place) for place in range(fbank.num_frames_ready)])

    return run


def lhotse_loop(waves):
    from lhotse.features.kaldi.layers import Wav2LogFilterBank

    layer = Wav2LogFilterBank(sampling_rate=RATE, num_filters=80, dither=0.0)

    def run():
        for wave in waves:
            layer(wave[None])

    return run


def contestants(waves):
    made = {
        "datakit, batches of 32": lambda: in_batches(waves),
        "datakit, `exact_fft=True`": lambda: in_batches(waves, exact_fft=True),
        "torchaudio, one by one": lambda: torchaudio_loop(waves),
        "kaldi-native-fbank, one by one": lambda: native_loop(waves),
        "lhotse, one by one": lambda: lhotse_loop(waves),
    }
    found = {}
    for name, make in made.items():
        try:
            found[name] = make()
        except ImportError:
            continue
    return found


def rows(waves, rounds):
    """Times real time of each, with the ratio to torchaudio of the same round."""
    seconds = sum(map(len, waves)) / RATE
    runs = contestants(waves)
    taken = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in runs if turn % 2 else reversed(list(runs)):
            start = perf_counter()
            runs[name]()
            if turn:  # the first warms up
                taken[name].append(perf_counter() - start)
    base = taken["torchaudio, one by one"]
    for name, times in taken.items():
        speed = [seconds / time for time in times]
        ratio = [slow / fast for slow, fast in zip(base, times, strict=True)]
        yield (
            f"| {name} | {statistics.median(speed) / 3600:.2f} | {statistics.median(speed):,.0f} × | "
            f"{statistics.median(ratio):.2f} ({min(ratio):.2f} – {max(ratio):.2f}) |"
        )


def peak_growth(waves):
    """MB that a pass over all batches adds to the peak of the process, beyond what one over the first did."""
    in_batches(waves[:BATCH])()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    in_batches(waves)()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def sections(quick):
    torch.set_num_threads(2)
    waves = utterances(100 if quick else 1000)
    lengths = np.array([len(wave) for wave in waves]) / RATE
    with torch.inference_mode():
        growth = peak_growth(waves)
        table = "\n".join(rows(waves, 2 if quick else 9))
    gpu = "" if torch.cuda.is_available() else "No GPU was at hand: there are no rows for one."
    return f"""## Kaldi's fbank

80 bands of {len(waves):,} real utterances at 16 kHz, {lengths.min():.2f} to {lengths.max():.1f} s long, median
{np.median(lengths):.2f} s, {lengths.sum() / 60:.1f} minutes together: spoken digits, the files of yesno,
a sentence of LJ Speech and one of LibriSpeech. Two threads, waveforms in memory; medians of interleaved
rounds, the ratio round by round with the
least and the greatest. lhotse does not compute the same values. A pass over all batches raised the peak of memory by
{growth:.1f} MB over one over the first. {gpu}

| | hours of sound a second | real time | times as fast as torchaudio |
| --- | --- | --- | --- |
{table}
"""


if __name__ == "__main__":
    script("features", sections)
