"""What CPU time goes into: the kernel's own lines, a process that is here, and the table that it becomes."""

from __future__ import annotations

import time
from collections import Counter

import psutil
import pytest
from rich.console import Console

from benchmarks.cpu_profile import (
    CASSANDRA,
    ENDED,
    TICK_S,
    between,
    group_of,
    name_and_seconds,
    thread_seconds,
)
from benchmarks.figures import OURS, Case, Outcome, report_of
from benchmarks.showing import show

SPENT = Case(
    "a drain",
    "warm_per_s",
    True,
    {OURS: [{"warm_per_s": 2.0}] * 3, "other": [{"warm_per_s": 1.0}] * 3},
    spent={
        OURS: [{"Cassandra: requests": 60.0, "Kafka": 30.0}, {"Cassandra: requests": 90.0, "Kafka": 10.0}] * 2,
        "other": [{"Kafka": 20.0, "Cassandra: compaction": 0.1}],
    },
)


def test_a_threads_name_may_hold_brackets_and_blanks() -> None:
    line = "71 (a (b) c) S " + " ".join(str(number) for number in range(4, 53))
    assert name_and_seconds(line) == ("a (b) c", (14 + 15) * TICK_S)


@pytest.mark.parametrize(
    ("name", "group"),
    [("SharedPool-Work", "requests"), ("C2 CompilerThre", "compiling"), ("GC Thread#1", "garbage collection"),
     ("PERIODIC-COMMIT", "commit log"), ("ScheduledTasks:", "the rest")],
)  # fmt: skip
def test_a_thread_is_told_by_the_beginning_of_its_name(name: str, group: str) -> None:
    assert group_of(name, CASSANDRA) == group


def test_a_processes_threads_and_those_that_ended_are_all_that_it_spent() -> None:
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    process = psutil.Process()
    name = process.name()[:4]
    first = thread_seconds(process, {"named": (name,)})
    times = process.cpu_times()
    assert first["named"] > 0
    assert first[ENDED] >= 0
    assert first.total() == pytest.approx(times.user + times.system, abs=0.1)


def test_what_was_spent_between_two_counts_is_microseconds_an_image() -> None:
    first, second = (
        Counter({"Kafka": 1.0, "Cassandra: requests": 2.0}),
        Counter({"Kafka": 1.5, "Cassandra: requests": 2}),
    )
    assert between(first, second, 1_000) == {"Kafka": 500.0}


def test_the_table_has_what_counts_and_the_report_the_medians() -> None:
    console = Console(width=120, record=True)
    show(Outcome("drain", "how", [SPENT]), console)
    text = console.export_text()
    assert "75.0" in text
    assert "79%" in text  # of 75 and 20
    assert "compaction" not in text  # less than a hundredth
    [case] = report_of([Outcome("drain", "how", [SPENT])], {})["benchmarks"]["drain"]["cases"]
    assert case["contenders"][OURS]["cpu_us_per_image"] == {"Cassandra: requests": 75.0, "Kafka": 20.0}
