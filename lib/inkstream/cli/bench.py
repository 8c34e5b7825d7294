"""bench: ours and the alternatives, measured side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAMES = ("drain", "latency", "photos", "gateway", "broken", "rescore", "cold", "scale")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh bench --quick`, three minutes; "
        "`./submit.sh bench drain --mnist mnist/`; `./submit.sh bench latency --rounds 5 --json latency.json`."
    )(bench)


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"{', '.join(NAMES)}; default: all.", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few pictures, one round; by default of drain, latency and photos.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="How often, in turn; default: 3, or 1.", min=0, show_default=False)] = 0,
    mnist: Annotated[
        Path | None, typer.Option(help="A folder with MNIST's IDX files; default: the 20 digits that ship.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Where the figures go; default: report.json in var/bench.", show_default=False)
    ] = None,
) -> None:
    """Measure InkStream beside the alternatives, in turn on the same services, and check that nothing was lost.

    On services of its own in a folder of its own; nothing that runs is touched. Needs a checkout: the benchmarks are in
    tests/benchmarks. Ends with 1 where a run lost something.
    """
    import os
    import sys

    from inkstream.errors import SettingError, SetupError
    from inkstream.settings import home

    if unknown := [name for name in names or [] if name not in NAMES]:
        raise SettingError(f"There is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    if mnist is not None and not any(mnist.glob("train-images*")):
        raise SettingError(f"--mnist has the value {str(mnist)!r}: there is no file train-images* in it")
    tests = home() / "tests"
    if not (tests / "benchmarks").is_dir():
        raise SetupError(f"The benchmarks are not in {tests}; run this in a checkout of the project")
    given = {"--mnist": mnist and mnist.resolve(), "--json": json and json.resolve(), "--rounds": rounds or None}
    options = [part for name, value in given.items() if value is not None for part in (name, str(value))]
    line = [sys.executable, "-m", "benchmarks", *(names or []), *(["--quick"] if quick else []), *options]
    os.chdir(tests)
    os.execv(line[0], line)  # in this process's place, so that a signal reaches what must end its services
