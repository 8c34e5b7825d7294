"""stream: the job that answers the uploads."""

from __future__ import annotations

from typing import Annotated

import typer

from inkstream.cli.spark_job import Master, Print, job_arguments, run_job

JOB = "predict_stream"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh stream` until Ctrl-C; `./submit.sh stream --once` answers what is there; "
        "`./submit.sh stream --from 2026-01-31T08:00:00Z --checkpoint var/checkpoints/again` reads the topic again."
    )(stream)


def stream(
    once: Annotated[bool, typer.Option("--once", help="Answer what is there, then stop.")] = False,
    start: Annotated[
        str, typer.Option("--from", help="earliest, latest or a time; counts at a first start.", show_default=False)
    ] = "",
    checkpoint: Annotated[
        str, typer.Option(help="Where the stream keeps its place: a Spark path.", show_default=False)
    ] = "",
    master: Master = "",
    print_: Print = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on the terminal.")] = False,
) -> None:
    """Answer uploads as they come: Kafka to Cassandra, by Spark."""
    from inkstream.settings import load_settings

    flags = {"--create": True, "--once": once, "--quiet": quiet}
    arguments = job_arguments(flags, {"--from": start, "--checkpoint": checkpoint})
    run_job(load_settings(), JOB, arguments, master=master, print_=print_)
