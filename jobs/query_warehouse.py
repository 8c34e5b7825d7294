"""A query in SQL -> the warehouse -> a table, CSV or JSON on the terminal; without one, a prompt."""

from __future__ import annotations

import argparse
import logging
import sys

from pyspark.sql import SparkSession

from inkstream.job_errors import exit_status_of
from inkstream.report.prompt import read_queries, show
from inkstream.report.warehouse import build_warehouse_session
from inkstream.settings import load_settings


def main(argv: list[str] | None = None) -> int:
    """Open the warehouse and answer."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        spark = build_warehouse_session(load_settings(), "inkstream-sql")
        status = run(spark, arguments)
        spark.stop()
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return status


def run(spark: SparkSession, arguments: argparse.Namespace) -> int:
    """Answer the one query, or each that is typed; a wrong one at the prompt ends nothing."""
    if arguments.query:
        show(spark, arguments.query, as_csv=arguments.csv, limit=arguments.limit)
        return 0
    for query in read_queries():
        try:
            show(spark, query, as_csv=arguments.csv, limit=arguments.limit)
        except Exception as error:
            exit_status_of(error, debug=arguments.debug)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="query_warehouse.py", description=__doc__)
    parser.add_argument("--query", default="", help="in Spark's SQL; without it, a prompt")
    parser.add_argument("--csv", action="store_true", help="CSV instead of a table")
    parser.add_argument("--limit", type=int, default=1000, help="rows that are shown")
    parser.add_argument("--debug", action="store_true", help="stack traces")
    return parser


if __name__ == "__main__":
    sys.exit(main())
