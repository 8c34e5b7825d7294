"""Hostile files in, each read in a child process with limits; what any of them did to its reader, out."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from inkstream.chaos.hostile import hostile
from inkstream.chaos.load import small_samples
from inkstream.model.apart import TOOK_LONGER
from inkstream.model.reading import Reader
from inkstream.records import REJECTED, Reading

TOGETHER = 250  # a few of them large, so that they are held in memory
FAILED = "decode_failed"


@dataclass
class Fuzzed:
    """outcomes: (kind of file, outcome or reason code) -> files. peak_memory: bytes, the most a reading process had.

    broke: number, kind and reason of each file that broke its reader. slow_once: files that took too long, and did not
    when they were read alone.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    broke: list[tuple[int, str, str]] = field(default_factory=list)
    slow_once: int = 0
    peak_memory: int = 0


def fuzz(
    reader: Reader, max_bytes: int, *, files: int, seed: int, keep: Path, tell: Callable[[int], None] = lambda _: None
) -> Fuzzed:
    """Read so many hostile files. One that crashes, hangs or bloats its reader is written to the folder `keep`.

    reader: its limits say how long a file may take and how much memory its process. tell: called with the files done.
    """
    originals, found = read_originals(), Fuzzed()
    for start in range(0, files, TOGETHER):
        numbers = range(start, min(start + TOGETHER, files))
        made = [hostile(number, seed, originals, max_bytes) for number in numbers]
        for number, (kind, data), reading in zip(
            numbers, made, reader.read([data for _, data in made], apart=True), strict=True
        ):
            outcome = _outcome(reading)
            if outcome == FAILED and TOOK_LONGER in (reading.reason or ""):  # the clock counts the machine's other work
                [reading] = reader.read([data], apart=True)
                outcome = _outcome(reading)
                found.slow_once += outcome != FAILED
            found.outcomes[kind, outcome] += 1
            if outcome == FAILED:
                found.broke.append((number, kind, reading.reason or ""))
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{number}").write_bytes(data)
        tell(numbers.stop)
    found.peak_memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return found


def _outcome(reading: Reading) -> str:
    return (reading.reason_code if reading.outcome == REJECTED else reading.outcome) or ""


def read_originals() -> list[bytes]:
    """The small ones of the samples, of every format."""
    return [data for data in small_samples("*_*") if data]
