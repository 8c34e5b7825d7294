"""A contender's processes by what they do, what CPU time they took, and how much memory each of them holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from inkstream.chaos.soak import own_memory
from inkstream.settings import MIB

DAEMONS = ("inkstream.stream.daemon", "benchmarks.counting_daemon")
JVM, DRIVER, WORKER, OTHER = "jvm", "driver", "worker", "other"


def kind_of(line: Sequence[str], parent: Sequence[str]) -> str:
    """What a process is, by its own command line and its parent's: the daemon's children have the daemon's line."""
    words = " ".join(line)
    if any(name in words for name in DAEMONS):
        return WORKER if any(name in " ".join(parent) for name in DAEMONS) else OTHER
    if line and line[0].endswith("java"):
        return JVM
    if "benchmarks.plain_consumer" in words:
        return WORKER
    return DRIVER if any(part.endswith(".py") for part in line) else OTHER


def by_kind(processes: Sequence[psutil.Process]) -> Mapping[str, list[psutil.Process]]:
    """The processes that are still there, by JVM, DRIVER (the job's Python), WORKER and OTHER."""
    found: dict[str, list[psutil.Process]] = {kind: [] for kind in (JVM, DRIVER, WORKER, OTHER)}
    for process in processes:
        with suppress(psutil.Error):
            parent = process.parent()
            found[kind_of(process.cmdline(), parent.cmdline() if parent else [])].append(process)
    return found


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """User and system time of the processes so far, their ended children's with it."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """MiB: resident of the largest JVM, driver and worker, and what all hold of their own. workers: how many."""
    kinds = by_kind(processes)
    figures = {f"{kind}_mib": max(map(_resident_mib, kinds[kind])) for kind in (JVM, DRIVER, WORKER) if kinds[kind]}
    return {
        **figures,
        "workers": len(kinds[WORKER]),
        "own_mib": sum(own_memory(process.pid) for process in processes) / MIB,
    }


def _resident_mib(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_info().rss) / MIB
    return 0.0
