"""Waveforms and spectrograms with axes, and what can be listened to."""
