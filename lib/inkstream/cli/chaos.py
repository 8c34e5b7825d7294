"""chaos: the promise, tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from inkstream.chaos.rounds import Outcome, Round

COLUMNS = ("round", "strike", "batch", "under way", "stored already", "back after", "repeated answers")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Examples: `./submit.sh chaos`; `./submit.sh chaos --rounds 20 --seed 7`.")(chaos)


def chaos(
    rounds: Annotated[int, typer.Option(help="Strikes.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="The same seed, the same strikes in the same order.")] = 1,
    rate: Annotated[float, typer.Option(help="Uploads a second meanwhile.", min=1)] = 100.0,
) -> int:
    """Kill a real stream, Kafka and Cassandra under load, again and again; after each round, verify.

    On services of its own in a folder of its own; nothing that runs is touched. Ends with 1 where anything was lost,
    doubled, orphan or wrong. A round takes about a minute.
    """
    from rich.console import Console

    from inkstream.chaos.rounds import run_rounds
    from inkstream.chaos.strikes import STRIKES
    from inkstream.local.services import running_services
    from inkstream.settings import Settings, load_settings
    from inkstream.store.schema import apply_schema
    from inkstream.store.topics import create_topics

    console = Console(highlight=False, soft_wrap=True)
    plain = load_settings()
    blank = plain.model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    folder = plain.local.path / "chaos"
    _clear(folder)
    console.print(f"Seed {seed}: {rounds} strikes at {rate:g} uploads a second; folder {folder}", markup=False)

    def tell(done: Round) -> None:
        console.print(_sentence(done), markup=False)

    with running_services(blank, folder) as services:
        create_topics(services.settings)
        apply_schema(services.settings)
        outcome = run_rounds(
            services.settings,
            folder,
            kafka=services.kafka,
            cassandra=services.cassandra,
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


def _clear(folder: Path) -> None:
    import shutil

    for name in ("data", "checkpoints", "run", "log"):
        shutil.rmtree(folder / name, ignore_errors=True)


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
