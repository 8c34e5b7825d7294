"""Trained bundles in; what a smaller network is to answer, out: a part the truth, a part their own mean answer.

Which other classes a picture looks like, and how much, is what the larger network has found out and a label does not
say. Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015 (arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inkstream.errors import BundleError
from inkstream.model.bundle import Bundle
from inkstream.model.engine import open_engine

TAUGHT = 0.7  # the share of the teacher's answer
TEMPERATURE = 2.0  # what its answers are softened by: as sure as they are, hardly anything is left of the other classes
Array = np.ndarray[Any, Any]


class Teacher:
    """The bundles, asked about each picture as it is learnt from: augmented ones too."""

    def __init__(self, bundles: Sequence[Bundle], labels: list[str], input_shape: tuple[int, ...]) -> None:
        """One bundle or more. Raises BundleError where one answers other labels, or takes pictures of another shape."""
        for bundle in bundles:
            if list(bundle.labels) != labels or bundle.input_shape != input_shape:
                raise BundleError(
                    f"the teacher {bundle.version[:12]} answers {', '.join(bundle.labels)} for {bundle.input_shape}; "
                    f"the data has {', '.join(labels)} for {input_shape}: train the teacher on the same data first"
                )
        self._engines = [open_engine(bundle) for bundle in bundles]

    def answers(self, pixels: Array, truths: Array) -> Array:
        """uint8 (N, *input_shape), 0..255, and float32 (N, classes), one-hot, in; float32 (N, classes), sums 1, out."""
        if not len(pixels):
            return truths
        said = np.mean([engine.predict(pixels) for engine in self._engines], axis=0)
        softened = said ** np.float32(1 / TEMPERATURE)
        softened /= softened.sum(axis=1, keepdims=True)
        mixed: Array = (1 - TAUGHT) * truths + TAUGHT * softened
        return mixed.astype(np.float32)
