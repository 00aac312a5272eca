"""Kaldi's features once more: NumPy, float64, frame by frame, written from Kaldi's C++ and from nothing else."""

import functools
import math

import numpy as np

EPS = float(np.finfo(np.float32).eps)
FRAME = {
    "sample_frequency": 16000.0, "frame_length": 25.0, "frame_shift": 10.0, "preemphasis_coefficient": 0.97,
    "remove_dc_offset": True, "window_type": "povey", "blackman_coeff": 0.42, "round_to_power_of_two": True,
    "snip_edges": True, "raw_energy": True, "energy_floor": 0.0,
}  # fmt: skip
MEL = {
    "num_mel_bins": 23, "low_freq": 20.0, "high_freq": 0.0, "vtln_low": 100.0, "vtln_high": -500.0, "vtln_warp": 1.0,
    "use_energy": False, "htk_compat": False,
}  # fmt: skip


def mel(hertz):
    return 1127.0 * math.log(1.0 + hertz / 700.0)


@functools.cache
def window(kind, size, blackman_coeff):
    values = []
    for i in range(size):
        a = 2 * math.pi * i / (size - 1)
        values.append(
            {
                "hanning": 0.5 - 0.5 * math.cos(a),
                "hamming": 0.54 - 0.46 * math.cos(a),
                "povey": (0.5 - 0.5 * math.cos(a)) ** 0.85,
                "sine": math.sin(a / 2),
                "rectangular": 1.0,
                "blackman": blackman_coeff - 0.5 * math.cos(a) + (0.5 - blackman_coeff) * math.cos(2 * a),
            }[kind]
        )
    return np.array(values)


def mirrored(at, length):
    while not 0 <= at < length:
        at = -at - 1 if at < 0 else 2 * length - 1 - at
    return at


