"""Kafka's uploads and answers against Cassandra's rows -> a table per partition; exit status 1 where they disagree."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from inkstream.job_errors import exit_status_of
from inkstream.settings import Settings, load_settings
from inkstream.spark import build_session
from inkstream.store.session import open_session
from inkstream.stream.findings import KINDS
from inkstream.stream.verify import Account, Verdict, verify

COLUMNS = ("recorded", "stored", "superseded", "forgotten", "aged", "skipped", "repeated")


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open the ends, compare, show what was found."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.INFO if arguments.debug else logging.CRITICAL)
    try:
        return run(load_settings(), arguments.sample, as_json=arguments.json)
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)


def run(settings: Settings, sample: int, *, as_json: bool) -> int:
    """Compare and show; 1 where something is lost, doubled, orphan or wrong."""
    with open_session(settings.cassandra) as session:
        spark = build_session(settings, "inkstream-verify")
        spark.conf.set("spark.sql.adaptive.enabled", "true")  # many joins, of a few rows or of millions
        verdict = verify(spark, session, settings, sample)
        spark.stop()
    if as_json:
        sys.stdout.write(json.dumps(asdict(verdict), indent=2) + "\n")
    else:
        show(verdict, Console(highlight=False, soft_wrap=True))
    return 1 if verdict.total else 0


def show(verdict: Verdict, console: Console) -> None:
    """A row per partition, the findings by name, a sentence."""
    table = Table("partition", "offsets", *COLUMNS, *KINDS, title=f"{verdict.topic} against the tables")
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    for account in verdict.accounts:
        table.add_row(str(account.partition), f"{account.first}-{account.until}", *_cells(account))
    console.width = max(console.width, 140)
    console.print(table)
    for finding in verdict.findings:
        place = "" if finding.partition is None else f" at {finding.partition}:{finding.offset}"
        console.print(f"{finding.kind}: {finding.image_id}{place}: {finding.about}", markup=False)
    if verdict.total > len(verdict.findings):
        console.print(f"... and {verdict.total - len(verdict.findings):,} more")
    recorded = sum(account.recorded for account in verdict.accounts)
    said = f"{verdict.total:,} findings" if verdict.total else "nothing lost, doubled, orphan or wrong"
    console.print(f"{recorded:,} messages recorded, {verdict.recomputed:,} answers computed again: {said}")


def _cells(account: Account) -> list[str]:
    numbers = [f"{getattr(account, name):,}" for name in COLUMNS]
    return numbers + [f"[red]{n:,}[/]" if n else "0" for n in account.found.values()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verify_stream.py", description=__doc__)
    parser.add_argument("--sample", type=int, default=200, help="answers to compute again")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
