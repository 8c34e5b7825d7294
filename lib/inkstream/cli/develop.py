"""test: the whole suite, with the linters before it."""

from __future__ import annotations

import subprocess
import sys

import typer

CHECKS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
# Two processes, each with services of its own: a test on real services waits more than it computes.
# A failure is told when it happens: who ends a long run has seen what failed.
SUITE = ("pytest", "-n", "2", "--dist", "loadfile", "--instafail")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        epilog="Examples: `./submit.sh test`; `./submit.sh test tests/image -x`; `./submit.sh test -m 'not services'`.",
    )(test)


def test(context: typer.Context) -> None:
    """Run ruff, mypy and the whole test suite on real services; with arguments, pytest alone with those.

    The exit status is that of the first check that fails, else pytest's.
    """
    from inkstream.local.extras import ensure_extra
    from inkstream.settings import home

    ensure_extra("test")
    commands = [("pytest", *context.args)] if context.args else [*CHECKS, SUITE]
    for module, *arguments in commands:
        status = subprocess.run([sys.executable, "-m", module, *arguments], cwd=home()).returncode
        if status:
            raise typer.Exit(status)
