"""up, down, status: the embedded services."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MOST = 9  # of brokers or nodes on one machine
DEFAULT = "by default as many as the data was made with, at first 1"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh up`; `./submit.sh up --workers 2`, then "
        "`./submit.sh stream --master spark://127.0.0.1:7077` (`status` shows the address); "
        "`./submit.sh up --brokers 3 --nodes 3`, of which one each may fail."
    )(up)
    app.command(epilog="Example: `./submit.sh down`; the next `./submit.sh up` finds the data again.")(down)
    app.command(epilog="Example: `./submit.sh status || ./submit.sh up` starts what does not run.")(status)


def up(
    workers: Annotated[int, typer.Option(min=0, help="Also start a Spark cluster with so many workers.")] = 0,
    brokers: Annotated[int | None, typer.Option(min=1, max=MOST, help=f"Brokers of Kafka; {DEFAULT}.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, max=MOST, help=f"Nodes of Cassandra; {DEFAULT}.")] = None,
) -> None:
    """Start the embedded Kafka and Cassandra, with tables and topics; they keep running until `down`."""
    from rich.console import Console

    from inkstream.local.services import external_cassandra, external_kafka, up
    from inkstream.settings import load_settings
    from inkstream.store.schema import apply_schema
    from inkstream.store.topics import create_topics

    console = Console(soft_wrap=True, highlight=False)
    settings = load_settings()
    elsewhere = {"Kafka": external_kafka(settings), "Cassandra": external_cassandra(settings)}
    with console.status("Starting the services"):
        running = up(settings, workers, brokers=brokers, nodes=nodes)
    with console.status("Creating tables and topics"):
        apply_schema(running.settings)
        create_topics(running.settings)
    for service, address in elsewhere.items():
        if address:
            console.print(f"{service} is at {address}, as the settings say; nothing was started for it")
    for started in running.all:
        console.print(f"{started.name} runs at {started.endpoint}")


def down() -> None:
    """Stop the embedded services; their data stays."""
    from rich.console import Console

    from inkstream.local.services import down
    from inkstream.settings import load_settings

    console = Console(soft_wrap=True, highlight=False)
    settings = load_settings()
    with console.status("Stopping the services"):
        stopped = down(settings)
    names = ", ".join(service.name for service in stopped)
    console.print(
        f"Stopped: {names}; data stays in {settings.local.path}" if names else "No embedded service was running"
    )


def status() -> None:
    """Show the embedded services; ends with 0 where all of them run, else with 1."""
    from rich.console import Console

    from inkstream.local.services import external_cassandra, external_kafka, known_services
    from inkstream.settings import load_settings

    settings = load_settings()
    console = Console(highlight=False, soft_wrap=True)
    services = known_services(settings)
    width = max([10, *(len(service.name) for service in services)])
    for service in services:
        running = f"{service.endpoint}  pid {service.pid}" if service.is_running() else ""
        console.print(f"{service.name:<{width}} {service.state:<9} {running}".rstrip(), markup=False)
        console.print(f"{'':<{width}} data {_short(service.data_folder)}, log {_short(service.log_file)}", markup=False)
    for name, address in (("kafka", external_kafka(settings)), ("cassandra", external_cassandra(settings))):
        if address:
            console.print(f"{name:<{width}} elsewhere {address}", markup=False)
    if not all(service.is_running() for service in services):
        raise typer.Exit(1)


def _short(path: Path) -> str:
    """The path as seen from here where it lies below, so that the line fits."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
