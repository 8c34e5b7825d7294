"""What the demo runs on: services and a stream that are there already, or that it starts and ends itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NamedTuple

from inkstream.demo.screen import Screen
from inkstream.local.class_archives import ensure_archives
from inkstream.local.gateway import Gateway
from inkstream.local.services import (
    down,
    external_cassandra,
    external_kafka,
    known_services,
    running_services,
    up,
)
from inkstream.local.stream import Stream
from inkstream.settings import Settings


class DemoStream(NamedTuple):
    """The stream that answers the demo. `is_new`: Spark starts only now."""

    job: Stream
    is_new: bool


_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """A closed terminal, or a `kill`, ends the demo as Ctrl-C does: together with everything that it started."""

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def demo_services(settings: Settings, screen: Screen, *, keep: bool) -> Iterator[Settings]:
    """Yield settings that lead to Kafka and Cassandra; what neither runs nor is elsewhere is started.

    It ends with the block; with `keep` only where the block fails. Raises as services.up.
    """
    known = known_services(settings)
    stopped = {type(service).name for service in known if not service.is_running()}  # kinds: of a cluster one is enough
    elsewhere = {"kafka": external_kafka(settings), "cassandra": external_cassandra(settings)}
    missing = [name for name, address in elsewhere.items() if not address and name in stopped]
    for name, address in elsewhere.items():
        if address:
            screen.done(f"{name.capitalize()} is at {address}, as the settings say")
        elif name not in missing:
            screen.done(f"{name.capitalize()} runs already")
    ensure_archives(settings, "spark", *missing)
    if not missing:
        yield settings
    elif keep:
        yield from _kept(settings, missing, {service.name for service in known if service.is_running()}, screen)
    else:
        yield from _own(settings, missing, screen)


def _own(settings: Settings, missing: Sequence[str], screen: Screen) -> Iterator[Settings]:
    names = _names(missing)
    with ExitStack() as stack:
        with screen.step(f"Starting {names}", f"{names} started"):
            wanted = {name: name in missing for name in ("kafka", "cassandra")}
            running = stack.enter_context(running_services(settings, settings.local.path, **wanted))
        try:
            yield running.settings
        finally:
            with screen.step(f"Stopping {names}", f"{names} stopped"):
                stack.close()


def _kept(settings: Settings, missing: Sequence[str], before: set[str], screen: Screen) -> Iterator[Settings]:
    names = _names(missing)
    with screen.step(f"Starting {names}", f"{names} started"):
        running = up(settings)
    try:
        yield running.settings
    except BaseException:
        with screen.step(f"Stopping {names}", f"{names} stopped"):
            for service in running.all:
                if service.name not in before:
                    service.stop()
            if not any(service.is_running() for service in running.all):
                down(settings)  # nothing is left: the addresses go as well
        raise


@contextmanager
def demo_stream(settings: Settings, screen: Screen, *, keep: bool) -> Iterator[DemoStream]:
    """Yield the stream that answers: one that an earlier `demo --keep` left, else a new one.

    A new one ends with the block; with `keep` only where the block fails. Raises as Stream.launch.
    """
    stream = Stream(settings, settings.local.path, bound=not keep)
    if stream.is_running():
        screen.done("The stream runs already")
        yield DemoStream(stream, is_new=False)
        return
    stream.launch()
    try:
        yield DemoStream(stream, is_new=True)
    except BaseException:
        _stop(stream, screen)
        raise
    if not keep:
        _stop(stream, screen)


def open_page(settings: Settings, screen: Screen) -> str:
    """The address of the web page, which is opened where it is not yet, and stays. Raises as Gateway.start."""
    gateway = Gateway(settings, settings.local.path)
    if gateway.is_running():
        screen.done("The web page is open already")
        return gateway.address
    try:
        with screen.step("Opening the web page", "The web page is open"):
            gateway.start()
    except BaseException:
        gateway.stop()
        raise
    return gateway.address


def _stop(stream: Stream, screen: Screen) -> None:
    with screen.step("Stopping the stream", "The stream stopped"):
        stream.stop()


def _names(services: Sequence[str]) -> str:
    return " and ".join(name.capitalize() for name in services)
