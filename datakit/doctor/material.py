"""Tiny files, made in memory, for decoders to show that they work."""

from __future__ import annotations

import struct

RATE = 8000
FRAMES = 160


def wave() -> bytes:
    """A WAV of 160 frames, mono, 16 bits, 8 kHz: a saw."""
    samples = struct.pack(f"<{FRAMES}h", *(number % 40 * 500 - 10_000 for number in range(FRAMES)))
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return head + struct.pack("<4sI", b"data", len(samples)) + samples
