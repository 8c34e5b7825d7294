"""A folder of MNIST's IDX files in, a calibrated model bundle out (Keras and LiteRT), trained on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from inkstream.errors import InkstreamError
from inkstream.image.idx import pictures_and_labels
from inkstream.model.bundle import Bundle
from inkstream.model.examples import NO_DIGIT, Labelled, TrainingData, joined, split_held
from inkstream.model.fitting import Plan, Step
from inkstream.model.imitations import prepared_imitations
from inkstream.model.recipes import RECIPES
from inkstream.model.strangers import prepared_strangers
from inkstream.model.training import train_bundle


def run(data: TrainingData, plan: Plan, out: Path, console: Console) -> Bundle:
    """Train with a progress bar that shows loss and accuracy; the written bundle out."""
    labels = [str(label) for label in range(10)]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    epochs = plan.settled().epochs
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=None)

        def show(step: Step) -> None:
            progress.update(
                task,
                total=epochs * step.batches,
                completed=step.epoch * step.batches + step.batch,
                description=f"epoch {step.epoch + 1}/{epochs}  loss {step.loss:.4f}  accuracy {step.accuracy:.4f}",
            )
            if step.end is not None:
                held = f"held-back accuracy {step.end.held_accuracy:.4f}"
                console.print(f"epoch {step.epoch + 1}: loss {step.loss:.4f}, accuracy {step.accuracy:.4f}, {held}")

        return train_bundle(data, labels, plan, out, show)


def read_data(folder: Path, imitations: int, strangers: int, seed: int, console: Console) -> TrainingData:
    """The folder's training and test pictures; made beside them: imitations of uploads, and what is no digit."""
    train, held = split_held(_labelled(folder, "train"), seed)
    made = []
    if imitations:
        with _counting("imitating uploads", imitations, console) as count:
            made.append(Labelled(*prepared_imitations(train.pixels, train.labels, imitations, seed, count)))
    if strangers:
        with _counting("drawing what is no digit", strangers, console) as count:
            pixels = prepared_strangers(strangers, seed, count)
            made.append(Labelled(pixels, np.full(len(pixels), NO_DIGIT)))
    return TrainingData(train, held, _labelled(folder, "test"), joined(made) if made else None)


@contextmanager
def _counting(what: str, total: int, console: Console) -> Iterator[Callable[[int], None]]:
    with Progress(console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda made: progress.update(task, completed=made)


def _labelled(folder: Path, split: str) -> Labelled:
    pixels, labels = pictures_and_labels(folder, split)
    return Labelled(pixels, labels.astype(np.int64))


def main(argv: list[str]) -> int:
    """The job's command line; returns its exit status."""
    parser = argparse.ArgumentParser(prog="train_model.py", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's four IDX files")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder; must not exist")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="cnn")
    parser.add_argument("--epochs", type=int, default=0, help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--imitations", type=int, default=30_000, help="pictures made to look like uploads; 0: none")
    parser.add_argument("--strangers", type=int, default=12_000, help="pictures of what is no digit; 0: none")
    parser.add_argument("--batch", type=int, default=0, help="pictures a step; default: the recipe's")
    parser.add_argument("--no-augment", action="store_true", help="learn from the pictures as they are")
    options = parser.parse_args(argv)
    console = Console()
    data = read_data(options.data, options.imitations, options.strangers, options.seed, console)
    plan = Plan(options.recipe, options.epochs, options.seed, False if options.no_augment else None, options.batch)
    bundle = run(data, plan, options.out, console)
    test = bundle.metrics["test"]
    console.print(
        f"{options.out}: version {bundle.version[:12]}, {test['wrong']} of {test['pictures']} test pictures wrong"
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InkstreamError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}")
        sys.exit(error.exit_status)
