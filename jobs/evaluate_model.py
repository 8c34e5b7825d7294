"""A bundle and labelled pictures -> answers on the workers -> figures, a page and JSON; or follows a training."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from inkstream.dataset.files import SparkFiles
from inkstream.dataset.reading import read_split
from inkstream.dataset.showing import shown
from inkstream.dataset.sources import open_claimed, open_corrections, open_evaluated, union_of
from inkstream.evaluation.answering import answer_pictures
from inkstream.evaluation.measuring import Figures, measure
from inkstream.evaluation.page import evaluation_json, evaluation_page
from inkstream.evaluation.summary import figures_tables, watch_line
from inkstream.evaluation.watching import watch_checkpoints
from inkstream.job_errors import exit_status_of
from inkstream.model.bundle import Bundle, load_bundle, shipped_bundle
from inkstream.settings import ImageSettings, Settings, load_settings
from inkstream.spark import build_session


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open bundle and sources, evaluate, show what came of it."""
    arguments = _parser().parse_args(argv)
    logging.getLogger("py4j").setLevel(logging.INFO if arguments.debug else logging.CRITICAL)
    console = Console(highlight=False)
    try:
        if arguments.watch:
            return _watch(arguments, console)
        _evaluate(arguments, load_settings(), console)
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return 0


def _evaluate(arguments: argparse.Namespace, settings: Settings, console: Console) -> None:
    bundle = load_bundle(arguments.model or settings.model.bundle or shipped_bundle())
    stored = arguments.corrections or arguments.claimed
    spark = build_session(settings, "inkstream-evaluate", cassandra=stored)
    sources = [open_evaluated(spark, path, arguments.split) for path in arguments.sources]
    sources += [open_corrections(spark, settings)] if arguments.corrections else []
    sources += [open_claimed(spark, settings)] if arguments.claimed else []
    named = [*arguments.sources, *(["corrections"] * arguments.corrections), *(["claimed"] * arguments.claimed)]
    figures = run(spark, union_of(sources), bundle, settings.image, named, arguments.out, console)
    for table in figures_tables(figures):
        console.print(table)
    console.print(f"{arguments.out}/evaluation.html has it all, with the worst mistakes; evaluation.json for programs")
    spark.stop()


def run(
    spark: SparkSession,
    pictures: DataFrame,
    bundle: Bundle,
    limits: ImageSettings,
    sources: list[str],
    out: str,
    console: Console,
) -> Figures:
    """Labelled pictures in; evaluation.html and evaluation.json in the folder `out`, and the figures, out."""
    with shown(spark, console, "answering the pictures"):
        answers = answer_pictures(spark, pictures, bundle, limits)
    figures = measure(answers.probabilities, answers.truths, bundle.labels, bundle.threshold)
    files = SparkFiles(spark)
    files.write(f"{out}/evaluation.html", evaluation_page(figures, answers, bundle, sources))
    files.write(f"{out}/evaluation.json", evaluation_json(figures, answers, bundle, sources))
    return figures


def _watch(arguments: argparse.Namespace, console: Console) -> int:
    data, labels = read_split(arguments.sources[0], arguments.split)
    for epoch, figures in watch_checkpoints(Path(arguments.watch), data, tuple(labels), lambda: not arguments.once):
        console.print(watch_line(epoch, figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evaluate_model.py", description=__doc__)
    parser.add_argument("sources", nargs="*", help="Spark paths: what prepare made, IDX or labelled folders, CSV")
    parser.add_argument("--model", default="", help="a bundle's folder; default: the setting, else the shipped one")
    parser.add_argument("--out", default="evaluation", help="a Spark path; the folder of page and JSON")
    parser.add_argument("--split", default="test", choices=["train", "held", "test"], help="of a prepared data set")
    parser.add_argument("--corrections", action="store_true", help="stored pictures that people corrected")
    parser.add_argument("--claimed", action="store_true", help="stored pictures with their uploaders' own labels")
    parser.add_argument("--watch", default="", help="a training's folder: follow its checkpoints as they come")
    parser.add_argument("--once", action="store_true", help="with --watch: those that are there, then stop")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
