"""Two histograms in; how far the one has moved from the other, and a sentence about what moved, out.

The measure is the population stability index, PSI = sum((now - then) * ln(now / then)) over shares. Under no change it
is about chi-squared with (bins - 1) degrees of freedom times (1/n + 1/m) (Yurdakul, Statistical Properties of
Population Stability Index, 2018): few pictures move by chance, and only what chance does not explain is named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

MOVED = 0.1  # the usual reading of the index: under 0.1 nothing, to 0.25 some, from there on much
MUCH = 0.25
CHANCE = 0.001
LEAST_SHARE = 0.5  # of a picture: an empty bin has no logarithm


@dataclass(frozen=True)
class Drift:
    """name: what was compared. index: the PSI. noise: what chance alone reaches once in a thousand times."""

    name: str
    index: float
    noise: float
    pictures: int
    sentence: str

    @property
    def has_moved(self) -> bool:
        return self.index >= MOVED and self.index > self.noise

    @property
    def level(self) -> str:
        """none, some or much."""
        return "none" if not self.has_moved else "much" if self.index >= MUCH else "some"


def compare(name: str, labels: Sequence[str], then: Sequence[int], now: Sequence[int]) -> Drift:
    """The drift between two counts of the same bins, whose names are labels (digits, or ranges such as 10-15 %)."""
    before, after = np.asarray(then, float), np.asarray(now, float)
    used = (before + after) > 0
    index = stability_index(before[used], after[used])
    noise = _noise(int(used.sum()), before.sum(), after.sum())
    drift = Drift(name, index, noise, int(after.sum()), "")
    return Drift(name, index, noise, drift.pictures, _sentence(drift, labels, before, after))


def stability_index(then: np.ndarray, now: np.ndarray) -> float:  # type: ignore[type-arg]
    """The PSI of two counts, float64 (bins,): 0 where their shares are the same. Empty bins count half a picture."""
    if not then.sum() or not now.sum():
        return 0.0
    before = np.maximum(then, LEAST_SHARE) / np.maximum(then, LEAST_SHARE).sum()
    after = np.maximum(now, LEAST_SHARE) / np.maximum(now, LEAST_SHARE).sum()
    return float(((after - before) * np.log(after / before)).sum())


def _noise(bins: int, then: float, now: float) -> float:
    """The index that chance passes with probability CHANCE: Wilson and Hilferty's approximation of chi-squared."""
    freedom = bins - 1
    if freedom < 1 or not then or not now:
        return 0.0
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + NormalDist().inv_cdf(1 - CHANCE) * math.sqrt(spread)) ** 3
    return quantile * (1 / then + 1 / now)


def _sentence(drift: Drift, labels: Sequence[str], then: np.ndarray, now: np.ndarray) -> str:  # type: ignore[type-arg]
    if not drift.pictures:
        return f"The {drift.name} cannot be compared: there are no answers."
    if not drift.has_moved:
        return f"The {drift.name} is that of the training data."
    before, after = then / then.sum(), now / now.sum()
    apart = after - before
    most, least = int(apart.argmax()), int(apart.argmin())
    words = [
        f"{labels[place]} went from {before[place]:.1%} to {after[place]:.1%}"
        for place in dict.fromkeys((most, least))
        if apart[place]
    ]
    verb = "is far from" if drift.level == "much" else "has moved away from"
    return f"The {drift.name} {verb} that of the training data: {', '.join(words)}."


def ink_sentence(then: Sequence[int], now: Sequence[int]) -> str:
    """Whether the strokes are lighter or darker: the means of two histograms of the share of ink."""
    places = np.arange(len(then)) + 0.5
    before, after = (float((places * counts).sum() / max(1, np.sum(counts))) for counts in (then, now))
    change = f"{after / before - 1:+.0%}"
    if change in ("+0%", "-0%"):
        return "On average there is as much ink as in the training data, spread otherwise."
    return f"The strokes are {'lighter' if after < before else 'darker'} ({change} of ink)."
