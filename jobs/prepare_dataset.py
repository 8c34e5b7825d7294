"""Labelled pictures -> decode, normalise, drop doubles, split, augment -> Parquet, a manifest, a contact sheet."""

from __future__ import annotations

import argparse
import logging
import sys

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from inkstream.dataset.building import Recipe, read_pictures
from inkstream.dataset.manifest import CONTACT_SHEET, Manifest
from inkstream.dataset.showing import shown
from inkstream.dataset.sources import open_claimed, open_corrections, open_source, union_of
from inkstream.dataset.summary import manifest_tables
from inkstream.dataset.writing import require_new, write_data_set
from inkstream.job_errors import exit_status_of
from inkstream.settings import ImageSettings, load_settings
from inkstream.spark import build_session

TASKS_A_CORE = 4


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open the sources, prepare, show what came of it."""
    arguments = _parser().parse_args(argv)
    logging.getLogger("py4j").setLevel(logging.INFO if arguments.debug else logging.CRITICAL)
    try:
        settings = load_settings()
        stored = arguments.corrections or arguments.claimed
        spark = build_session(settings, "inkstream-prepare", cassandra=stored)
        require_new(spark, arguments.out, replace=arguments.replace)
        sources = [open_source(spark, path) for path in arguments.sources]
        sources += [open_corrections(spark, settings)] if arguments.corrections else []
        sources += [open_claimed(spark, settings)] if arguments.claimed else []
        named = [*arguments.sources, *(["corrections"] * arguments.corrections), *(["claimed"] * arguments.claimed)]
        labels = tuple(arguments.labels.split(","))
        recipe = Recipe(labels, arguments.held, arguments.test, arguments.augment, arguments.seed)
        console = Console()
        manifest = run(spark, union_of(sources), settings.image, recipe, named, arguments.out, console)
        for table in manifest_tables(manifest):
            console.print(table)
        console.print(f"{arguments.out}: data {manifest.sha256[:12]}; look at {arguments.out}/{CONTACT_SHEET}")
        spark.stop()
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return 0


def run(
    spark: SparkSession,
    pictures: DataFrame,
    limits: ImageSettings,
    recipe: Recipe,
    made_from: list[str],
    out: str,
    console: Console,
) -> Manifest:
    """Labelled pictures in; the manifest of the data set that lies at `out` out."""
    partitions = TASKS_A_CORE * spark.sparkContext.defaultParallelism
    read = read_pictures(pictures, limits, recipe, partitions)
    with shown(spark, console, "reading the pictures"):
        read.count()
    with shown(spark, console, "writing the data set"):
        manifest = write_data_set(spark, read, recipe, made_from, out)
    read.unpersist()
    return manifest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prepare_dataset.py", description=__doc__)
    parser.add_argument("sources", nargs="*", help="Spark paths: IDX folders, labelled folders, Parquet, CSV")
    parser.add_argument("--out", required=True, help="a Spark path; the data set's folder")
    parser.add_argument("--corrections", action="store_true", help="stored pictures that people corrected")
    parser.add_argument("--claimed", action="store_true", help="stored pictures with their uploaders' own labels")
    parser.add_argument("--labels", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("--held", type=float, default=0.08, help="share held back to choose and calibrate")
    parser.add_argument("--test", type=float, default=0.1, help="share that only measures; an IDX set has its own")
    parser.add_argument("--augment", type=int, default=0, help="copies of each training picture")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replace", action="store_true", help="make the data set at --out anew")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
