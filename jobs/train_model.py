"""A prepared data set, or a folder of MNIST's IDX files, in; a calibrated model bundle out, trained on this machine."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from inkstream.dataset.training_data import IMITATIONS, STRANGERS, open_training_data, with_made_pictures
from inkstream.dataset.watching import bundle_table, watched
from inkstream.errors import InkstreamError
from inkstream.model.bundle import Bundle, load_bundle
from inkstream.model.examples import TrainingData
from inkstream.model.fitting import Plan
from inkstream.model.recipes import RECIPES, recipe_named
from inkstream.model.training import run_folder, train_bundle


def run(
    data: TrainingData,
    labels: list[str],
    plan: Plan,
    out: Path,
    console: Console,
    *,
    fresh: bool = False,
    taught_by: Sequence[Bundle] = (),
) -> Bundle:
    """Train with a progress bar that shows loss and accuracy; the written bundle out."""
    with watched(plan.settled(), console) as on_step:
        return train_bundle(data, labels, plan, out, on_step, fresh=fresh, taught_by=taught_by)


def main(argv: list[str] | None = None) -> int:
    """The job's command line; returns its exit status."""
    arguments = _parser().parse_args(argv)
    console = Console()
    try:
        taught_by = [load_bundle(folder) for folder in arguments.teacher]
        data, labels = open_training_data(arguments.data)
        made = _made(arguments)
        data = with_made_pictures(data, *made, arguments.seed, console)
        augmented = False if arguments.no_augment else None
        rate, batch = arguments.learning_rate, arguments.batch
        plan = Plan(arguments.recipe, arguments.epochs, arguments.seed, augmented, batch, rate, arguments.patience)
        bundle = run(data, labels, plan, arguments.out, console, fresh=arguments.fresh, taught_by=taught_by)
    except InkstreamError as error:
        if arguments.debug:
            traceback.print_exception(error)
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}", markup=False)
        return error.exit_status
    console.print(bundle_table(bundle))
    console.print(f"{arguments.out}: version {bundle.version[:12]}; its checkpoints, TensorBoard logs and learning")
    console.print(f"curve are in {run_folder(arguments.out)}")
    return 0


def _made(arguments: argparse.Namespace) -> tuple[int, int]:
    """How many imitations and strangers; where the pictures are learnt as they are, none unless they are asked for."""
    wanted = recipe_named(arguments.recipe).augmented and not arguments.no_augment
    made = zip((arguments.imitations, arguments.strangers), (IMITATIONS, STRANGERS), strict=True)
    imitations, strangers = (usual * wanted if asked is None else asked for asked, usual in made)
    return imitations, strangers


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train_model.py", description=__doc__)
    parser.add_argument("--data", required=True, help="a prepared data set, or a folder of MNIST's four IDX files")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder; must not exist")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="cnn")
    parser.add_argument("--epochs", type=int, default=0, help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--imitations", type=int, help=f"of uploads; default: {IMITATIONS} where it augments")
    parser.add_argument("--strangers", type=int, help=f"what is no digit; default: {STRANGERS} where it augments")
    parser.add_argument("--batch", type=int, default=0, help="pictures a step; default: the recipe's")
    parser.add_argument("--learning-rate", type=float, default=0.0, help="default: the recipe's")
    parser.add_argument("--patience", type=int, default=-1, help="epochs without a better one; 0: to the end")
    parser.add_argument(
        "--teacher",
        type=Path,
        action="append",
        default=[],
        help="a bundle whose answers are learnt beside the labels; again: the mean of several",
    )
    parser.add_argument("--no-augment", action="store_true", help="learn from the pictures as they are")
    parser.add_argument("--fresh", action="store_true", help="throw away what a killed training of this bundle left")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
