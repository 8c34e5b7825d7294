"""stream: the job that answers the uploads."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer

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
    master: Annotated[str, typer.Option(help="Spark's master; default: the setting.", show_default=False)] = "",
    print_: Annotated[bool, typer.Option("--print", help="Show the spark-submit line instead of running it.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on the terminal.")] = False,
) -> None:
    """Answer uploads as they come: Kafka to Cassandra, by Spark."""
    from inkstream.local.jars import ensure_jars, spark_class_path
    from inkstream.local.java import java_home
    from inkstream.settings import load_settings
    from inkstream.spark import require_master, submit_environment, submit_line
    from inkstream.store.schema import apply_schema
    from inkstream.store.topics import create_topics

    settings = load_settings()
    flags = {"--once": once, "--quiet": quiet, "--debug": bool(os.environ.get("INKSTREAM_DEBUG"))}
    values = {"--from": start, "--checkpoint": checkpoint}
    arguments = [flag for flag, given in flags.items() if given]
    arguments += [part for flag, value in values.items() if value for part in (flag, value)]
    ensure_jars(settings, "spark")
    line = submit_line(settings, JOB, arguments, spark_class_path(settings), master or settings.spark.master)
    environment = submit_environment(java_home())
    if print_:
        ours = {name: value for name, value in environment.items() if os.environ.get(name) != value}
        typer.echo(shlex.join(["env", *(f"{name}={value}" for name, value in ours.items()), *line]))
        return
    require_master(master or settings.spark.master)
    create_topics(settings)
    apply_schema(settings)
    os.execvpe(line[0], line, environment)
