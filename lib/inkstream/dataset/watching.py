"""A training's steps in, a progress bar and a line an epoch out; and the table that a bundle ends with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from inkstream.model.bundle import Bundle
from inkstream.model.fitting import Plan, Step


@contextmanager
def watched(plan: Plan, console: Console) -> Iterator[Callable[[Step], None]]:
    """Yield what is told of each step; the plan is a settled one."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=None)
        first: list[int] = []

        def show(step: Step) -> None:
            if not first:
                first.append(step.epoch)
                if step.epoch:
                    console.print(f"going on after epoch {step.epoch} of {plan.epochs}, where it was left")
            progress.update(
                task,
                total=plan.epochs * step.batches,
                completed=step.epoch * step.batches + step.batch,
                description=f"epoch {step.epoch + 1}/{plan.epochs}  loss {step.loss:.4f}  accuracy {step.accuracy:.4f}",
            )
            if step.end is not None:
                held = f"held back: loss {step.end.held_loss:.4f}, accuracy {step.end.held_accuracy:.4f}"
                told = f"epoch {step.end.epoch}: loss {step.loss:.4f}, accuracy {step.accuracy:.4f}; {held}"
                console.print(f"{told}; {step.end.seconds:.1f} s", highlight=False)

        yield show


def bundle_table(bundle: Bundle) -> Table:
    """What a new bundle reached on the pictures held back and on the test set."""
    metrics = bundle.metrics
    best = f", epoch {metrics['best_epoch']} of {metrics['epochs']}" if "epochs" in metrics else ""
    table = Table("", "held back", "test", title=f"{bundle.recipe['name']}{best}", title_justify="left")
    rows = {
        "pictures": "{:,}",
        "wrong": "{:,}",
        "accuracy": "{:.2%}",
        "ece": "{:.2%}",
        "log_loss": "{:.4f}",
        "uncertain_share": "{:.2%}",
        "wrong_among_uncertain": "{:,}",
        "asked_second_share": "{:.2%}",  # of a cascade
        "asked_third_share": "{:.2%}",
    }
    for name, form in rows.items():
        if name not in metrics["test"]:
            continue
        table.add_row(name.replace("_", " "), form.format(metrics["held"][name]), form.format(metrics["test"][name]))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
