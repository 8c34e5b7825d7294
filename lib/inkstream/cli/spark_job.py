"""What the commands share that run a job by spark-submit: their two options, the line, and running or showing it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inkstream.settings import Settings

Master = Annotated[str, typer.Option(help="Spark's master; default: the setting.", show_default=False)]
Print = Annotated[bool, typer.Option("--print", help="Show the spark-submit line instead of running it.")]


def job_arguments(flags: Mapping[str, bool], values: Mapping[str, object]) -> list[str]:
    """A job's command line: the flags that are given and the options that have a value; --debug where it is asked.

    An option with a list has it given once for each.
    """
    flags = {**flags, "--debug": bool(os.environ.get("INKSTREAM_DEBUG"))}
    given = [flag for flag, wanted in flags.items() if wanted]
    each = ((name, one) for name, value in values.items() for one in (value if isinstance(value, list) else [value]))
    return given + [part for name, value in each if value not in ("", None) for part in (name, str(value))]


def run_job(
    settings: Settings,
    job: str,
    arguments: list[str],
    *,
    master: str,
    print_: bool,
    jars: tuple[str, ...] = ("spark",),
    prepare: Callable[[], object] | None = None,
) -> None:
    """Become spark-submit jobs/<job>.py with the jars of those groups, or show the line.

    prepare: what has to be there first (tables, packages); it is not called where the line is only shown.

    Raises:
        SetupError: jars or Java are missing and cannot be fetched.
        ServiceError: nobody answers at a standalone master.
    """
    from inkstream.local.class_archives import ensure_archives
    from inkstream.local.jars import class_path
    from inkstream.local.java import java_home
    from inkstream.local.masters import require_master
    from inkstream.submit import submit_environment, submit_line

    master = master or settings.spark.master
    ensure_archives(settings, *jars)
    path = class_path(settings, *jars)
    line = submit_line(settings, job, arguments, path, master)
    environment = submit_environment(java_home())
    if print_:
        ours = {name: value for name, value in environment.items() if os.environ.get(name) != value}
        typer.echo(shlex.join(["env", *(f"{name}={value}" for name, value in ours.items()), *line]))
        return
    require_master(master)
    if prepare is not None:
        prepare()
    os.execvpe(line[0], line, environment)
