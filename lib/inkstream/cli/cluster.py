"""cluster: the job that groups pictures by what the model sees in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inkstream.cli.spark_job import Master, Print, job_arguments, run_job

JOB = "cluster_images"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh cluster` for what is stored; `./submit.sh cluster --data mnist/ --k 10` for a "
        "folder of IDX files; `./submit.sh cluster --data new/ --assign var/clusters/model` keeps the clusters."
    )(cluster)


def cluster(
    data: Annotated[
        str, typer.Option(help="A folder of IDX files or of Parquet; default: the stored uploads.", show_default=False)
    ] = "",
    k: Annotated[
        int | None, typer.Option(help="How many clusters; default: what fits best.", min=2, max=500, show_default=False)
    ] = None,
    most: Annotated[int, typer.Option(help="How many to try at most, to see how many fit.", min=2, max=100)] = 15,
    assign: Annotated[
        str, typer.Option(help="No new clusters: those of this saved model.", metavar="FOLDER", show_default=False)
    ] = "",
    out: Annotated[
        str, typer.Option(help="The folder for page, model and assignments; default: var/clusters.", show_default=False)
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="The figures as JSON on standard output.")] = False,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Group pictures by what the model sees in them: a page with clusters, odd ones, likely label mistakes."""
    from inkstream.settings import load_settings

    settings = load_settings()
    if not data and not print_:
        settings.cassandra.hosts  # noqa: B018  (says here, before Spark starts, that there is none)
    places = {"--data": _place(data), "--assign": _place(assign), "--out": str(Path(out).resolve()) if out else ""}
    arguments = job_arguments({"--json": json}, {**places, "--k": k, "--most": most})
    run_job(settings, JOB, arguments, master=master, print_=print_)


def _place(path: str) -> str:
    """A path of this machine as seen from here; another one (hdfs://...) as it is."""
    return str(Path(path).resolve()) if path and "://" not in path else path
