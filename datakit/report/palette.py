"""The colours of plots."""

INK, SOFT, PALE, GRID, ACCENT = "#1d2327", "#5d6870", "#b9c2c5", "#e3e5e4", "#0b6e69"
"""Letters, lesser letters, what is of no weight, grid lines, the colour of datakit."""

COLOURS = (ACCENT, "#c1572b", "#4a5fa5", "#8a6d1f", "#8b3f7a", "#4d7c3a")
"""Of the lines of a plot, in their order."""

WRONG = (193, 87, 43)
"""Of letters and frames, RGB: what a model took for something else."""
