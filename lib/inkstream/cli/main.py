"""The command line: one Typer application; each command's module is in this folder and imports late."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from typer.exceptions import Abort, TyperException

from inkstream.cli import (
    bench,
    chaos,
    cluster,
    demo,
    develop,
    doctor,
    forget,
    fuzz,
    learning,
    models,
    notebook,
    predict,
    producer,
    quarantine,
    report,
    rescore,
    results,
    serve,
    services,
    stream,
    verify,
)
from inkstream.errors import InkstreamError

DEBUG_VARIABLE = "INKSTREAM_DEBUG"

app = typer.Typer(
    name="./submit.sh",
    help="InkStream reads pictures of handwritten digits with Kafka, Spark and Cassandra. Try `./submit.sh demo`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)

for commands in (
    demo,
    services,
    producer,
    stream,
    serve,
    predict,
    results,
    models,
    rescore,
    report,
    learning,
    cluster,
    notebook,
    verify,
    quarantine,
    forget,
    doctor,
    chaos,
    fuzz,
    bench,
    develop,
):
    commands.register(app)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show stack traces and debug logs.")] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if not debug:  # it logs each attempt to connect; the one sentence that the command ends with says it all
        logging.getLogger("kafka").setLevel(logging.CRITICAL)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 fine, 1 found something, 2 wrong usage or setting, 3 no service."""
    try:
        status = app(args=argv, prog_name="./submit.sh", standalone_mode=False)
    except TyperException as error:  # wrong usage
        from typer.rich_utils import rich_format_error

        rich_format_error(error)  # type: ignore[arg-type]
        return 2
    except Abort:
        return 130
    except InkstreamError as error:
        _report(str(error), error)
        return error.exit_status
    except Exception as error:
        _report(
            f"unexpected {type(error).__name__}: {error}; run it with --debug before the command to see where", error
        )
        return 1
    return status if isinstance(status, int) else 0


def _report(sentence: str, error: Exception) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {escape(sentence)}")


def run() -> None:
    """The console script's entry."""
    sys.exit(main())
