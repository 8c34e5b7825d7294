"""What was found in; charts as PNG bytes out, each with what it shows in words."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from inkstream.report.clustering import Found
from inkstream.report.profiles import HOURS, Kind

DPI = 160
COLOURS = 20  # of the map below; more clusters repeat them, and each has its number in the plot


@dataclass(frozen=True)
class Chart:
    """png: the picture. words: the same for who does not see it."""

    png: bytes
    words: str
    width: int  # in CSS pixels


def elbow_chart(found: Found) -> Chart:
    """Cost and silhouette against the number of clusters."""
    figure, axes = _figure(6.4, 3.2)
    ks = [candidate.k for candidate in found.elbow]
    axes.plot(ks, [candidate.cost for candidate in found.elbow], "o-", color="#2d5f9a", markersize=4)
    axes.set_xlabel("clusters")
    axes.set_xticks(ks)
    axes.set_ylabel("mean squared distance\nto the own centre", color="#2d5f9a")
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    other.plot(ks, [candidate.silhouette for candidate in found.elbow], "s--", color="#95610a", markersize=4)
    other.set_ylabel("silhouette (-1 to 1)", color="#95610a")
    other.spines[["top"]].set_visible(False)
    chosen = found.clustering.k
    axes.axvline(chosen, color="#1f7a45", linewidth=1, linestyle=":")
    axes.annotate(
        f"{chosen}", (chosen, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom", color="#1f7a45"
    )
    best = max(found.elbow, key=lambda candidate: candidate.silhouette)
    told = f"The silhouette is highest, {best.silhouette:.2f}, at {best.k} clusters; {chosen} were made."
    return _chart(figure, f"Distance and silhouette for {min(ks)} to {max(ks)} clusters, on a sample. {told}")


def scatter_chart(found: Found) -> Chart:
    """A sample of the pictures along the first two principal axes, coloured by cluster."""
    from matplotlib import colormaps

    figure, axes = _figure(6.4, 5.0)
    points = np.array([(x, y, cluster) for x, y, cluster, _ in found.points]).reshape(-1, 3)
    colours = colormaps["tab20"](points[:, 2].astype(int) % COLOURS)
    axes.scatter(points[:, 0], points[:, 1], s=4, c=colours, alpha=0.55, linewidths=0)
    centres = found.clustering.centres
    for number, centre in enumerate(centres):
        y = float(centre[1]) if len(centre) > 1 else 0.0
        axes.annotate(
            _name(found, number),
            (float(centre[0]), y),
            ha="center",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": colormaps["tab20"](number % COLOURS), "lw": 1.2},
        )
    axes.set_xlabel("first principal axis of the embeddings")
    axes.set_ylabel("second")
    words = (
        f"{len(points):,} pictures along the two axes in which they differ most, {len(centres)} clusters in colours. "
    )
    return _chart(figure, words + "Clusters that lie upon each other here are apart along other axes.")


def kind_chart(kind: Kind) -> Chart:
    """A kind's mix of labels and of hours, each summing to 1."""
    figure, labels, hours = _figure(6.4, 1.9, columns=2)
    labels.bar(list(kind.labels), list(kind.labels.values()), color="#2d5f9a")
    labels.set_title("share of each label", fontsize=9, loc="left")
    hours.bar(range(HOURS), kind.hours, color="#95610a")
    hours.set_title("share of each hour (UTC)", fontsize=9, loc="left")
    hours.set_xticks([0, 6, 12, 18, 23])
    for axes in (labels, hours):
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    mix = ", ".join(f"{label} {share:.0%}" for label, share in kind.labels.items())
    busy = max(range(HOURS), key=lambda hour: kind.hours[hour])
    return _chart(figure, f"Labels: {mix}. The busiest hour is {busy:02}:00 with {kind.hours[busy]:.0%}.")


def _name(found: Found, cluster: int) -> str:
    label = found.majority.get(cluster)
    return f"{cluster}" if label is None else f"{cluster}: {label}"


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, ...]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    made = [figure.add_subplot(1, columns, place + 1) for place in range(columns)]
    for axes in made:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
    return figure, *made


def _chart(figure: Any, words: str) -> Chart:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return Chart(buffer.getvalue(), words, int(figure.get_figwidth() * 110))
