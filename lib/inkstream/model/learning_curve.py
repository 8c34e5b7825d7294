"""The epochs of a training in, a picture of its learning curve out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inkstream.model.checkpoints import EpochEnd, best_of

LEARNING_CURVE = "learning-curve.png"


def draw_learning_curve(history: list[EpochEnd], title: str, path: Path) -> None:
    """Loss and wrong answers by epoch, of the pictures learnt from and of those held back; the kept epoch is marked."""
    from matplotlib.figure import Figure

    epochs = [end.epoch for end in history]
    best = best_of(history)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [end.loss for end in history], "o-", ms=3, label="training pictures")
    left.plot(epochs, [end.held_loss for end in history], "o-", ms=3, label="held-back pictures")
    left.set_ylabel("loss (log scale)")
    right.plot(epochs, [100 * (1 - end.accuracy) for end in history], "o-", ms=3, label="training pictures")
    right.plot(epochs, [100 * (1 - end.held_accuracy) for end in history], "o-", ms=3, label="held-back pictures")
    right.set_ylabel("wrong, % (log scale)")
    for axes in (left, right):
        _by_epoch(axes)
        axes.axvline(best.epoch, color="0.6", lw=1, ls=":", label=f"kept: epoch {best.epoch}")
    left.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)


def draw_candidates(histories: Mapping[str, list[EpochEnd]], path: Path) -> None:
    """Wrong answers on the held-back pictures by epoch, a line for each candidate, in the order given."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, history in histories.items():
        wrong = [100 * (1 - end.held_accuracy) for end in history]
        axes.plot([end.epoch for end in history], wrong, "o-", ms=3, label=name)
    axes.set_ylabel("wrong of the held-back pictures, %")
    _by_epoch(axes)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def _by_epoch(axes: Any) -> None:
    """Whole epochs along; a logarithmic height where no line has a 0, with numbers that people read: 0.5, 1, 2, 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if not all(value > 0 for line in axes.lines for value in line.get_ydata()):
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
