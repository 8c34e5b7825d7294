"""Digits drawn from strokes, for trainings that take seconds."""

from __future__ import annotations

import numpy as np

from inkstream.image.normalise import normalise
from inkstream.model.drawn import draw
from inkstream.model.examples import Labelled


def drawings(count: int, seed: int) -> Labelled:
    """Prepared pictures of 0, 1 and 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return Labelled(np.stack([normalise(draw(int(label), rng)).pixels for label in labels]), labels)
