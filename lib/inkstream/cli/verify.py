"""verify: Kafka against Cassandra."""

from __future__ import annotations

from typing import Annotated

import typer

from inkstream.cli.spark_job import Master, Print, job_arguments, run_job

JOB = "verify_stream"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh verify`; `./submit.sh verify --sample 5000`; "
        "`./submit.sh verify --json > verdict.json || echo look into it`."
    )(verify)


def verify(
    sample: Annotated[int, typer.Option(help="Compute so many answers again and compare.", min=0)] = 200,
    json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Account for every upload: Kafka against Cassandra, each offset once. Changes nothing.

    Ends with 1 where an upload is lost (no row, no answer), doubled, orphan (a row without its upload) or wrong
    (tables, answers or a new computation contradict each other). The stream may go on meanwhile.
    """
    from inkstream.settings import load_settings

    arguments = job_arguments({"--json": json}, {"--sample": sample})
    run_job(load_settings(), JOB, arguments, master=master, print_=print_)
