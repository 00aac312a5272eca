"""What happens to pictures, sounds and texts on their way through the web: copies that are nearly the same."""

import io
import unicodedata

import numpy as np
import torch
from PIL import Image


def through(suffix, **options):
    """A picture (H, W, C) written in this format, and read again."""

    def altered(pixels):
        file = io.BytesIO()
        picture(pixels).save(file, suffix, **options)
        return array(Image.open(file))

    return altered


def resized(factor, method=Image.Resampling.BICUBIC):
    """At another size."""
    return lambda pixels: array(
        picture(pixels).resize([max(1, round(side * factor)) for side in pixels.shape[1::-1]], method)
    )


def curve(function):
    """Other grey values, by a function of [0, 1]."""
    table = (np.clip(function(np.arange(256) / 255), 0, 1) * 255).round().astype(np.uint8)
    return lambda pixels: table[pixels]


def cut(share):
    """Without this share of each side, a pixel at least."""

    def altered(pixels):
        height, width = pixels.shape[:2]
        y, x = max(1, round(height * share)), max(1, round(width * share))
        return pixels[y : height - y, x : width - x]

    return altered


def framed(share, value):
    """With a border of this share of each side, a pixel at least."""

    def altered(pixels):
        height, width = pixels.shape[:2]
        y, x = max(1, round(height * share)), max(1, round(width * share))
        return np.pad(pixels, ((y, y), (x, x), (0, 0)), constant_values=value)

    return altered


def greyed(pixels):
    """Without colour, in as many channels."""
    return np.repeat(array(picture(pixels).convert("L")), pixels.shape[2], 2)


def grainy(pixels):
    """With noise, a standard deviation of 4 of 255."""
    noise = np.random.default_rng(len(pixels)).normal(0, 4, pixels.shape)
    return np.clip(pixels + noise, 0, 255).round().astype(np.uint8)


def picture(pixels):
    """As Pillow has it."""
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def array(image):
    """(H, W, C)."""
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


PICTURES = {
    "JPEG, quality 95": through("JPEG", quality=95),
    "JPEG, quality 75": through("JPEG", quality=75),
    "JPEG, quality 50": through("JPEG", quality=50),
    "WebP, quality 75": through("WEBP", quality=75),
    "half the size": resized(0.5),
    "twice the size": resized(2),
    "0.8 of the size": resized(0.8),
    "brighter": curve(lambda value: value + 0.1),
    "more contrast": curve(lambda value: (value - 0.5) * 1.2 + 0.5),
    "gamma 1.25": curve(lambda value: value**1.25),
    "in grey": greyed,
    "noise": grainy,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "turned by 90°": np.rot90,
    "border of 2 %": framed(0.02, 0),
    "crop of 2 % a side": cut(0.02),
    "crop of 4 % a side": cut(0.04),
    "mirrored, half, JPEG 75": lambda pixels: through("JPEG", quality=75)(resized(0.5)(pixels)[:, ::-1]),
}
"""Functions of pixels (H, W, C), uint8."""


def companded(wave, rate):
    """In 8 bits of mu-law."""
    import torchaudio

    codes = torchaudio.functional.mu_law_encoding(wave, 256)
    return torchaudio.functional.mu_law_decoding(codes, 256), rate


def at_rate(new):
    """At another rate."""

    def altered(wave, rate):
        import torchaudio

        return torchaudio.functional.resample(wave, rate, new), new

    return altered


def padded(before, after):
    """With silence, s."""
    return lambda wave, rate: (torch.nn.functional.pad(wave, (int(before * rate), int(after * rate))), rate)


def trimmed(wave, rate):
    """Without what is nearly silent at its ends, and at most 0.5 s of it."""
    loud = torch.nonzero(wave.abs().amax(0) > 0.02 * wave.abs().max()).ravel()
    most = int(0.5 * rate)
    return wave[:, min(int(loud[0]), most) : max(int(loud[-1]) + 1, wave.shape[1] - most)], rate


def noisy(decibels):
    """With white noise, at this ratio of signal to noise."""

    def altered(wave, rate):
        noise = torch.randn(wave.shape, generator=torch.Generator().manual_seed(wave.shape[1]))
        return wave + noise * wave.std() * 10 ** (-decibels / 20), rate

    return altered


def coded(suffix):
    """Written in a lossy format, and read again."""

    def altered(wave, rate):
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, wave.T.numpy(), rate, format=suffix)
        file.seek(0)
        values, rate = soundfile.read(file, dtype="float32", always_2d=True)
        return torch.from_numpy(np.ascontiguousarray(values.T)), rate

    return altered


SOUNDS = {
    "a tenth as loud": lambda wave, rate: (wave / 10, rate),
    "louder by 6 dB, clipped": lambda wave, rate: ((wave / wave.abs().max() * 1.5).clamp(-1, 1), rate),
    "8-bit mu-law": companded,
    "MP3": coded("MP3"),
    "Ogg Vorbis": coded("OGG"),
    "at 16 kHz": at_rate(16_000),
    "at 11,025 Hz": at_rate(11_025),
    "at 6 kHz": at_rate(6_000),
    "0.3 s of silence before": padded(0.3, 0),
    "0.5 s of silence before and after": padded(0.5, 0.5),
    "silence cut off": trimmed,
    "noise, 30 dB": noisy(30),
    "two channels": lambda wave, rate: (wave.repeat(2, 1), rate),
}
"""Functions of a waveform (C, T) and its rate."""


def with_words_changed(count):
    """With as many words replaced, spread over it."""

    def altered(text):
        words = text.split()
        for place in np.linspace(1, len(words) - 2, count).astype(int):
            words[place] = "otherwise"
        return " ".join(words)

    return altered


def without_a_word(text):
    """A word in its middle is missing."""
    words = text.split()
    return " ".join(words[: len(words) // 2] + words[len(words) // 2 + 1 :])


TEXTS = {
    "in capitals": str.upper,
    "other blanks": lambda text: "  ".join(text.split()) + "\n",
    "without punctuation": lambda text: "".join(char for char in text if char.isalnum() or char in " '"),
    "decomposed (NFD)": lambda text: unicodedata.normalize("NFD", text),
    "a word left out": without_a_word,
    "a word changed": with_words_changed(1),
    "two words changed": with_words_changed(2),
}
"""Functions of a text."""
