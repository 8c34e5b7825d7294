"""A stream under a steady load, for minutes or hours, in; how memory, files and disk of each process grow, out."""

from __future__ import annotations

import csv
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import psutil

from inkstream.chaos.load import Load
from inkstream.chaos.victim import Victim
from inkstream.errors import ServiceError, SetupError
from inkstream.local.java import java_home
from inkstream.local.process import EmbeddedService
from inkstream.settings import Settings

FIRST_ANSWER_S = 300.0
WARM_UP_MOST_S = 600.0
EVERY_MOST_S = 30.0
LOOKS = 30  # in a short soak
FEWEST = 3  # that count, however slow the machine
COLLECT_S = 120
FOLDERS = {"checkpoint": "checkpoints", "Kafka's disk": "data/kafka", "Cassandra's disk": "data/cassandra"}


@dataclass(frozen=True)
class Look:
    """One look at a process, or at a folder.

    at_s: seconds since the load began. size: bytes; of a process its own memory, as `own_memory` counts it.
    files: open descriptors, or files in the folder. live_heap: bytes that a full collection leaves.
    """

    at_s: float
    size: int
    files: int
    live_heap: int | None = None


@dataclass(frozen=True)
class Growth:
    """What became of one of them between the warm-up and the end, each the median of three looks.

    size_per_hour, heap_per_hour: bytes; the median slope of all pairs of looks (Sen 1968), which odd ones do not move.
    """

    name: str
    first: Look
    last: Look
    size_per_hour: float
    heap_per_hour: float | None


@dataclass(frozen=True)
class Soaked:
    """minutes: what counted, without the warm-up. behind: uploads not answered yet when the load ended.

    looks: by process or folder, all of them in the order of time, those of the warm-up too.
    """

    minutes: float
    sent: int
    behind: int
    growths: list[Growth]
    looks: dict[str, list[Look]]


def soak(
    settings: Settings,
    folder: Path,
    services: Sequence[EmbeddedService],
    *,
    minutes: float,
    rate: float,
    tell: Callable[[float], None] = lambda _: None,
) -> Soaked:
    """Upload `rate` pictures a second for so long, and look at the stream's processes and at the services meanwhile.

    The first third, at most ten minutes, is the warm-up. tell: called after each look with the seconds done.

    Raises:
        ServiceError: the stream answers nothing.
        StreamEnded: the stream ended by itself.
        SetupError: the Java in use has no jcmd, which asks a JVM what a collection leaves.
    """
    jcmd = find_jcmd()
    total_s = minutes * 60
    every_s, warm_s = min(EVERY_MOST_S, total_s / LOOKS), min(WARM_UP_MOST_S, total_s / 3)
    stream = Victim(settings, folder, settings.stream.max_offsets_per_trigger)
    load = Load(settings, rate, seed=1, names="clean_*")  # photographs in such numbers would keep no pace
    looks: dict[str, list[Look]] = {}
    stream.launch()
    try:
        with load.running():
            if not stream.await_progress(-1, FIRST_ANSWER_S):
                stream.check()
                raise ServiceError(f"the stream answered nothing in {FIRST_ANSWER_S:.0f} s; see {stream.log_file}")
            began, counted = time.monotonic(), 0
            while (at_s := time.monotonic() - began) < total_s or counted < FEWEST:
                stream.check()
                counted += at_s >= warm_s
                for name, look in _look_around(at_s, stream, services, folder, jcmd):
                    looks.setdefault(name, []).append(look)
                tell(at_s)
                time.sleep(max(0.0, began + at_s + every_s - time.monotonic()))
            behind = load.sent - sum(stream.done_until().values())
    finally:
        stream.stop()
    warm = {name: [look for look in some if look.at_s >= warm_s] for name, some in looks.items()}
    return Soaked(
        (total_s - warm_s) / 60, load.sent, behind, [growth_of(name, some) for name, some in warm.items()], looks
    )


def write_looks(looks: Mapping[str, Sequence[Look]], path: Path) -> None:
    """A CSV file with a line for each look: name, at_s, size, files, live_heap (empty where it has none)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *(field.name for field in fields(Look))])
        writer.writerows([name, *astuple(look)] for name, some in looks.items() for look in some)


def growth_of(name: str, looks: Sequence[Look]) -> Growth:
    """Looks in the order of time; two at least."""
    heaps = [(look.at_s, look.live_heap) for look in looks if look.live_heap is not None]
    return Growth(
        name,
        _middle(looks[:3]),
        _middle(looks[-3:]),
        3600 * _slope([(look.at_s, look.size) for look in looks]),
        3600 * _slope(heaps) if heaps else None,
    )


def find_jcmd() -> Path:
    """Where the Java in use has its jcmd. Raises SetupError where it has none."""
    jcmd = java_home() / "bin" / "jcmd"
    if not jcmd.is_file():
        raise SetupError(f"{jcmd} is missing, and soak needs it: let JAVA_HOME name a JDK, not a JRE, or unset it")
    return jcmd


def live_heap(jcmd: Path, pid: int) -> int | None:
    """Bytes of a JVM's heap that a full collection leaves, from its histogram's last line; None where it just ended."""
    line = [str(jcmd), str(pid), "GC.class_histogram"]
    said = subprocess.run(line, capture_output=True, text=True, timeout=COLLECT_S, check=False).stdout
    totals = [row.split()[2] for row in said.splitlines() if row.startswith("Total")]
    return int(totals[-1]) if totals else None


def _look_around(
    at_s: float, stream: Victim, services: Sequence[EmbeddedService], folder: Path, jcmd: Path
) -> Iterator[tuple[str, Look]]:
    jvms = {"Spark's JVM": stream.process(), **{service.name.capitalize(): service.process() for service in services}}
    for name, process in jvms.items():
        if process:
            yield name, _look(at_s, [process], live_heap(jcmd, process.pid))
    yield "Python driver", _look(at_s, stream.drivers())
    yield "Python workers", _look(at_s, stream.workers())
    for name, place in FOLDERS.items():
        sizes = list(_sizes(folder / place))
        yield name, Look(at_s, sum(sizes), len(sizes))


def _look(at_s: float, processes: Sequence[psutil.Process], heap: int | None = None) -> Look:
    size = files = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            files += process.num_fds()
            size += own_memory(process.pid)
    return Look(at_s, size, files, heap)


def own_memory(pid: int) -> int:
    """Bytes that a process has filled itself, what several share in parts (Linux' Pss_Anon and Pss_Shmem).

    Without the files that it maps, code above all: how many of their pages are counted for it changes with what else on
    the machine maps them, by megabytes. 0 for one that has just ended.
    """
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(1024 * int(row.split()[1]) for row in rows if row.startswith(("Pss_Anon:", "Pss_Shmem:")))


def _sizes(folder: Path) -> Iterator[int]:
    """Bytes of each file below it; what goes away meanwhile is left out."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_size


def _middle(looks: Sequence[Look]) -> Look:
    heaps = [look.live_heap for look in looks if look.live_heap is not None]
    return Look(
        statistics.median(look.at_s for look in looks),
        round(statistics.median(look.size for look in looks)),
        round(statistics.median(look.files for look in looks)),
        round(statistics.median(heaps)) if heaps else None,
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """(x, y) with no x twice in; y per x out."""
    pairs = ((one, other) for n, one in enumerate(points) for other in points[n + 1 :])
    return statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairs)
