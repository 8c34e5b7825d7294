"""An hour's summary in, the dashboard's figures and bars out; the templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inkstream.gateway.activity import Summary
from inkstream.gateway.pages.words import DIGITS
from inkstream.records import OUTCOMES


@dataclass(frozen=True, slots=True)
class Row:
    """One bar. share: 0..100 of the longest; text: what is written beside it."""

    name: str
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """figures: (value, meaning). minutes: the columns' (x, height 0..100, tooltip), oldest first."""

    figures: list[tuple[str, str]]
    minutes: list[tuple[int, float, str]]
    peak: int
    digits: list[Row]
    outcomes: list[Row]
    reasons: list[Row]
    total: int


def draw_dashboard(summary: Summary) -> Drawn:
    """What the page shows of the last hour."""
    total = summary.outcomes.total()
    peak = max((count for _, count in summary.minutes), default=0)
    last = summary.minutes[-1][0]
    figures = [
        (f"{total:,}", "answers in the last hour"),
        (f"{summary.minutes[-2][1]:,}", "in the last full minute"),
        (_duration(summary.p50), "half of them were read within"),
        (_duration(summary.p99), "99 of 100 were read within"),
    ]
    minutes = [
        (x, round(100 * count / peak, 1) if peak else 0.0, f"{_ago(last - number)}: {count:,}")
        for x, (number, count) in enumerate(summary.minutes)
    ]
    labels = summary.labels.total()
    others = sorted(summary.labels.keys() - set(DIGITS))
    return Drawn(
        figures=figures,
        minutes=minutes,
        peak=peak,
        digits=_rows(((label, summary.labels[label]) for label in [*DIGITS, *others]), labels),
        outcomes=_rows(((outcome, summary.outcomes[outcome]) for outcome in OUTCOMES), total),
        reasons=_rows(((code.replace("_", " "), count) for code, count in summary.reasons.most_common()), None),
        total=total,
    )


def _rows(counts: Iterable[tuple[str, int]], whole: int | None) -> list[Row]:
    """Bars as long as the largest is; with `whole` each also says its share."""
    kept = list(counts)
    longest = max((count for _, count in kept), default=0) or 1
    return [
        Row(name, round(100 * count / longest, 1), f"{count:,}" + (f" · {100 * count / whole:.1f} %" if whole else ""))
        for name, count in kept
    ]


def _duration(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _ago(minutes: int) -> str:
    return "this minute" if minutes == 0 else "1 minute ago" if minutes == 1 else f"{minutes} minutes ago"
