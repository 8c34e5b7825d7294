"""Digits drawn from strokes, for trainings that take seconds, and those that the shipped bundle is checked by."""

from __future__ import annotations

from typing import Any

import numpy as np

from inkstream.image.normalise import normalise
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.drawn import draw
from inkstream.model.examples import Labelled


def drawings(count: int, seed: int) -> Labelled:
    """Prepared pictures of 0, 1 and 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return Labelled(np.stack([normalise(draw(int(label), rng)).pixels for label in labels]), labels)


def golden() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The shipped bundle's golden pictures, and the digits that it reads in them."""
    kept = load_bundle(shipped_bundle()).golden
    assert kept is not None
    return kept.pixels, kept.probabilities.argmax(axis=1)
