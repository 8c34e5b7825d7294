"""report, sql, generate: what the stored answers say."""

from __future__ import annotations

from typing import Annotated

import typer

from inkstream.cli.spark_job import Master, Print, job_arguments, run_job


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh report` brings the warehouse up to date; `./submit.sh report --day 2026-01-31` "
        "builds that day again; then `./submit.sh sql`."
    )(report)
    app.command(
        epilog='Examples: `./submit.sh sql "SELECT label, count(*) AS pictures FROM answers GROUP BY label"`; '
        '`./submit.sh sql "DESCRIBE answers"`; `./submit.sh sql` opens a prompt.'
    )(sql)
    app.command(
        epilog="Examples: `INKSTREAM_CASSANDRA__KEYSPACE=generated ./submit.sh generate 1000000 --days 90`; "
        "`./submit.sh generate 5000 --days 1 --from 2026-01-31 --seed 2`."
    )(generate)


def report(
    day: Annotated[list[str] | None, typer.Option(help="Build this UTC day again, too.", metavar="YYYY-MM-DD")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build every day again.")] = False,
    start: Annotated[str, typer.Option("--from", help="The page's first day.", metavar="YYYY-MM-DD")] = "",
    until: Annotated[str, typer.Option(help="The page's last day.", metavar="YYYY-MM-DD")] = "",
    out: Annotated[str, typer.Option(help="The page's folder; default: report below local.folder.")] = "",
    no_page: Annotated[bool, typer.Option("--no-page", help="The warehouse only.")] = False,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Bring the warehouse up to date with what changed in Cassandra, and draw the report's page."""
    from inkstream.report.warehouse import JARS
    from inkstream.settings import load_settings
    from inkstream.store.schema import apply_schema

    settings = load_settings()
    values = {"--from": start and checked_day(start, "--from"), "--until": until and checked_day(until, "--until")}
    days = [checked_day(text) for text in day or []]
    arguments = job_arguments({"--rebuild": rebuild, "--no-page": no_page}, {**values, "--out": out, "--day": days})

    def prepare() -> None:
        apply_schema(settings)

    run_job(settings, "build_report", arguments, master=master, print_=print_, jars=JARS, prepare=prepare)


def sql(
    query: Annotated[str, typer.Argument(help="In Spark's SQL; without it, a prompt.", show_default=False)] = "",
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")] = False,
    limit: Annotated[int, typer.Option(help="Rows that the table shows.", min=1)] = 1000,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Ask the warehouse in SQL: views `answers` and `predictions`, and the star that they join."""
    from inkstream.report.warehouse import JARS
    from inkstream.settings import load_settings

    arguments = job_arguments({"--csv": csv}, {"--query": query, "--limit": limit})
    run_job(load_settings(), "query_warehouse", arguments, master=master, print_=print_, jars=JARS)


def generate(
    count: Annotated[int, typer.Argument(help="So many rows.", min=1)],
    days: Annotated[int, typer.Option(help="Over so many days.", min=1)] = 90,
    start: Annotated[
        str, typer.Option("--from", help="The first day; default: so that today is the last.", metavar="YYYY-MM-DD")
    ] = "",
    seed: Annotated[int, typer.Option(help="Other rows for another.")] = 1,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Put plausible answers without pictures into Cassandra, to try the report with: use a keyspace of their own."""
    from inkstream.settings import load_settings
    from inkstream.store.schema import apply_schema

    settings = load_settings()
    first = start and checked_day(start, "--from")
    arguments = job_arguments({}, {"--count": count, "--days": days, "--from": first, "--seed": seed})

    def prepare() -> None:
        apply_schema(settings)

    run_job(settings, "generate_rows", arguments, master=master, print_=print_, prepare=prepare)


def checked_day(text: str, name: str = "--day") -> str:
    """The text where it is a day, YYYY-MM-DD. Raises SettingError."""
    from datetime import datetime

    from inkstream.errors import SettingError

    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError as error:
        raise SettingError(f"{name} has the value {text!r}; give a day as YYYY-MM-DD") from error
