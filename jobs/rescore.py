"""Stored pictures and a model version in; that version's rows beside the others, and a comparison, out."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import date, datetime, timezone

from cassandra.cluster import Session
from pyspark.sql import SparkSession
from rich.console import Console

from inkstream.dataset.showing import shown
from inkstream.job_errors import exit_status_of
from inkstream.model.bundle import check_golden
from inkstream.model.reading import Reader
from inkstream.model.shelf import Shelf
from inkstream.records import OUTCOMES
from inkstream.settings import Settings, load_settings
from inkstream.spark import build_session
from inkstream.store.comparison import Comparison, compare_with_before
from inkstream.store.registry import version_in_use
from inkstream.store.session import await_on_disk, open_session
from inkstream.stream.rescore import Choice, Rescore
from inkstream.stream.running import broadcast_task


def run(spark: SparkSession, settings: Settings, session: Session, version: str, choice: Choice) -> Comparison:
    """Answer what the version has not answered yet, fill the days, mark them; how it compares with before out."""
    bundle = Shelf(settings).load(version)
    check_golden(bundle, Reader(bundle, settings.image).engine)
    rescore = Rescore(spark, settings, broadcast_task(spark, settings, bundle), choice)
    console = Console(stderr=True, highlight=False)
    with shown(spark, console, "answering"):
        new = rescore.answer_new()
        days = set(new) | rescore.fill_days()
    console.print(f"{new.total():,} pictures answered with version {version[:12]}")
    for day in sorted(days):
        session.execute("INSERT INTO changed_days (day, changed_at) VALUES (%s, %s)", (day, datetime.now(timezone.utc)))
    await_on_disk(session)
    return compare_with_before(session, days, version, version_in_use(session, settings))


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open the ends, re-score, show the comparison."""
    parser = argparse.ArgumentParser(prog="rescore.py", description=__doc__)
    parser.add_argument("version", help="a version, or its first letters")
    parser.add_argument("--day", type=date.fromisoformat, help="pictures of this UTC day")
    parser.add_argument("--source", help="pictures of this source")
    parser.add_argument("--outcome", choices=OUTCOMES, help="pictures that another version answered so")
    parser.add_argument("--debug", action="store_true", help="stack traces")
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        settings = load_settings()
        version = Shelf(settings).find(arguments.version)
        with open_session(settings.cassandra) as session:
            spark = build_session(settings, "inkstream-rescore")
            choice = Choice(arguments.day, arguments.source, arguments.outcome)
            result = run(spark, settings, session, version, choice)
            spark.stop()
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    from inkstream.cli.models_view import show_comparison

    show_comparison(result, Console(soft_wrap=True, highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
