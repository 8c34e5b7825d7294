"""Labelled pictures: what a training learns from, what it holds back, and the hash that says which they were."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
NO_DIGIT = -1  # the label of a picture that is learnt from, but is none of the classes
HELD_BACK = 5000  # pictures of the training set that only choose and calibrate


@dataclass(frozen=True, slots=True)
class Labelled:
    """pixels: uint8 (N, H, W) or (N, H, W, C), 0..255, prepared. labels: int64 (N,), 0..classes-1 or NO_DIGIT."""

    pixels: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: Array) -> Labelled:
        return Labelled(self.pixels[rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class TrainingData:
    """train is learnt from, held chooses the epoch and calibrates, test only measures.

    extra: made pictures (imitations, what is no digit), learnt from too. source: what `prepare` recorded, or nothing.
    """

    train: Labelled
    held: Labelled
    test: Labelled
    extra: Labelled | None = None
    source: str = ""

    def digest(self) -> str:
        """sha256 (hex) of every picture and label, in their order and part."""
        digest = hashlib.sha256()
        for part in (self.train, self.held, self.test, *([self.extra] if self.extra else [])):
            digest.update(np.ascontiguousarray(part.pixels).tobytes())
            digest.update(part.labels.astype("<i8").tobytes())
        return digest.hexdigest()


def joined(parts: Sequence[Labelled]) -> Labelled:
    """One or more in, all their pictures in that order out."""
    return Labelled(np.concatenate([part.pixels for part in parts]), np.concatenate([part.labels for part in parts]))


def split_held(everything: Labelled) -> tuple[Labelled, Labelled]:
    """All training pictures in; those to learn from and the held-back ones out.

    Held back are the last tenth of each label, of many pictures less, and of a label with two or more at least one: a
    set's files run through one writer after another, as MNIST's do, and a hand that was learnt from says little of how
    others are read.
    """
    share = min(HELD_BACK / len(everything), 0.1) if len(everything) else 0.0
    last = np.zeros(len(everything), bool)
    for label in np.unique(everything.labels):
        rows = np.flatnonzero(everything.labels == label)
        count = max(int(share * len(rows)), min(1, len(rows) - 1))
        last[rows[len(rows) - count :]] = True
    return everything.at(np.flatnonzero(~last)), everything.at(np.flatnonzero(last))
