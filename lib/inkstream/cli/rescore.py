"""rescore: a version over what is stored."""

from __future__ import annotations

from typing import Annotated

import typer

from inkstream.cli.results import parse_day
from inkstream.cli.spark_job import Master, Print, job_arguments, run_job

JOB = "rescore"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh rescore 22f26d7a`; `./submit.sh rescore 22f26d7a --day today`; "
        "`./submit.sh rescore 22f26d7a --outcome uncertain --source school`."
    )(rescore)


def rescore(
    version: Annotated[str, typer.Argument(help="A version, or its first letters (`./submit.sh models list`).")],
    day: Annotated[
        str | None, typer.Option(help="Pictures of a UTC day, YYYY-MM-DD, or today.", show_default="every day")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Pictures of this source.", show_default="all")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Pictures answered so before: uncertain, rejected, ...", show_default="all")
    ] = None,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Answer stored pictures with a version, beside the answers that are there; then compare the two.

    Nothing is written over; a second call goes on where the first was ended.
    """
    from inkstream.errors import SettingError
    from inkstream.records import OUTCOMES
    from inkstream.settings import load_settings

    if outcome is not None and outcome not in OUTCOMES:
        raise SettingError(f"--outcome has the value {outcome!r}; it takes {', '.join(OUTCOMES)}")
    wanted = parse_day(day)
    values = {"--day": wanted, "--source": source, "--outcome": outcome}
    run_job(load_settings(), JOB, [version, *job_arguments({}, values)], master=master, print_=print_)
