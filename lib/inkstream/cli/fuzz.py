"""fuzz: files made to break the decoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from inkstream.chaos.fuzz import Fuzzed


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog="Examples: `./submit.sh fuzz`; `./submit.sh fuzz --files 100000 --seed 7`.")(fuzz)


def fuzz(
    files: Annotated[int, typer.Option(help="How many.", min=1)] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed, the same files.")] = 1,
    seconds: Annotated[float, typer.Option(help="What one file may take.", min=0.1)] = 2.0,
) -> int:
    """Read damaged, lying and oversized files, each apart; none may crash, hang or bloat its reader.

    Needs no services. Ends with 1 where one did; such a file is kept.
    """
    from rich.console import Console
    from rich.progress import Progress

    from inkstream.chaos.fuzz import fuzz
    from inkstream.model.bundle import load_bundle, shipped_bundle
    from inkstream.model.reading import Reader
    from inkstream.settings import MIB, load_settings

    settings = load_settings()
    limits = settings.image.model_copy(update={"decode_limit_s": seconds})
    keep = settings.local.path / "fuzz"
    console = Console(highlight=False, soft_wrap=True)
    with Progress(console=console) as progress:
        task = progress.add_task("reading", total=files)
        found = fuzz(
            Reader(load_bundle(settings.model.bundle or shipped_bundle()), limits),
            limits.max_image_bytes,
            files=files,
            seed=seed,
            keep=keep,
            tell=lambda done: progress.update(task, completed=done),
        )
    console.width = max(console.width, 140)  # cut names and numbers say nothing
    console.print(_table(found))
    console.print(
        f"{files:,} files, seed {seed}; {len(found.broke):,} broke their reader, {found.slow_once:,} were slow "
        "once and not when read alone; "
        f"a reading process had {found.peak_memory / MIB:,.0f} MiB at most"
    )
    for number, kind, reason in found.broke:
        console.print(f"{keep / f'{seed}-{number}'} ({kind}): {reason}", markup=False)
    return 1 if found.broke else 0


def _table(found: Fuzzed) -> Table:
    from rich.table import Column, Table

    outcomes = sorted({outcome for _, outcome in found.outcomes})
    table = Table("file", *(Column(outcome.replace("_", " "), justify="right") for outcome in outcomes))
    for kind in sorted({kind for kind, _ in found.outcomes}):
        table.add_row(kind, *(f"{found.outcomes[kind, outcome]:,}" for outcome in outcomes))
    return table
