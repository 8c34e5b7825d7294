"""A number -> so many plausible rows of predictions_by_day in Cassandra, their days marked as changed."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import date, datetime, timedelta

from inkstream.job_errors import exit_status_of
from inkstream.report.generator import generate_rows, store_rows
from inkstream.settings import load_settings
from inkstream.spark import build_session
from inkstream.times import UTC


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open Spark, write."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        settings = load_settings()
        spark = build_session(settings, "inkstream-generate")
        first = arguments.start or datetime.now(UTC).date() - timedelta(days=arguments.days - 1)
        store_rows(generate_rows(spark, arguments.count, first, arguments.days, seed=arguments.seed), settings)
        sys.stdout.write(f"{arguments.count:,} rows stored, {arguments.days} days from {first} on\n")
        spark.stop()
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return 0


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").date()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="generate_rows.py", description=__doc__)
    parser.add_argument("--count", type=int, required=True, help="rows")
    parser.add_argument("--days", type=int, default=90, help="over so many days")
    parser.add_argument("--from", dest="start", type=_day, help="the first day; default: so that today is the last")
    parser.add_argument("--seed", type=int, default=1, help="other rows for another")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
