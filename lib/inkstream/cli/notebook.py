"""notebook: JupyterLab on the project's notebooks."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Example: `./submit.sh notebook`, then open `2_predictions.ipynb`; `./submit.sh notebook --no-browser` "
        "on a machine without a screen shows the address."
    )(notebook)


def notebook(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Show the address, open nothing.")] = False,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where to listen; the next free one where it is taken.")
    ] = 8888,
) -> None:
    """Open JupyterLab on the notebooks, with Spark, Cassandra and the warehouse set up; Ctrl-C ends it."""
    from inkstream.local.class_archives import ensure_archives
    from inkstream.local.extras import ensure_extra
    from inkstream.report.warehouse import JARS
    from inkstream.settings import home, load_settings

    ensure_archives(load_settings(), *JARS)
    ensure_extra("notebooks")
    options = ["--port", str(port), *(["--no-browser"] if no_browser else [])]
    line = [sys.executable, "-m", "jupyterlab", "--notebook-dir", str(home() / "notebooks"), *options]
    os.execv(line[0], line)
