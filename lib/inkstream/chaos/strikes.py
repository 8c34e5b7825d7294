"""What is done to the processes: each kind is a function of the arena, and leaves recovery to the round."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from inkstream.chaos.clock import SteppedClock
from inkstream.chaos.disk import SmallDisk
from inkstream.chaos.load import LoadOnDoor
from inkstream.chaos.poison import slow_jpeg
from inkstream.chaos.victim import Victim
from inkstream.local.gateway import Gateway
from inkstream.local.process import EmbeddedService
from inkstream.local.services import RunningServices
from inkstream.settings import ImageSettings
from inkstream.store.kafka_client import build_producer

PAUSE_S = (2.0, 6.0)
STEP_S = (30.0, 300.0)
FULL_S = 60.0
POISONED_S = 120.0
# With these, one picture can be within every limit but that of time, on a fast machine too; see poison.py.
POISONED = ImageSettings(max_pixels=1_000_000_000, decode_limit_s=8.0)


@dataclass
class Arena:
    """What can be struck; what is None, or empty in `services`, is not there, and its kinds are left out."""

    victim: Victim
    services: RunningServices
    random: random.Random
    gateway: Gateway | None = None
    door: LoadOnDoor | None = None
    disk: SmallDisk | None = None
    clock: SteppedClock | None = None
    poisoned: list[str] = field(default_factory=list)  # ids of what was acknowledged

    def pause(self) -> None:
        """An outage of a few seconds."""
        time.sleep(self.random.uniform(*PAUSE_S))


def kill_driver(arena: Arena) -> None:
    """SIGKILL to Spark's JVM, the Python driver and, where they are its own, all workers."""
    arena.victim.kill_all()


def kill_python_worker(arena: Arena) -> None:
    """SIGKILL to one Python worker; Spark tries its task again."""
    workers = arena.victim.workers()
    if workers:
        _kill(arena.random.choice(workers))


def kill_executor(arena: Arena) -> None:
    """SIGKILL to an executor of the cluster with its Python workers; the master starts another one."""
    executors = list(_executors(arena.services.workers))
    if executors:
        _kill(arena.random.choice(executors))


def kill_spark_worker(arena: Arena) -> None:
    """SIGKILL to a worker of the cluster, and back after some seconds; its executors end with it."""
    _bounce(arena, arena.services.workers)


def freeze_driver(arena: Arena) -> None:
    """SIGSTOP to Spark's JVM for some seconds, as a long pause of a virtual machine, then SIGKILL."""
    process = arena.victim.process()
    if process is not None:
        process.suspend()
        arena.pause()
    arena.victim.kill_all()


def kill_broker(arena: Arena) -> None:
    """SIGKILL to one broker of several, and back after some seconds."""
    _bounce(arena, arena.services.brokers)


def kill_kafka(arena: Arena) -> None:
    """SIGKILL to all brokers, and back after some seconds."""
    _bounce_all(arena, arena.services.brokers)


def kill_node(arena: Arena) -> None:
    """SIGKILL to one node of several, and back after some seconds."""
    _bounce(arena, arena.services.nodes)


def kill_cassandra(arena: Arena) -> None:
    """SIGKILL to all nodes, and back after some seconds."""
    _bounce_all(arena, arena.services.nodes)


def kill_gateway(arena: Arena) -> None:
    """SIGKILL to the gateway while pictures are uploaded to it, and back after some seconds."""
    if arena.gateway:
        _bounce(arena, [arena.gateway])


def kill_everything(arena: Arena) -> None:
    """A power cut: all brokers, all nodes and the stream at once."""
    arena.victim.kill_all()
    _bounce_all(arena, [*arena.services.brokers, *arena.services.nodes])


