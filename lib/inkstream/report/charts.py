"""Figures in, charts out: SVG text for the page, each with a title, units and words for those who do not see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter, SymmetricalLogLocator

from inkstream.report.counting import BINS
from inkstream.report.figures import Figures

# Told apart by people who see colours differently, too (Okabe and Ito), and by their lightness on grey paper.
INK, GREEN, AMBER, RED, GREY = "#0072b2", "#009e73", "#e69f00", "#d55e00", "#8a8a8a"
STYLE = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "inkstream",
}
WIDE, HALF = (7.2, 2.2), (3.5, 2.3)


@dataclass(frozen=True)
class Chart:
    """svg: the picture's markup. alt: what it shows, in a sentence."""

    svg: str
    alt: str


def draw_charts(figures: Figures, reference: dict[str, Any] | None) -> dict[str, Chart]:
    """Every chart that there are figures for, by its name."""
    drawn: dict[str, Chart] = {"days": _days(figures["days"]), "hours": _hours(figures["hours"])}
    if len(figures["labels"]):
        drawn["labels"] = _labels(figures["labels"], reference)
        drawn["confidences"] = _confidences(figures["confidences"])
    if len(figures["confusion"]):
        drawn["confusion"] = _confusion(figures["confusion"])
        drawn["calibration"] = _calibration(figures["calibration"])
    return drawn


def _chart(size: tuple[float, float], draw: Callable[[Axes], None], alt: str) -> Chart:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # Each chart is in the page's own markup: the names in it must not be those of another chart.
    salt = re.sub(r"\W", "", alt)[:24]
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{salt}-", svg)
    return Chart(re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', r"\1", svg, count=2), alt)


def _days(days: pd.DataFrame) -> Chart:
    def draw(axes: Axes) -> None:
        below = np.zeros(len(days))
        positions = range(len(days))
        for name, colour in (("recognised", GREEN), ("uncertain", AMBER), ("rejected", RED)):
            axes.bar(positions, days[name], bottom=below, color=colour, label=name, width=0.85)
            below += days[name].to_numpy()
        step = max(1, len(days) // 10)
        axes.set_xticks(list(positions)[::step], [f"{day:%d %b}" for day in days.date][::step])
        axes.set_title("Pictures a day, by outcome")
        axes.set_ylabel("pictures")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.grid(axis="y", alpha=0.3)
        axes.legend(ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)

    most = days.loc[days.pictures.idxmax()]
    alt = f"Bar chart of {len(days)} days: the fullest is {most.date:%d %B %Y} with {most.pictures:,} pictures."
    return _chart(WIDE, draw, alt)


def _hours(hours: pd.DataFrame) -> Chart:
    counts = _filled(hours, "hour", 24)

    def draw(axes: Axes) -> None:
        axes.bar(range(24), counts, color=INK)
        axes.set_xticks(range(0, 24, 3))
        axes.set_title("Pictures by hour of the day")
        axes.set_xlabel("hour")
        axes.set_ylabel("pictures")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        axes.grid(axis="y", alpha=0.3)

    most = int(np.argmax(counts))
    return _chart(HALF, draw, f"Bar chart by hour: most pictures come between {most} and {most + 1} o'clock.")


def _labels(labels: pd.DataFrame, reference: dict[str, Any] | None) -> Chart:
    def draw(axes: Axes) -> None:
        axes.bar(labels.label, labels.share, color=INK, label="answers")
        if reference is not None:
            total = sum(reference["labels"].values())
            shares = [reference["labels"].get(label, 0) / total for label in labels.label]
            axes.plot(labels.label, shares, "_", color="black", markersize=13, mew=1.5, label="training data")
            axes.legend(ncols=2, loc="lower center", fontsize=7, framealpha=0.9)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_title("Share of each digit")
        axes.set_ylabel("share of the answers")
        axes.grid(axis="y", alpha=0.3)

    most = labels.loc[labels.share.idxmax()]
    return _chart(HALF, draw, f"Bar chart by answered label: {most.label} is the most frequent with {most.share:.1%}.")


def _confidences(confidences: pd.DataFrame) -> Chart:
    counts = _filled(confidences, "bin", BINS)
    steps = [1, 2, 5] if counts.max() < 1000 else [1]

    def draw(axes: Axes) -> None:
        axes.bar((np.arange(BINS) + 0.5) / BINS, np.maximum(counts, 0), width=0.9 / BINS, color=INK)
        axes.set_yscale("symlog", linthresh=10)
        axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=10, subs=steps))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_title("How sure the answers are")
        axes.set_xlabel("confidence")
        axes.set_ylabel("pictures (log scale)")
        axes.grid(axis="y", alpha=0.3)

    high = counts[-1] / counts.sum()
    return _chart(HALF, draw, f"Histogram of the confidence: {high:.1%} of the answers are at least 95 % sure.")


def _confusion(confusion: pd.DataFrame) -> Chart:
    table = confusion.pivot_table(index="truth", columns="label", values="pictures", fill_value=0)
    names = sorted({*table.index, *table.columns})
    table = table.reindex(index=names, columns=names, fill_value=0)
    counts = table.to_numpy(dtype=float)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.argwhere(counts > 0):
            value = shares[row, column]
            axes.text(
                column,
                row,
                _short(counts[row, column]),
                ha="center",
                va="center",
                fontsize=6,
                color="white" if value > 0.5 else "black",
            )
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        axes.set_title("Answers against the truth, pictures")
        axes.set_xlabel("answer")
        axes.set_ylabel("truth")
        for spine in axes.spines.values():
            spine.set_visible(False)

    off = counts - np.diag(np.diag(counts))
    if off.any():
        row, column = np.unravel_index(int(off.argmax()), off.shape)
        alt = f"Confusion matrix: the most frequent mistake is {names[row]} read as {names[column]}, "
        alt += f"{int(off[row, column]):,} times."
    else:
        alt = "Confusion matrix: no answer is wrong."
    return _chart(HALF, draw, alt)


def _calibration(calibration: pd.DataFrame) -> Chart:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="as sure as right")
        sizes = 8 + 60 * calibration.pictures / calibration.pictures.max()
        axes.plot(calibration.confidence, calibration.accuracy, color=INK, linewidth=1)
        axes.scatter(calibration.confidence, calibration.accuracy, s=sizes, color=INK, label="answers")
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.05)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_title("Calibration")
        axes.set_xlabel("confidence")
        axes.set_ylabel("right")
        axes.legend(frameon=False, fontsize=7, loc="upper left")
        axes.grid(alpha=0.3)

    worst = (calibration.confidence - calibration.accuracy).abs().max()
    return _chart(HALF, draw, f"Confidence against accuracy: no group is further apart than {worst:.0%}.")


def _filled(frame: pd.DataFrame, name: str, bins: int) -> np.ndarray[Any, Any]:
    return counts_of(dict(zip(frame[name], frame.pictures, strict=True)), range(bins))


def counts_of(counts: dict[Any, int], names: Sequence[Any]) -> np.ndarray[Any, Any]:
    """The counts in the names' order, 0 where there is none: int64 (names,)."""
    return np.array([counts.get(name, 0) for name in names], np.int64)


def _short(count: float) -> str:
    return f"{count / 1000:.0f}k" if count >= 10_000 else f"{count:.0f}"
