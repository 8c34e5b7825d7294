"""chaos, soak: the promise, tried: through crashes, and for hours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from inkstream.chaos.rounds import Outcome, Round
    from inkstream.chaos.soak import Soaked
    from inkstream.local.services import RunningServices

COLUMNS = ("round", "strike", "batch", "under way", "stored already", "back after", "repeated answers")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh chaos`; `./submit.sh chaos --rounds 20 --seed 7`; "
        "`./submit.sh chaos --brokers 3 --nodes 3`."
    )(chaos)
    app.command(epilog="Examples: `./submit.sh soak`; `./submit.sh soak --minutes 480 --rate 50`.")(soak)


def chaos(
    rounds: Annotated[int, typer.Option(help="Strikes.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="The same seed, the same strikes in the same order.")] = 1,
    rate: Annotated[float, typer.Option(help="Uploads a second meanwhile.", min=1)] = 100.0,
    brokers: Annotated[int, typer.Option(help="Brokers of Kafka, of which one is struck at a time.", min=1)] = 1,
    nodes: Annotated[int, typer.Option(help="Nodes of Cassandra, of which one is struck at a time.", min=1)] = 1,
) -> int:
    """Kill a real stream, Kafka and Cassandra under load, again and again; after each round, verify.

    On services of its own in a folder of its own; nothing that runs is touched. Ends with 1 where anything was lost,
    doubled, orphan or wrong. A round takes about a minute.
    """
    from rich.console import Console

    from inkstream.chaos.rounds import run_rounds
    from inkstream.chaos.strikes import STRIKES

    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"Seed {seed}: {rounds} strikes at {rate:g} uploads a second, brokers: {brokers}, nodes: {nodes}", markup=False
    )

    def tell(done: Round) -> None:
        console.print(_sentence(done), markup=False)

    with _own_services("chaos", brokers, nodes) as services:
        folder = services.settings.local.path
        outcome = run_rounds(
            services.settings,
            folder,
            brokers=services.brokers,
            nodes=services.nodes,
            rounds=rounds,
            rate=rate,
            seed=seed,
            kinds=tuple(STRIKES),
            tell=tell,
        )
    report = folder / "report.txt"
    with report.open("w") as file:
        _show(outcome, Console(file=file, width=160))
    _show(outcome, console)
    console.print(f"The report is in {report}", markup=False)
    return 0 if outcome.passed else 1


def soak(
    minutes: Annotated[float, typer.Option(help="How long, after the first answer.", min=1)] = 30.0,
    rate: Annotated[float, typer.Option(help="Uploads a second.", min=1)] = 200.0,
) -> None:
    """Run a real stream under a steady load, and show how memory, files and disk grow.

    On services of its own in a folder of its own; nothing that runs is touched. The first third, at most ten minutes,
    is the warm-up and does not count.
    """
    from rich.console import Console
    from rich.progress import Progress

    from inkstream.chaos.soak import find_jcmd, soak

    console = Console(highlight=False, soft_wrap=True)
    find_jcmd()  # says so now where it is missing, and not when the services run
    with _own_services("soak") as services, Progress(console=console) as progress:
        task = progress.add_task(f"{rate:g} uploads a second", total=minutes * 60)
        soaked = soak(
            services.settings,
            services.settings.local.path,
            services.all,
            minutes=minutes,
            rate=rate,
            tell=lambda seconds: progress.update(task, completed=seconds),
        )
        progress.update(task, completed=minutes * 60)
    console.width = max(console.width, 120)  # cut names and numbers say nothing
    console.print(_soaked(soaked))
    console.print(f"{soaked.sent:,} uploads sent; {soaked.behind:,} of them were not answered yet at the end")


@contextmanager
def _own_services(name: str, brokers: int = 1, nodes: int = 1) -> Iterator[RunningServices]:
    """Kafka and Cassandra in a folder of this name, empty, with topics and tables."""
    import shutil

    from inkstream.local.services import running_services
    from inkstream.settings import Settings, load_settings
    from inkstream.store.schema import apply_schema
    from inkstream.store.topics import create_topics

    plain = load_settings()
    blank = plain.model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    folder = plain.local.path / name
    for part in ("data", "checkpoints", "run", "log"):
        shutil.rmtree(folder / part, ignore_errors=True)
    with running_services(blank, folder, brokers=brokers, nodes=nodes) as services:
        create_topics(services.settings)
        apply_schema(services.settings)
        yield services


def _soaked(soaked: Soaked) -> Table:
    from rich.table import Column, Table

    from inkstream.settings import MIB

    def mb(size: float | None, form: str = ",.1f") -> str:
        return "" if size is None else f"{size / MIB:{form}}"

    numbers = ("MiB", "at the end", "an hour", "live heap", "at the end", "an hour", "files", "at the end")
    title = f"Growth over {soaked.minutes:.0f} minutes"
    table = Table("", *(Column(name, justify="right") for name in numbers), title=title, title_justify="left")
    for growth in soaked.growths:
        first, last = growth.first, growth.last
        sizes = (mb(first.size), mb(last.size), mb(growth.size_per_hour, "+,.1f"))
        heaps = (mb(first.live_heap), mb(last.live_heap), mb(growth.heap_per_hour, "+,.1f"))
        table.add_row(growth.name, *sizes, *heaps, f"{first.files:,}", f"{last.files:,}")
    return table


def _sentence(done: Round) -> str:
    found = ", ".join(f"{number} {kind}" for kind, number in done.found.items() if number) or "nothing lost or wrong"
    how = " (the stream hung and was killed)" if done.hung else ""
    if done.batch < 0:
        return f"{done.kind}: {found}"
    return (
        f"{done.number}. {done.kind}: {done.uncommitted:,} messages under way, back after {done.recovered_s:.0f} s"
        f"{how}; {found}"
    )


def _table(outcome: Outcome) -> Table:
    from rich.table import Table

    from inkstream.stream.findings import KINDS

    table = Table(*COLUMNS, *KINDS, title=f"Chaos, seed {outcome.seed}", title_justify="left")
    for done in outcome.rounds:
        stored = "" if done.stored is None else f"{done.stored:,}"
        struck = (str(done.batch), f"{done.uncommitted:,}", stored, f"{done.recovered_s:.0f} s")
        row = (str(done.number), done.kind, *(struck if done.batch >= 0 else ("", "", "", "")), f"{done.repeated:,}")
        table.add_row(*row, *(f"{number:,}" for number in done.found.values()))
    return table


def _show(outcome: Outcome, console: object) -> None:
    from rich.console import Console

    assert isinstance(console, Console)
    console.width = max(console.width, 140)
    console.print(_table(outcome))
    counted = [done for done in outcome.rounds if done.batch >= 0]
    again = sum(done.uncommitted > 0 for done in counted)
    console.print(
        f"{len(counted)} strikes, {again} of them with messages under way; {outcome.sent:,} uploads sent, "
        f"{outcome.acknowledged:,} ids acknowledged, {len(outcome.missing):,} of those without a row"
    )
    console.print("Passed: nothing lost, nothing doubled, nothing wrong" if outcome.passed else "FAILED")
