"""Answers and truths in; how far the confidences can be trusted, and what makes them trustworthy, out."""

from __future__ import annotations

from typing import Any

import numpy as np

from inkstream.model.engine import calibrated

Array = np.ndarray[Any, Any]
UNCERTAIN_SHARE = 0.016  # of clean pictures at most, which are up to 1.3 times as many of other hands: under 2 %
MISTAKES_CAUGHT = 0.9
_BINS = 15


def fit_temperature(logits: Array, labels: Array) -> float:
    """float32 (N, classes) logits and int (N,) labels in; the temperature, 0.05..20, with the least log-loss out."""
    low, high = np.log(0.05), np.log(20.0)
    for _ in range(4):  # log-loss has one minimum along the temperature: a grid, ever finer
        grid = np.linspace(low, high, 41)
        best = int(np.argmin([log_loss(calibrated(logits, float(np.exp(t))), labels) for t in grid]))
        low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    return round(float(np.exp((low + high) / 2)), 4)


def choose_threshold(probabilities: Array, labels: Array) -> float:
    """float32 (N, classes), int (N,) in; the confidence under which an answer is `uncertain` out.

    The lowest that catches nine mistakes of ten, but none that calls more than 1.6 % of the pictures uncertain.
    """
    confidence = probabilities.max(axis=1)
    mistakes = np.sort(confidence[probabilities.argmax(axis=1) != labels])
    most = float(np.quantile(confidence, UNCERTAIN_SHARE))
    if not len(mistakes):
        return round(most, 4)
    caught = float(mistakes[int(np.ceil(MISTAKES_CAUGHT * len(mistakes))) - 1])
    return round(min(caught + 1e-4, most), 4)


def log_loss(probabilities: Array, labels: Array) -> float:
    """Mean of -log of what the true class was given."""
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def expected_calibration_error(probabilities: Array, labels: Array) -> float:
    """How far confidence and accuracy lie apart, over 15 bins of confidence weighted by their pictures: 0..1."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    gaps = np.abs(np.bincount(bins, right, _BINS) - np.bincount(bins, confidence, _BINS))
    return float(gaps.sum() / max(1, counts.sum()))
