"""Trained candidates, ranked, in; the table for the terminal and JSON for programs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from inkstream.model.bundle import Bundle

# A plan's keys in a bundle's record, and what the table calls them.
_PLAN = {
    "name": "recipe",
    "epochs": "epochs",
    "learning_rate": "rate",
    "batch": "batch",
    "seed": "seed",
    "augmented": "augmented",
}


def ranking_table(order: Sequence[str], bundles: Mapping[str, Bundle]) -> Table:
    """One line a candidate, the best first, with what differs between their plans.

    held, test: right of those pictures; the held-back ones decide, with their log-loss. kept: the epoch.
    """
    plans = [bundles[name].recipe for name in order]
    shown = [key for key in _PLAN if key == "name" or len({str(plan[key]) for plan in plans}) > 1]
    figures = (Column(name, justify="right") for name in ("kept", "held", "log-loss", "test", "took"))
    table = Table("", "name", *(_PLAN[key] for key in shown), *figures, box=SIMPLE_HEAD, pad_edge=False)
    for rank, name in enumerate(order, 1):
        recipe, metrics = bundles[name].recipe, bundles[name].metrics
        table.add_row(
            str(rank),
            name,
            *(str(recipe[key]) for key in shown),
            f"{metrics['best_epoch']}",
            f"{metrics['held']['accuracy']:.2%}",
            f"{metrics['held']['log_loss']:.4f}",
            f"{metrics['test']['accuracy']:.2%}",
            f"{metrics['training_s']:,.0f} s",
        )
    return table


def ranking_json(order: Sequence[str], bundles: Mapping[str, Bundle], failures: Mapping[str, str]) -> dict[str, Any]:
    """{"candidates": the best first, each with its plan, version and figures; "failed": {name: reason}}."""
    return {
        "candidates": [
            {
                "rank": rank,
                "name": name,
                "version": bundles[name].version,
                "plan": {"recipe" if key == "name" else key: bundles[name].recipe[key] for key in _PLAN},
                "metrics": bundles[name].metrics,
            }
            for rank, name in enumerate(order, 1)
        ],
        "failed": dict(failures),
    }
