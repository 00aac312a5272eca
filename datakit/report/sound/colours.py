"""The colours of a spectrogram: from dark to bright, even steps for the eye, also for the colour-blind."""

from __future__ import annotations

import base64
from functools import cache

import numpy as np
from PIL import Image

from datakit.report.output import png


@cache
def _palette() -> bytes:
    """Magma, 256 times RGB."""
    from matplotlib import colormaps

    return bytes(np.ascontiguousarray(colormaps["magma"](np.arange(256), bytes=True)[:, :3]).tobytes())


def coloured(raster: np.ndarray) -> Image.Image:
    """An image of 256 colours from places in the palette, (H, W), uint8."""
    image = Image.frombytes("P", raster.shape[::-1], np.ascontiguousarray(raster).tobytes())
    image.putpalette(_palette())
    return image


def data_uri(raster: np.ndarray) -> str:
    """That image as a PNG for an `image` element."""
    return f"data:image/png;base64,{base64.b64encode(png(coloured(raster))).decode('ascii')}"


BAR = np.arange(255, -1, -1, dtype=np.uint8)[:, None]
"""All colours, the brightest first: (256, 1)."""


@cache
def bar_uri() -> str:
    """`BAR` as `data_uri` has it: the same beside every spectrogram."""
    return data_uri(BAR)
