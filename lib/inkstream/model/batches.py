"""Training pictures in, a Keras data set out: each epoch all of them in a new order, augmented anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from inkstream.model.augment import SIDE, augment
from inkstream.model.examples import NO_DIGIT, TrainingData
from inkstream.model.teaching import Teacher

CALM = 0.85  # of the epochs: from then on half as many pictures are augmented, so that the last look is at real ones
UNTOUCHED, UNTOUCHED_EXTRA = 0.2, 0.5  # shares that are not augmented: the model is to know the pictures themselves too
Array = np.ndarray[Any, Any]


def open_batches(
    keras: Any,
    data: TrainingData,
    classes: int,
    *,
    size: int,
    seed: int,
    augmented: bool,
    epochs: int,
    teacher: Teacher | None = None,
) -> Any:
    """A keras.utils.PyDataset of float32 (size, *shape), 0..255, and float32 (size, classes): one-hot, NO_DIGIT even.

    Of what is no digit the network is to say that it does not know (outlier exposure, Hendrycks et al. 2019); of the
    others a part of what the teacher says, where there is one.

    `start_at(epoch)` puts it where a training goes on. The same for the same seed, whoever asked before.
    """
    extra = data.extra or data.train.at(np.arange(0))
    pixels = np.concatenate([data.train.pixels, extra.pixels])
    labels = np.concatenate([data.train.labels, extra.labels])
    drawn = len(data.train)
    answers = np.eye(classes + 1, classes, dtype=np.float32)
    answers[NO_DIGIT] = 1 / classes
    changes = augmented and pixels.shape[1:] == (SIDE, SIDE)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(workers=1)
            self.start_at(0)

        def __len__(self) -> int:
            return max(1, len(labels) // size)

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            rows = self._order[index * size : (index + 1) * size]
            chosen = pixels[rows]
            if changes:
                rng = np.random.default_rng((seed, self.epoch, index))
                as_they_are = np.where(rows < drawn, UNTOUCHED, UNTOUCHED_EXTRA)
                if self.epoch >= CALM * epochs:
                    as_they_are = (1 + as_they_are) / 2
                others = np.flatnonzero(rng.random(len(rows)) >= as_they_are)
                chosen[others] = augment(chosen[others], rng)
            wanted = answers[labels[rows]]
            if teacher is not None:
                digits = labels[rows] != NO_DIGIT
                wanted[digits] = teacher.answers(chosen[digits], wanted[digits])
            return chosen.astype(np.float32), wanted

        def on_epoch_end(self) -> None:
            self.start_at(self.epoch + 1)

        def start_at(self, epoch: int) -> None:
            self.epoch = epoch
            self._order = np.random.default_rng((seed, epoch)).permutation(len(labels))

    return Batches()
