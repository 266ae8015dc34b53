"""Logistic regression, and how far a confidence is from the truth; for the benches that fit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RIDGE_SURE = 4.0


def fit_sure(signs: Floats, right: Floats) -> Floats:
    """Ridge-regularised logistic regression by Newton's method (Bishop 2006, section 4.3.3)."""
    ridge = np.eye(signs.shape[1]) * RIDGE_SURE
    ridge[-1, -1] = 0.0
    found = np.zeros(signs.shape[1])
    for _ in range(15):
        chance = 1 / (1 + np.exp(-np.clip(signs @ found, -30, 30)))
        slope = signs.T @ (chance - right) + ridge @ found
        curve = (signs.T * (chance * (1 - chance) + 1e-9)) @ signs + ridge
        found -= np.linalg.solve(curve, slope)
    return found


def expected_error(pairs: Sequence[Sequence[float]], bins: int = 10) -> float:
    """The expected calibration error of (confidence, right), in bins of equal counts.

    Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"
    (2015).
    """
    ranked = np.array(sorted(pairs), float)
    parts = [part for part in np.array_split(ranked, bins) if len(part)]
    away = [abs(float(part[:, 0].mean() - part[:, 1].mean())) * len(part) for part in parts]
    return sum(away) / max(1, len(ranked))
