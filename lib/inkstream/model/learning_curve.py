"""The epochs of a training in, a picture of its learning curve out."""

from __future__ import annotations

from pathlib import Path

from inkstream.model.checkpoints import EpochEnd, best_of

LEARNING_CURVE = "learning-curve.png"


def draw_learning_curve(history: list[EpochEnd], title: str, path: Path) -> None:
    """Loss and wrong answers by epoch, of the pictures learnt from and of those held back; the kept epoch is marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

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
        axes.set_yscale("log" if all(value > 0 for line in axes.lines for value in line.get_ydata()) else "linear")
        axes.axvline(best.epoch, color="0.6", lw=1, ls=":", label=f"kept: epoch {best.epoch}")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)
