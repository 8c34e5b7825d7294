"""The stream as a process that is struck: started, killed with all that belongs to it, watched by its checkpoint."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from inkstream.local.process import EmbeddedService
from inkstream.local.stream import JOB, Stream
from inkstream.settings import Settings

BATCH_OFFSETS = 400  # small micro-batches: there is always one under way
POLL_S = 0.05
TRIED_AGAIN = (b"Lost task", b"Lost executor", b"are read again, apart")


@dataclass(frozen=True)
class Flight:
    """The micro-batch that was begun and not committed: its number, and its offsets by partition."""

    batch: int
    ranges: dict[int, tuple[int, int]]

    @property
    def uncommitted(self) -> int:
        return sum(until - start for start, until in self.ranges.values())


class Victim(Stream):
    """The stream job on the run's own services, with a checkpoint that can be exchanged."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        batch_offsets: int = BATCH_OFFSETS,
        executors_of: Sequence[EmbeddedService] = (),
    ) -> None:
        super().__init__(settings, folder, bound=True)
        self.batch_offsets = batch_offsets
        self.executors_of = executors_of  # the cluster's workers, where it runs on one
        self.generation = 0

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / f"stream-{self.generation}"

    def command(self) -> list[str]:
        """The stream's own line, with this checkpoint."""
        return [*super().command(), "--quiet", "--checkpoint", str(self.checkpoint)]

    def environment(self) -> dict[str, str]:
        """The stream's own, with the topics, tables and micro-batches of the run."""
        return {
            **super().environment(),
            "INKSTREAM_LOCAL__FOLDER": str(self.folder),
            "INKSTREAM_KAFKA__TOPIC_PREFIX": self.settings.kafka.topic_prefix,
            "INKSTREAM_CASSANDRA__KEYSPACE": self.settings.cassandra.keyspace,
            "INKSTREAM_STREAM__MAX_OFFSETS_PER_TRIGGER": str(self.batch_offsets),
            "INKSTREAM_IMAGE__MAX_PIXELS": str(self.settings.image.max_pixels),
            "INKSTREAM_IMAGE__DECODE_LIMIT_S": str(self.settings.image.decode_limit_s),
        }

    def kill_all(self) -> None:
        """SIGKILL to the driver's JVM, its Python and every worker, at once."""
        process = self.process()
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            for child in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGKILL)
            process.wait(20)
        self.kill()

    def workers(self) -> list[psutil.Process]:
        """The Python processes that decode and predict."""
        return [worker for daemon in self._children("inkstream.stream.daemon") for worker in daemon.children()]

    def drivers(self) -> list[psutil.Process]:
        """The Python process that runs the job; empty where it does not run."""
        return self._children(f"{JOB}.py")

    def _children(self, word: str) -> list[psutil.Process]:
        """Processes below Spark's JVMs with this word in their command line."""
        roots = (service.process() for service in (self, *self.executors_of))
        found = [child for root in roots if root for child in root.children(recursive=True)]
        return [child for child in found if word in " ".join(_line(child))]

    def last_entry(self, name: str) -> Path:
        """The newest file of a log in the checkpoint: `offsets` or `commits`."""
        folder = self.checkpoint / name
        return folder / str(max(_batches(folder)))

    def tried_again(self, since: int) -> bool:
        """Whether the stream says after that byte of its log that a task was lost, or pictures were read again."""
        with self.log_file.open("rb") as file:
            file.seek(since)
            said = file.read()
        return any(words in said for words in TRIED_AGAIN)

    def committed(self) -> int:
        """The last micro-batch that is done; -1 where none is."""
        return max(_batches(self.checkpoint / "commits"), default=-1)

    def flight(self) -> Flight | None:
        """What is under way; None between two micro-batches."""
        begun, done = max(_batches(self.checkpoint / "offsets"), default=-1), self.committed()
        if begun <= done:
            return None
        before = _places(self.checkpoint / "offsets" / str(begun - 1)) if begun else {}
        after = _places(self.checkpoint / "offsets" / str(begun))
        ranges = {partition: (before.get(partition, 0), until) for partition, until in after.items()}
        return Flight(begun, {partition: span for partition, span in ranges.items() if span[1] > span[0]})

    def done_until(self) -> dict[int, int]:
        """The offset after the last that is stored, answered and committed, by partition."""
        done = self.committed()
        return _places(self.checkpoint / "offsets" / str(done)) if done >= 0 else {}

    def await_flight(self, timeout_s: float) -> Flight | None:
        """Wait until something is under way; None where the stream ends or nothing comes."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self.is_running():
            flight = self.flight()
            if flight is not None and flight.uncommitted:
                return flight
            time.sleep(POLL_S)
        return None

    def await_progress(self, beyond: int, timeout_s: float) -> bool:
        """Wait until a micro-batch after `beyond` is done; False where the stream ends, or does nothing for so long."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.committed() > beyond:
                return True
            if not self.is_running():
                return False
            time.sleep(POLL_S)
        return False


def _line(process: psutil.Process) -> list[str]:
    try:
        line: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return line


def _batches(folder: Path) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(name) for name in os.listdir(folder) if name.isdigit()]  # noqa: PTH208 - names alone, many times a second
    return []


def _places(file: Path) -> dict[int, int]:
    """An entry of Spark's offset log: the offset after the last of each partition; empty while it is being written."""
    try:
        topics = json.loads(file.read_text().splitlines()[2])
    except (OSError, ValueError, IndexError):
        return {}
    return {int(partition): until for places in topics.values() for partition, until in places.items()}