def frames(wave, o):
    """Pairs of a processed window, padded, and its log energy."""
    size = int(o["sample_frequency"] * 0.001 * o["frame_length"])
    shift = int(o["sample_frequency"] * 0.001 * o["frame_shift"])
    points = 1
    while points < size:
        points *= 2
    points = points if o["round_to_power_of_two"] else size
    if o["snip_edges"]:
        count = 0 if len(wave) < size else 1 + (len(wave) - size) // shift
    else:
        count = (len(wave) + shift // 2) // shift
    for f in range(count):
        start = f * shift if o["snip_edges"] else shift * f + shift // 2 - size // 2
        x = np.array([wave[mirrored(start + s, len(wave))] for s in range(size)])
        if o["remove_dc_offset"]:
            x = x - x.sum() / size
        energy = math.log(max((x * x).sum(), EPS))
        c = o["preemphasis_coefficient"]
        x = x - c * np.append(x[0], x[:-1])
        x = np.concatenate((x * window(o["window_type"], size, o["blackman_coeff"]), np.zeros(points - size)))
        if not o["raw_energy"]:
            energy = math.log(max((x * x).sum(), EPS))
        if o["energy_floor"] > 0:
            energy = max(energy, math.log(o["energy_floor"]))
        yield x, energy


def power(x):
    return np.abs(np.fft.rfft(x)) ** 2


def warp(o, high, vtln_high, hertz):
    low, factor = o["low_freq"], o["vtln_warp"]
    if hertz < low or hertz > high:
        return hertz
    left, right = o["vtln_low"] * max(1.0, factor), vtln_high * min(1.0, factor)
    if hertz < left:
        return low + (left / factor - low) / (left - low) * (hertz - low)
    if hertz < right:
        return hertz / factor
    return high + (high - right / factor) / (high - right) * (hertz - high)


def bank(o, points):
    rate = o["sample_frequency"]
    high = o["high_freq"] if o["high_freq"] > 0 else rate / 2 + o["high_freq"]
    vtln_high = o["vtln_high"] + rate / 2 if o["vtln_high"] < 0 else o["vtln_high"]
    step = (mel(high) - mel(o["low_freq"])) / (o["num_mel_bins"] + 1)
    weights, centres = np.zeros((o["num_mel_bins"], points // 2 + 1)), []
    for b in range(o["num_mel_bins"]):
        edges = [mel(o["low_freq"]) + (b + k) * step for k in range(3)]
        if o["vtln_warp"] != 1.0:
            hertz = [700 * (math.exp(e / 1127.0) - 1) for e in edges]
            edges = [mel(warp(o, high, vtln_high, h)) for h in hertz]
        left, centre, right = edges
        centres.append(700 * (math.exp(centre / 1127.0) - 1))
        for i in range(points // 2):
            at = mel(rate / points * i)
            if left < at < right:
                weights[b, i] = (at - left) / (centre - left) if at <= centre else (right - at) / (right - centre)
    return weights, np.array(centres)


def spectrogram(wave, **options):
    o = {**FRAME, **options}
    rows = []
    for x, energy in frames(wave, o):
        row = np.log(np.maximum(power(x), EPS))
        row[0] = energy
        rows.append(row)
    return np.array(rows)


def fbank(wave, *, use_log_fbank=True, use_power=True, **options):
    o = {**FRAME, **MEL, **options}
    rows, weights = [], None
    for x, energy in frames(wave, o):
        weights = bank(o, len(x))[0] if weights is None else weights
        bands = weights @ (power(x) if use_power else np.sqrt(power(x)))
        bands = np.log(np.maximum(bands, EPS)) if use_log_fbank else bands
        if o["use_energy"]:
            bands = np.append(bands, energy) if o["htk_compat"] else np.append(energy, bands)
        rows.append(bands)
    return np.array(rows)


def lifted(o, row):
    q = o["cepstral_lifter"]
    return row * (1 + q / 2 * np.sin(np.pi * np.arange(len(row)) / q)) if q else row


def mfcc(wave, **options):
    o = {**FRAME, **MEL, "use_energy": True, "num_ceps": 13, "cepstral_lifter": 22.0, **options}
    rows, weights, n = [], None, o["num_mel_bins"]
    dct = np.sqrt(2 / n) * np.cos(np.pi / n * np.outer(np.arange(n), np.arange(n) + 0.5))
    dct[0] = np.sqrt(1 / n)
    for x, energy in frames(wave, o):
        weights = bank(o, len(x))[0] if weights is None else weights
        row = lifted(o, (dct @ np.log(np.maximum(weights @ power(x), EPS)))[: o["num_ceps"]])
        if o["use_energy"]:
            row[0] = energy
        if o["htk_compat"]:
            row = np.append(row[1:], row[0] * (1 if o["use_energy"] else math.sqrt(2)))
        rows.append(row)
    return np.array(rows)


def plp(wave, **options):
    o = {
        **FRAME, **MEL, "use_energy": True, "num_ceps": 13, "cepstral_lifter": 22.0, "lpc_order": 12,
        "compress_factor": 0.33333, "cepstral_scale": 1.0, **options,
    }  # fmt: skip
    rows, weights, order = [], None, o["lpc_order"]
    size = o["num_mel_bins"] + 2
    for x, energy in frames(wave, o):
        if weights is None:
            weights, centres = bank(o, len(x))
            square = centres**2
            loudness = (square / (square + 1.6e5)) ** 2 * ((square + 1.44e6) / (square + 9.61e6))
        heard = (weights @ power(x) * loudness) ** o["compress_factor"]
        heard = np.concatenate((heard[:1], heard, heard[-1:]))
        both = np.concatenate((heard, heard[-2:0:-1]))  # an even spectrum, whose inverse FFT is the autocorrelation
        correlation = np.fft.ifft(both).real[: order + 1]
        # the normal equations, which Durbin's recursion solves
        matrix = correlation[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
        lpc = -np.linalg.solve(matrix, correlation[1:])
        residual = correlation[0] + lpc @ correlation[1:]
        assert size == len(heard)
        # the logarithm of the impulse response of gain / (1 + sum a z^-k), by its power series
        cepstrum = np.zeros(order)
        for n in range(1, order + 1):
            cepstrum[n - 1] = -lpc[n - 1] - sum((n - k) * lpc[k - 1] * cepstrum[n - k - 1] for k in range(1, n)) / n
        row = np.append(max(math.log(residual), EPS), cepstrum)[: o["num_ceps"]]
        row = lifted(o, row) * o["cepstral_scale"]
        if o["use_energy"]:
            row[0] = energy
        if o["htk_compat"]:
            row = np.append(row[1:], row[0])
        rows.append(row)
    return np.array(rows)
