"""Rounds of measurements in; medians, ratios, what is missing, and JSON out. No clock and no service in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

OURS = "InkStream"
FORMAT = 1
COMPARABLE_SHARE = 0.85  # of the plain consumer's recorded rate; under it the machine had something else to do


class Incomplete(Exception):
    """A run that lost something has failed, however fast it was."""


@dataclass(frozen=True)
class Case:
    """One comparison: the same work, once a round by each contender in turn.

    figure: the key of the rounds that the ratios are of. more: more of it is better (a rate), else less (a time).
    rounds: contender -> one dict of figures a round. notes: what a reader of the figures has to know.
    base: whom the others are compared with. spent: contender -> one dict a round of what its CPU time went into, its
    services' with it, in microseconds an image; {} where nobody looked.
    """

    name: str
    figure: str
    more: bool
    rounds: Mapping[str, Sequence[Mapping[str, float]]]
    notes: Sequence[str] = ()
    base: str = OURS
    spent: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)

    def medians(self, contender: str) -> dict[str, float]:
        """Each figure's median over the contender's rounds."""
        return _medians(self.rounds[contender])

    def spent_by(self, contender: str) -> dict[str, float]:
        """What its CPU time went into, medians, the most first."""
        found = _medians(self.spent.get(contender, []))
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def ratio(self, contender: str, figure: str = "") -> float | None:
        """How many times better the base, ours as a rule, is: the median of the rounds' ratios.

        Of each round's own two, so that only neighbours are compared.
        """
        figure = figure or self.figure
        pairs = zip(self.rounds.get(self.base, ()), self.rounds[contender], strict=False)
        both = [(ours[figure], theirs[figure]) for ours, theirs in pairs if figure in ours and figure in theirs]
        ratios = [a / b if self.more else b / a for a, b in both if a and b]
        return median(ratios) if ratios else None

    def as_json(self) -> dict[str, Any]:
        """The case with its medians and ratios."""
        return {
            "name": self.name,
            "figure": self.figure,
            "more_is_better": self.more,
            "base": self.base,
            "notes": list(self.notes),
            "contenders": {
                contender: {
                    "median": self.medians(contender),
                    "ours_is_better_by": None if contender == self.base else self.ratio(contender),
                    "rounds": [dict(one) for one in rounds],
                    **({"cpu_us_per_image": self.spent_by(contender)} if contender in self.spent else {}),
                }
                for contender, rounds in self.rounds.items()
            },
        }


def _medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    keys = [key for key in rounds[0] if all(key in one for one in rounds)] if rounds else []
    return {key: median(one[key] for one in rounds) for key in keys}


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found. method: how it was measured, in a sentence or two."""

    name: str
    method: str
    cases: Sequence[Case]
    left_out: Sequence[str] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "left_out": list(self.left_out),
            "cases": [case.as_json() for case in self.cases],
        }


def report_of(outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a whole run; about: when, with which options, on what machine, with which versions."""
    return {"format": FORMAT, **about, "benchmarks": {outcome.name: outcome.as_json() for outcome in outcomes}}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and max of some values, each one that occurred (the nearest rank)."""
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {name: ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)] for name, share in ranks.items()}


def check_complete(expected: set[str], found: Mapping[str, Sequence[str]]) -> None:
    """See that every id is in every place, counted by id.

    found: a table or topic -> the ids in it, one a row or answer.

    Raises:
        Incomplete: one is missing somewhere, or something is there that was not sent.
    """
    for place, ids in found.items():
        distinct = set(ids)
        if lost := expected - distinct:
            raise Incomplete(f"{place} lacks {len(lost):,} of {len(expected):,} uploads, {min(lost)} for one")
        if strange := distinct - expected:
            raise Incomplete(f"{place} has {len(strange):,} ids that were not sent, {min(strange)} for one")


def comparable(rate: float, recorded: float) -> bool:
    """Whether a contender was as fast as it is on this kind of machine when nothing else runs."""
    return rate >= COMPARABLE_SHARE * recorded


def with_slack(warm_up: int) -> int:
    """How many uploads a micro-batch may take so that the warm-up is one: a share a partition, each rounded down."""
    return warm_up + warm_up // 100


def warm_rate(answered_ms: Sequence[float], warm_up: int) -> float:
    """Answers a second after the warm-up: from its last answer to the last of all, the slack not counted."""
    ordered = sorted(answered_ms)
    seconds = (ordered[-1] - ordered[warm_up - 1]) / 1000
    return (len(ordered) - with_slack(warm_up)) / max(seconds, 0.001)
