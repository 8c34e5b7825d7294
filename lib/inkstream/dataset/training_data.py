"""What a training is given: a prepared data set or a folder of IDX files in, its three parts and made pictures out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from inkstream.dataset.reading import is_prepared_data, read_training_data
from inkstream.errors import SettingError
from inkstream.image.idx import pictures_and_labels
from inkstream.model.examples import NO_DIGIT, Labelled, TrainingData, joined, split_held
from inkstream.model.imitations import prepared_imitations
from inkstream.model.strangers import prepared_strangers

IMITATIONS, STRANGERS = 30_000, 15_000  # made pictures, where a training does not say how many


def open_training_data(path: str) -> tuple[TrainingData, list[str]]:
    """What lies at `path`, and its labels in their order.

    Raises:
        SettingError: neither a prepared data set nor MNIST's four IDX files, or too few pictures to hold one back.
        SchemaError: it is damaged.
    """
    if is_prepared_data(path):
        return read_training_data(path)
    train, held = split_held(_labelled(Path(path), "train"))
    if not len(held):
        raise SettingError(f"{path} has no label with two training pictures, one of them to be held back; add some")
    return TrainingData(train, held, _labelled(Path(path), "test")), [str(digit) for digit in range(10)]


def with_made_pictures(
    data: TrainingData, imitations: int, strangers: int, seed: int, console: Console
) -> TrainingData:
    """The data with pictures made beside them: imitations of uploads, and what is no digit. 0: none."""
    made = [data.extra] if data.extra else []
    if imitations:
        with _counting("imitating uploads", imitations, console) as count:
            pixels, labels = prepared_imitations(data.train.pixels, data.train.labels, imitations, seed, count)
            made.append(Labelled(pixels, labels))
    if strangers:
        with _counting("drawing what is no digit", strangers, console) as count:
            pixels = prepared_strangers(strangers, seed, count)
            made.append(Labelled(pixels, np.full(len(pixels), NO_DIGIT)))
    return replace(data, extra=joined(made) if made else None)


@contextmanager
def _counting(what: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    with Progress(console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda made: progress.update(task, completed=made)


def _labelled(folder: Path, split: str) -> Labelled:
    pixels, labels = pictures_and_labels(folder, split)
    return Labelled(pixels, labels.astype(np.int64))
