"""Figures in, what a terminal shows out."""

from __future__ import annotations

from rich.table import Table

from inkstream.evaluation.measuring import Figures


def figures_tables(figures: Figures) -> list[Table]:
    """The figures in short, then class by class with what each is taken for most often."""
    low, high = figures.interval
    short = Table("accuracy", "95 % interval", "wrong", "ECE", "log-loss", "uncertain", "mistakes among them")
    short.add_row(
        f"{figures.accuracy:.2%}",
        f"{low:.2%} - {high:.2%}",
        f"{figures.wrong:,} of {figures.pictures:,}",
        f"{figures.ece:.2%}",
        f"{figures.log_loss:.4f}",
        f"{figures.threshold.uncertain:.2%}",
        f"{figures.threshold.mistakes_caught:.0%}",
    )
    classes = Table("label", "pictures", "precision", "recall", "most often taken for")
    for column in classes.columns[1:4]:
        column.justify = "right"
    for place, one in enumerate(figures.classes):
        others = {figures.labels[to]: n for to, n in enumerate(figures.confusion[place]) if to != place and n}
        taken = sorted(others.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        told = ", ".join(f"{label} ({count})" for label, count in taken)
        classes.add_row(one.label, f"{one.pictures:,}", _percent(one.precision), _percent(one.recall), told)
    return [short, classes]


def watch_line(epoch: int, figures: Figures) -> str:
    """One checkpoint's figures."""
    low, high = figures.interval
    return (
        f"epoch {epoch:>3}: accuracy {figures.accuracy:.2%} ({low:.2%} - {high:.2%}), wrong {figures.wrong:,}, "
        f"log-loss {figures.log_loss:.4f}, ECE {figures.ece:.2%}"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
