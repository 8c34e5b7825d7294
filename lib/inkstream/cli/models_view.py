"""What the commands about models show: tables of versions, of changes, of what two versions say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from inkstream.store.comparison import Comparison
    from inkstream.store.registry import Change

CHANGES_SHOWN = 12


def console() -> Console:
    """The terminal, without colours in what looks like a number."""
    return Console(soft_wrap=True, highlight=False)


def test_accuracy(metrics: dict[str, Any]) -> float | None:
    """A bundle's accuracy on its test pictures, 0..1, where it was measured."""
    measured = metrics.get("test")
    return measured.get("accuracy") if isinstance(measured, dict) else None


def share(value: float | None) -> str:
    """0..1 as people read it."""
    return "" if value is None else f"{value:.2%}"


def history_table(changes: Iterable[Change]) -> Table:
    """The registry's changes, in their order."""
    table = Table("when", "what", "version", "by", box=None, pad_edge=False)
    for change in changes:
        table.add_row(change.at, change.action, change.version[:12] or "-", change.by or "-")
    return table


def show_comparison(result: Comparison, console: Console) -> None:
    """The sentence, then what changed into what, then right and wrong where that is known."""
    old, new = result.old[:12], result.new[:12]
    if not result.pictures:
        console.print(
            f"No picture has answers of both {old} and {new}: let one shadow the other, or `./submit.sh rescore`."
        )
        return
    agreed = f"{result.agreed:,} of {result.pictures:,} pictures ({result.agreed / result.pictures:.2%})"
    console.print(f"{old} and {new} say the same of {agreed}; {new} is surer of {result.surer:,} of those.")
    if result.changes:
        table = Table(old, new, "pictures", box=None, pad_edge=False)
        for (before, after), count in result.changes.most_common(CHANGES_SHOWN):
            table.add_row(before, after, f"{count:,}")
        console.print(table)
        if len(result.changes) > CHANGES_SHOWN:
            console.print(f"and {len(result.changes) - CHANGES_SHOWN} other kinds of change")
        console.print("For example: " + ", ".join(f"{id_} ({a} -> {b})" for id_, a, b in result.examples[:3]))
    outcomes = Table("outcome", old, new, box=None, pad_edge=False)
    for outcome in sorted({name for pair in result.outcomes for name in pair}):
        counts = [sum(n for pair, n in result.outcomes.items() if pair[side] == outcome) for side in (0, 1)]
        outcomes.add_row(outcome, *(f"{count:,}" for count in counts))
    console.print(outcomes)
    for what, pictures, old_right, new_right in (
        ("corrected by people", result.corrected, result.old_right, result.new_right),
        ("labelled by their uploaders", result.claimed, result.claimed_old_right, result.claimed_new_right),
    ):
        if pictures:
            console.print(f"Of {pictures:,} {what}: {old} has {old_right:,} right, {new} {new_right:,}.")
