"""Cassandra's changed days -> the warehouse's star schema -> a page, tables and the days' summaries."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import date, datetime
from pathlib import Path

from cassandra.cluster import Session
from pyspark.sql import SparkSession

from inkstream.job_errors import exit_status_of
from inkstream.report.figures import read_figures
from inkstream.report.loading import Loaded, expire_snapshots, load_days
from inkstream.report.page import store_summaries, write_report
from inkstream.report.reference import read_profile
from inkstream.report.warehouse import build_warehouse_session
from inkstream.settings import Settings, load_settings
from inkstream.store.registry import version_in_use
from inkstream.store.session import open_session


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open the ends, load, and write the page."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        settings = load_settings()
        with open_session(settings.cassandra) as session:
            spark = build_warehouse_session(settings, "inkstream-report")
            run(spark, settings, session, arguments)
            spark.stop()
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return 0


def run(spark: SparkSession, settings: Settings, session: Session, arguments: argparse.Namespace) -> Loaded:
    """Bring the warehouse up to date, then draw the page and write the days' summaries."""
    version = version_in_use(session, settings)
    loaded = load_days(spark, settings, version, rebuild=arguments.day, everything=arguments.rebuild)
    expire_snapshots(spark, settings.report.keep_days)
    days = "1 day" if len(loaded.days) == 1 else f"{len(loaded.days)} days"
    sys.stdout.write(f"{days} built: {loaded.facts:,} answers to {loaded.pictures:,} pictures\n")
    if not arguments.no_page:
        figures = read_figures(spark, arguments.start, arguments.until)
        folder = Path(arguments.out or settings.local.path / "report")
        page = write_report(folder, figures, read_profile(settings, version), session, settings)
        store_summaries(session, figures["days"])
        sys.stdout.write(f"The report of {figures.pictures:,} pictures is {page}\n")
    return loaded


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").date()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="build_report.py", description=__doc__)
    parser.add_argument("--day", action="append", type=_day, default=[], help="build this UTC day again")
    parser.add_argument("--rebuild", action="store_true", help="build every day again")
    parser.add_argument("--from", dest="start", type=_day, help="the page's first day, in the report's time zone")
    parser.add_argument("--until", type=_day, help="the page's last day")
    parser.add_argument("--out", default="", help="the page's folder")
    parser.add_argument("--no-page", action="store_true", help="the warehouse only")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