def truncate_checkpoint(arena: Arena) -> None:
    """The driver killed, and the last entry of its offset log cut in half, as a full disk leaves it."""
    arena.victim.kill_all()
    entry = arena.victim.last_entry("offsets")
    entry.write_bytes(entry.read_bytes()[: entry.stat().st_size // 2])


def lose_commit(arena: Arena) -> None:
    """The driver killed, and the last entry of its commit log gone: a micro-batch that was done is done again."""
    arena.victim.kill_all()
    arena.victim.last_entry("commits").unlink()


def fill_disk(arena: Arena) -> None:
    """No byte of room for the checkpoint, until the stream has ended for it, and then room again."""
    if arena.disk is None:
        return
    arena.disk.fill()
    until = time.monotonic() + FULL_S
    while arena.victim.is_running() and time.monotonic() < until:
        time.sleep(0.1)
    arena.disk.free()


def step_clock(arena: Arena) -> None:
    """The wall clock of every process some minutes ahead or behind at once, and right again after some seconds."""
    if arena.clock is None:
        return
    arena.clock.step(arena.random.choice((-1, 1)) * arena.random.uniform(*STEP_S))
    arena.pause()
    arena.clock.step(0.0)


def poison(arena: Arena) -> None:
    """A picture that takes the worker which reads it beyond every limit of time; waits until the stream has done it."""
    settings = arena.victim.settings
    id_ = f"poison-{len(arena.poisoned) + 1}"
    producer = build_producer(settings.kafka, max_request_size=settings.image.max_message_bytes)
    try:
        sent = producer.send(settings.kafka.uploaded, slow_jpeg(), id_.encode()).get(timeout=60)
    finally:
        producer.close()
    arena.poisoned.append(id_)
    until = time.monotonic() + POISONED_S
    while arena.victim.done_until().get(sent.partition, 0) <= sent.offset and time.monotonic() < until:
        time.sleep(0.1)


def _bounce(arena: Arena, services: Sequence[EmbeddedService]) -> None:
    _bounce_all(arena, [arena.random.choice(services)] if services else [])


def _bounce_all(arena: Arena, services: Sequence[EmbeddedService]) -> None:
    for service in services:
        service.kill()
    arena.pause()
    for service in services:
        service.launch()
    for service in services:
        service.await_ready()


def _executors(workers: Sequence[EmbeddedService]) -> Iterator[psutil.Process]:
    for worker in workers:
        process = worker.process()
        yield from process.children() if process else []


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


@dataclass(frozen=True)
class Strike:
    """do: strikes. possible: whether the arena has what is struck. without: what is missing where it has not."""

    do: Callable[[Arena], None]
    possible: Callable[[Arena], object] = lambda _: True
    without: str = ""


def _of_spark(do: Callable[[Arena], None]) -> Strike:
    return Strike(do, lambda arena: arena.services.workers, "a cluster of Spark's (--workers)")


STRIKES: dict[str, Strike] = {
    "driver killed": Strike(kill_driver),
    "driver frozen": Strike(freeze_driver),
    "Python worker killed": Strike(kill_python_worker),
    "executor killed": _of_spark(kill_executor),
    "Spark worker killed": _of_spark(kill_spark_worker),
    "one broker killed": Strike(kill_broker, lambda arena: len(arena.services.brokers) > 1, "several --brokers"),
    "Kafka killed": Strike(kill_kafka, lambda arena: arena.services.brokers, "a Kafka of its own"),
    "one node killed": Strike(kill_node, lambda arena: len(arena.services.nodes) > 1, "several --nodes"),
    "Cassandra killed": Strike(kill_cassandra, lambda arena: arena.services.nodes, "a Cassandra of its own"),
    "gateway killed": Strike(kill_gateway, lambda arena: arena.gateway, "a gateway"),
    "power cut": Strike(kill_everything, lambda arena: arena.services.brokers, "services of its own"),
    "offset log cut": Strike(truncate_checkpoint),
    "commit lost": Strike(lose_commit),
    "disk full": Strike(fill_disk, lambda arena: arena.disk, "the right to mount a small disk"),
    "clock stepped": Strike(step_clock, lambda arena: arena.clock, "a libfaketime for this machine"),
    "poison picture": Strike(poison, lambda arena: arena.victim.settings.image == POISONED, "limits that it breaks"),
}


def possible_kinds(arena: Arena) -> list[str]:
    """The names of the kinds that the arena has what it takes for."""
    return [name for name, strike in STRIKES.items() if strike.possible(arena)]
