from __future__ import annotations

from typing import Any

import pytest

from inkstream.gateway.activity import MINUTES, SAMPLES, Activity


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000 * 60.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def activity(clock: Clock) -> Activity:
    return Activity(clock)


def _answer(label: str | None = "7", queued_ms: float = 100.0, **columns: Any) -> dict[str, Any]:
    return {"outcome": "recognised", "label": label, "stage_times": {"queued_ms": queued_ms}, **columns}


def test_nothing_has_happened_before_the_first_answer(activity: Activity) -> None:
    summary = activity.summary()
    assert [count for _, count in summary.minutes] == [0] * MINUTES
    assert (summary.p50, summary.p99) == (None, None)


def test_answers_are_counted_to_the_minute_in_which_they_came(activity: Activity, clock: Clock) -> None:
    activity.add(_answer())
    clock.now += 120
    activity.add(_answer("3"))
    activity.add(_answer(None, outcome="rejected", reason_code="blank"))
    summary = activity.summary()
    assert [count for _, count in summary.minutes][-3:] == [1, 0, 2]
    assert summary.minutes[-1][0] == 1_000_002
    assert summary.labels == {"7": 1, "3": 1}
    assert summary.outcomes == {"recognised": 2, "rejected": 1}
    assert summary.reasons == {"blank": 1}


def test_what_is_older_than_an_hour_is_gone(activity: Activity, clock: Clock) -> None:
    activity.add(_answer())
    clock.now += 59 * 60
    assert activity.summary().labels == {"7": 1}
    clock.now += 60
    summary = activity.summary()
    assert summary.labels == {}
    assert summary.p50 is None


def test_half_and_nearly_all_of_the_times_lie_within_the_two_figures(activity: Activity) -> None:
    for ms in range(1, 201):
        activity.add(_answer(queued_ms=float(ms)))
    assert (activity.summary().p50, activity.summary().p99) == (100.0, 198.0)


def test_memory_stays_bounded(activity: Activity) -> None:
    for _ in range(SAMPLES + 10):
        activity.add(_answer())
    assert len(activity._times) == SAMPLES
