"""Answers in as they come, the last hour in numbers out: what the dashboard shows. Memory is bounded."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import time
from typing import Any

MINUTES = 60
SAMPLES = 5_000  # of the newest answers' times


@dataclass
class Minute:
    """The answers of one minute. number: minutes since the epoch."""

    number: int
    outcomes: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Summary:
    """minutes: (minute, answers), the last 60, oldest first. p50, p99: milliseconds, None without answers."""

    minutes: list[tuple[int, int]]
    outcomes: Counter[str]
    labels: Counter[str]
    reasons: Counter[str]
    p50: float | None
    p99: float | None


class Activity:
    """Counts of the last hour, fed by one thread and read by others."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._times: deque[float] = deque(maxlen=SAMPLES)

    def add(self, answer: dict[str, Any]) -> None:
        """Count an answer, as images.predicted holds it, to the minute of now."""
        number = int(self._clock() // 60)
        with self._lock:
            if not self._minutes or self._minutes[-1].number < number:
                self._minutes.append(Minute(number))
            minute = self._minutes[-1]
            minute.outcomes[answer["outcome"]] += 1
            if answer.get("label") is not None:
                minute.labels[answer["label"]] += 1
            if answer.get("reason_code"):
                minute.reasons[answer["reason_code"]] += 1
            queued = (answer.get("stage_times") or {}).get("queued_ms")
            if queued is not None:
                self._times.append(queued)

    def summary(self) -> Summary:
        """The last hour as it stands."""
        now = int(self._clock() // 60)
        with self._lock:
            recent = [minute for minute in self._minutes if minute.number > now - MINUTES]
            counts = {minute.number: minute.outcomes.total() for minute in recent}
            times = sorted(self._times) if recent else []
            return Summary(
                minutes=[(number, counts.get(number, 0)) for number in range(now - MINUTES + 1, now + 1)],
                outcomes=sum((minute.outcomes for minute in recent), Counter()),
                labels=sum((minute.labels for minute in recent), Counter()),
                reasons=sum((minute.reasons for minute in recent), Counter()),
                p50=_share(times, 0.50),
                p99=_share(times, 0.99),
            )


def _share(ordered: list[float], share: float) -> float | None:
    """The value that this share of the values does not exceed (nearest rank)."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)]
