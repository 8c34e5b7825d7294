"""Answers and truths in, the figures of an evaluation out. Pure NumPy."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from inkstream.model.calibration import expected_calibration_error, log_loss

BINS = 15
Z_95 = 1.959964  # of the normal distribution: 95 % lie within
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """precision: of the answers that name it, recall: of the pictures that show it; None where there are none."""

    label: str
    pictures: int
    answered: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures whose confidence lies in low..high: how many, their mean confidence, the share that is right."""

    low: float
    high: float
    pictures: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """What `uncertain` would hold under this confidence: shares of the pictures and of the mistakes, 0..1."""

    threshold: float
    uncertain: float
    mistakes_caught: float
    accuracy_of_the_rest: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is measured. interval: Wilson's, 95 %. confusion: rows are truths, columns answers."""

    labels: tuple[str, ...]
    pictures: int
    wrong: int
    accuracy: float
    interval: tuple[float, float]
    log_loss: float
    ece: float
    threshold: Threshold
    thresholds: tuple[Threshold, ...]
    bins: tuple[Bin, ...]
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(probabilities: Array, truths: Array, labels: tuple[str, ...], threshold: float) -> Figures:
    """float32 (N, classes) probabilities, int (N,) truths, N at least 1, in; what they show out."""
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = answers == truths
    classes = len(labels)
    confusion = np.bincount(truths * classes + answers, minlength=classes * classes).reshape(classes, classes)
    steps = sorted({0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, round(threshold, 4)})
    return Figures(
        labels=labels,
        pictures=len(truths),
        wrong=int((~right).sum()),
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(truths)),
        log_loss=log_loss(probabilities, truths),
        ece=expected_calibration_error(probabilities, truths),
        threshold=_at(threshold, confidence, right),
        thresholds=tuple(_at(step, confidence, right) for step in steps),
        bins=_bins(confidence.astype(np.float64), right),
        classes=tuple(_class(label, place, confusion) for place, label in enumerate(labels)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
    )


def wilson_interval(right: int, pictures: int) -> tuple[float, float]:
    """The 95 % interval of a share. Source: Wilson, "Probable inference", JASA 22 (1927)."""
    share, z = right / pictures, Z_95
    middle = share + z * z / (2 * pictures)
    spread = z * math.sqrt(share * (1 - share) / pictures + z * z / (4 * pictures * pictures))
    scale = 1 + z * z / pictures
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def _at(threshold: float, confidence: Array, right: Array) -> Threshold:
    uncertain = confidence < np.float32(threshold)
    mistakes = int((~right).sum())
    rest = int((~uncertain).sum())
    return Threshold(
        threshold=threshold,
        uncertain=float(uncertain.mean()),
        mistakes_caught=int((uncertain & ~right).sum()) / mistakes if mistakes else 1.0,
        accuracy_of_the_rest=int((right & ~uncertain).sum()) / rest if rest else 1.0,
    )


def _bins(confidence: Array, right: Array) -> tuple[Bin, ...]:
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = []
    for place in np.unique(places):
        inside = places == place
        low, high = int(place) / BINS, (int(place) + 1) / BINS
        found.append(Bin(low, high, int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean())))
    return tuple(found)


def _class(label: str, place: int, confusion: Array) -> ClassFigures:
    pictures, answered = int(confusion[place].sum()), int(confusion[:, place].sum())
    right = int(confusion[place, place])
    f1 = 2 * right / (pictures + answered) if pictures + answered else None
    return ClassFigures(
        label,
        pictures,
        answered,
        right,
        right / answered if answered else None,
        right / pictures if pictures else None,
        f1,
    )
