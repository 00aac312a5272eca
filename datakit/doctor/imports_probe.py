"""Stages of a child process that import what datakit requires, and decode something with what decodes."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

from datakit.doctor.material import FRAMES, RATE


def load(module: str) -> str:
    """Import a module: where it was found."""
    return str(getattr(import_module(module), "__file__", "") or "")


def pillow() -> dict[str, Any]:
    """Write and read a picture of 16 x 16 in every format that Pillow can have: what went wrong, by format."""
    import PIL
    from PIL import Image, features

    picture = Image.linear_gradient("L").resize((16, 16)).convert("RGB")
    formats = {name: _decoded(picture, name) for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP")}
    turbo = features.version("libjpeg_turbo") if features.check("libjpeg_turbo") else None
    return {"version": PIL.__version__, "formats": formats, "libjpeg_turbo": turbo}


def _decoded(picture: Any, kind: str) -> str:
    """What goes wrong with a format; empty where it comes back."""
    from PIL import Image

    file = io.BytesIO()
    try:
        picture.save(file, kind)
        file.seek(0)
        with Image.open(file, formats=(kind,)) as image:
            image.load()
            return "" if image.size == picture.size else f"comes back as {image.size}"
    except Exception as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__


def soundfile() -> dict[str, Any]:
    """Write and read 20 ms of sound in every format that datakit reads: what went wrong, by format."""
    import soundfile

    formats = {"WAV": "PCM_16", "FLAC": "PCM_16", "OGG": "VORBIS", "OGG Opus": "OPUS", "MP3": "MPEG_LAYER_III"}
    return {
        "version": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
        "formats": {name: _heard(name.split()[0], subtype) for name, subtype in formats.items()},
    }


def _heard(kind: str, subtype: str) -> str:
    """What goes wrong with a format; empty where it comes back."""
    import numpy as np
    import soundfile

    file, count = io.BytesIO(), 50 * FRAMES
    try:
        soundfile.write(file, np.zeros(count, np.float32), RATE, subtype=subtype, format=kind)
        file.seek(0)
        values, rate = soundfile.read(file)
        return "" if len(values) >= count and rate == RATE else f"comes back with {len(values)} of {count} frames"
    except Exception as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__


def pycocotools() -> str:
    """Measure a mask of 2 x 2 with the compiled part of pycocotools."""
    import numpy as np
    from pycocotools import mask

    area = int(mask.area(mask.encode(np.asfortranarray(np.ones((2, 2), np.uint8)))))
    if area != 4:
        raise ValueError(f"a mask of 4 pixels has the area {area}")
    return str(mask.__file__)


def tokenizers() -> str:
    """Import tokenizers and make an empty one."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    Tokenizer(WordLevel({"a": 0}, unk_token="a"))
    return str(load("tokenizers"))
