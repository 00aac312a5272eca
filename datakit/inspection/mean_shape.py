"""The mean shape of landmarks: what is left of them when place, size and direction do not count."""

from __future__ import annotations

import numpy as np

from datakit.inspection.survey import MeanShape

_ROUNDS, _CLOSE = 100, 1e-12


def mean_shape(shapes: np.ndarray) -> MeanShape | None:
    """The mean after generalised Procrustes analysis: moved, scaled and turned onto each other, not mirrored.

    Every shape is centred on 0 and scaled to centroid size 1. Then, until nothing changes, each is turned onto the
    mean, and the mean is taken anew (J. C. Gower, Generalized Procrustes analysis, Psychometrika 40, 1975). The result
    is turned to where the shapes point on average, and scaled, its spread with it, to centroid size 1.

    Args:
        shapes: (n, K, 2), x then y. Shapes with values that are not finite, or without any extent, are left out.

    Returns:
        None where no shape is left.
    """
    shapes = np.asarray(shapes, np.float64)
    shapes = _units(shapes[np.isfinite(shapes).all((1, 2))])
    if not len(shapes):
        return None
    mean = shapes[0]
    for _ in range(_ROUNDS):
        aligned = shapes @ _turns(shapes, mean)
        before, mean = mean, aligned.mean(0) / np.linalg.norm(aligned.mean(0))
        if np.linalg.norm(mean - before) < _CLOSE:
            break
    aligned = aligned @ _turns(mean, shapes.mean(0))
    mean = aligned.mean(0)
    unit = np.linalg.norm(mean)
    spread = np.sqrt(((aligned - mean) ** 2).sum(2).mean(0))
    return MeanShape(points=mean / unit, spread=spread / unit, count=len(shapes))


def _units(shapes: np.ndarray) -> np.ndarray:
    """Centred, of centroid size 1; without those that have no size."""
    largest = np.abs(shapes).max((1, 2), initial=0)
    shapes = shapes - shapes.mean(1, keepdims=True)
    sizes = np.sqrt((shapes**2).sum((1, 2)))
    has_size = sizes > 1e-9 * largest
    return np.asarray(shapes[has_size] / sizes[has_size, None, None])


def _turns(shapes: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The rotations (…, 2, 2) that bring shapes (…, K, 2) as near to `onto` (K, 2) as can be: `shapes @ rotations`.

    W. Kabsch, A solution for the best rotation to relate two sets of vectors, Acta Crystallographica A32, 1976; in the
    plane the singular value decomposition comes down to one angle.
    """
    x, y = shapes[..., 0], shapes[..., 1]
    angle = np.arctan2((x * onto[:, 1] - y * onto[:, 0]).sum(-1), (x * onto[:, 0] + y * onto[:, 1]).sum(-1))
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
