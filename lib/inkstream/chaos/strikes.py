"""What is done to the processes: each kind is a function of the arena, and leaves recovery to the round."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inkstream.chaos.victim import Victim
from inkstream.local.process import EmbeddedService

PAUSE_S = (2.0, 6.0)


@dataclass
class Arena:
    """What can be struck. brokers and nodes are empty where they are not this run's own."""

    victim: Victim
    brokers: Sequence[EmbeddedService]
    nodes: Sequence[EmbeddedService]
    random: random.Random

    def pause(self) -> None:
        """An outage of a few seconds."""
        time.sleep(self.random.uniform(*PAUSE_S))


Strike = Callable[[Arena], None]


def kill_driver(arena: Arena) -> None:
    """SIGKILL to Spark's JVM, the Python driver and all workers."""
    arena.victim.kill_all()


def kill_worker(arena: Arena) -> None:
    """SIGKILL to one Python worker; Spark tries its task again."""
    workers = arena.victim.workers()
    if workers:
        arena.random.choice(workers).send_signal(signal.SIGKILL)


def freeze_driver(arena: Arena) -> None:
    """SIGSTOP to Spark's JVM for some seconds, as a long pause of a virtual machine, then SIGKILL."""
    process = arena.victim.pid
    if process is not None:
        import psutil

        psutil.Process(process).suspend()
        arena.pause()
    arena.victim.kill_all()


def kill_kafka(arena: Arena) -> None:
    """SIGKILL to one broker, which may be the only one, and back after some seconds."""
    _bounce(arena, arena.brokers)


def kill_cassandra(arena: Arena) -> None:
    """SIGKILL to one node, which may be the only one, and back after some seconds."""
    _bounce(arena, arena.nodes)


def kill_everything(arena: Arena) -> None:
    """A power cut: all brokers, all nodes and the stream at once."""
    arena.victim.kill_all()
    services = [*arena.brokers, *arena.nodes]
    for service in services:
        service.kill()
    arena.pause()
    for service in services:
        service.launch()
    for service in services:
        service.await_ready()


def truncate_checkpoint(arena: Arena) -> None:
    """The driver killed, and the last entry of its offset log cut in half, as a full disk leaves it."""
    arena.victim.kill_all()
    entry = _last(arena.victim.checkpoint / "offsets")
    entry.write_bytes(entry.read_bytes()[: entry.stat().st_size // 2])


def lose_commit(arena: Arena) -> None:
    """The driver killed, and the last entry of its commit log gone: a micro-batch that was done is done again."""
    arena.victim.kill_all()
    _last(arena.victim.checkpoint / "commits").unlink()


def _bounce(arena: Arena, services: Sequence[EmbeddedService]) -> None:
    if services:
        service = arena.random.choice(services)
        service.kill()
        arena.pause()
        service.start()


def _last(folder: Path) -> Path:
    return max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


STRIKES: dict[str, Strike] = {
    "driver killed": kill_driver,
    "worker killed": kill_worker,
    "driver frozen": freeze_driver,
    "kafka killed": kill_kafka,
    "cassandra killed": kill_cassandra,
    "power cut": kill_everything,
    "offset log cut": truncate_checkpoint,
    "commit lost": lose_commit,
}
