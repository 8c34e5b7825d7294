"""The command line: one Typer application; each command's module is in this folder and imports late."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import click
import typer
from rich.console import Console

from inkstream.cli import services
from inkstream.errors import InkstreamError

app = typer.Typer(
    name="./submit.sh",
    help="InkStream reads pictures of handwritten digits with Kafka, Spark and Cassandra. Try `./submit.sh demo`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)

services.register(app)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show stack traces and debug logs.")] = False,
) -> None:
    if debug:
        os.environ["INKSTREAM_DEBUG"] = "1"
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 fine, 1 found something, 2 wrong usage or setting, 3 no service."""
    try:
        status = app(args=argv, prog_name="./submit.sh", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        return 130
    except InkstreamError as error:
        if os.environ.get("INKSTREAM_DEBUG"):
            raise
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {_escape(error)}")
        return error.exit_status
    return status if isinstance(status, int) else 0


def _escape(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))


def run() -> None:
    """The console script's entry."""
    sys.exit(main())
