"""chaos, soak: the promise, tried: through crashes, and for hours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from inkstream.chaos.rounds import Outcome, Round
    from inkstream.chaos.soak import Soaked
    from inkstream.chaos.strikes import Arena
    from inkstream.local.services import RunningServices
    from inkstream.stream.verify import Verdict

COLUMNS = ("round", "strike", "batch", "under way", "stored already", "done again", "back after", "repeated answers")
DOOR_RATE = 5.0
VERIFIED_AGAIN = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh chaos`; `./submit.sh chaos --rounds 20 --seed 7`; "
        "`./submit.sh chaos --rounds 20 --brokers 3 --nodes 3`."
    )(chaos)
    app.command(epilog="Examples: `./submit.sh soak`; `./submit.sh soak --minutes 480 --rate 50`.")(soak)


def chaos(
    rounds: Annotated[int, typer.Option(help="Strikes.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="The same seed, the same strikes in the same order.")] = 1,
    rate: Annotated[float, typer.Option(help="Uploads a second to Kafka meanwhile.", min=1)] = 20.0,
    brokers: Annotated[int, typer.Option(help="Brokers of Kafka; of several, one or all are struck.", min=1)] = 1,
    nodes: Annotated[int, typer.Option(help="Nodes of Cassandra; of several, one or all are struck.", min=1)] = 1,
    workers: Annotated[int, typer.Option(help="Workers of a Spark cluster; 0: none, Spark in one process.", min=0)] = 1,
) -> int:
    """Kill a real stream, Spark, Kafka, Cassandra and a gateway under load, again and again; after each round, verify.

    On services of its own in a folder of its own; nothing that runs is touched. Every kind of strike comes once before
    any comes again. Ends with 1 where anything was lost, doubled, orphan or wrong. A round takes one to three minutes.
    """
    from rich.console import Console

    from inkstream.chaos.rounds import run_rounds
    from inkstream.chaos.strikes import STRIKES, possible_kinds
    from inkstream.local.extras import ensure_extra

    ensure_extra("chaos")
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"Seed {seed}: {rounds} strikes at {rate:g} uploads a second, brokers: {brokers}, nodes: {nodes}, "
        f"Spark's workers: {workers}",
        markup=False,
    )

    def tell(done: Round) -> None:
        console.print(_sentence(done), markup=False)

    with _arena(seed, brokers, nodes, workers) as (arena, verify):
        kinds = possible_kinds(arena)
        for name, strike in STRIKES.items():
            if name not in kinds:
                console.print(f"Left out: {name}; it takes {strike.without}", markup=False)
        outcome = run_rounds(arena, verify, rounds=rounds, rate=rate, seed=seed, tell=tell)
        report = arena.victim.folder / "report.txt"
    with report.open("w") as file:
        _show(outcome, Console(file=file, width=170))
    _show(outcome, console)
    console.print(f"The report is in {report}", markup=False)
    return 0 if outcome.passed else 1


@contextmanager
def _arena(seed: int, brokers: int, nodes: int, workers: int) -> Iterator[tuple[Arena, Callable[[], Verdict]]]:
    """All that can be struck, started on services of its own; and what verifies, with a Spark that is not struck."""
    import random
    from functools import partial

    from inkstream.chaos.clock import stepped_clock
    from inkstream.chaos.disk import small_disk
    from inkstream.chaos.load import LoadOnDoor
    from inkstream.chaos.strikes import POISONED, Arena
    from inkstream.chaos.victim import Victim
    from inkstream.local.gateway import Gateway
    from inkstream.local.jars import class_path
    from inkstream.local.java import java_home
    from inkstream.local.own_services import own_folder
    from inkstream.spark import build_own_session
    from inkstream.store.session import open_session
    from inkstream.stream.verify import verify

    with ExitStack() as open_ends:
        folder = open_ends.enter_context(own_folder("chaos"))
        disk = open_ends.enter_context(small_disk(folder / "checkpoints"))
        clock = open_ends.enter_context(stepped_clock(folder))
        services = open_ends.enter_context(_prepared(folder, brokers, nodes, workers))
        settings = services.settings.model_copy(update={"image": POISONED})
        gateway = Gateway(settings, folder, bound=True, usual=False)
        open_ends.callback(gateway.stop)
        gateway.start()
        session = open_ends.enter_context(open_session(settings.cassandra))
        spark = build_own_session(settings, "inkstream-chaos", class_path(settings, "spark"), java_home())
        open_ends.callback(spark.stop)
        arena = Arena(
            Victim(settings, folder, executors_of=services.workers),
            services,
            random.Random(seed),
            gateway=gateway,
            door=LoadOnDoor(gateway.address, rate=DOOR_RATE),
            disk=disk,
            clock=clock,
        )
        yield arena, partial(verify, spark, session, settings, VERIFIED_AGAIN)


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

    from inkstream.chaos.soak import find_jcmd, soak, write_looks
    from inkstream.local.own_services import own_folder

    console = Console(highlight=False, soft_wrap=True)
    find_jcmd()  # says so now where it is missing, and not when the services run
    with own_folder("soak") as folder, _prepared(folder) as services, Progress(console=console) as progress:
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
    looks = services.settings.local.path / "looks.csv"
    write_looks(soaked.looks, looks)
    console.print(f"Every look at them: {looks}")


@contextmanager
def _prepared(folder: Path, brokers: int = 1, nodes: int = 1, workers: int = 0) -> Iterator[RunningServices]:
    """Services in the folder, with topics and tables."""
    from inkstream.local.own_services import own_services
    from inkstream.store.schema import apply_schema
    from inkstream.store.topics import create_topics

    with own_services(folder, brokers, nodes, workers) as services:
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
        f"{done.number}. {done.kind}: {done.uncommitted:,} messages under way, {done.again:,} done again, "
        f"back after {done.recovered_s:.0f} s{how}; {found}"
    )


def _table(outcome: Outcome) -> Table:
    from rich.table import Table

    from inkstream.stream.findings import KINDS

    table = Table(*COLUMNS, *KINDS, title=f"Chaos, seed {outcome.seed}", title_justify="left")
    for done in outcome.rounds:
        stored = "" if done.stored is None else f"{done.stored:,}"
        struck = (str(done.batch), f"{done.uncommitted:,}", stored, f"{done.again:,}", f"{done.recovered_s:.0f} s")
        row = (str(done.number), done.kind, *(struck if done.batch >= 0 else [""] * len(struck)), f"{done.repeated:,}")
        table.add_row(*row, *(f"{number:,}" for number in done.found.values()))
    return table


def _show(outcome: Outcome, console: object) -> None:
    from rich.console import Console

    assert isinstance(console, Console)
    console.width = max(console.width, 160)
    console.print(_table(outcome))
    counted = [done for done in outcome.rounds if done.batch >= 0]
    under_way, again = (sum(getattr(done, name) > 0 for done in counted) for name in ("uncommitted", "again"))
    console.print(
        f"{len(counted)} strikes, {under_way} of them with messages under way, {again} with a micro-batch done again; "
        f"{outcome.sent:,} uploads sent, "
        f"{outcome.acknowledged:,} ids acknowledged, {len(outcome.missing):,} of those without a row"
    )
    console.print("Passed: nothing lost, nothing doubled, nothing wrong" if outcome.passed else "FAILED")
