"""test, sbom: the whole suite, with the linters before it; what is in a release."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

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
    app.command(epilog="Examples: `./submit.sh sbom`; `./submit.sh sbom bill.json`, for a scanner of weaknesses.")(sbom)


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


def sbom(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; default: standard output.")] = None,
) -> None:
    """Write the software bill of materials: every locked package, jar and the model, with SHA-256 (CycloneDX, JSON)."""
    from inkstream.errors import SettingError
    from inkstream.local.extras import ensure_extra

    ensure_extra("sbom")
    from inkstream.local.bill import bill_of_materials

    bill = bill_of_materials()
    if file is None:
        sys.stdout.write(bill + "\n")
        return
    try:
        file.write_text(bill + "\n")
    except OSError as error:
        raise SettingError(f"{file} cannot be written ({error.strerror}); name another file") from error
