"""Whether a service is there: what refuses is gone, what is silent once may only be busy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from inkstream.local.ports import free_port
from inkstream.store.reach import Presence

Address = tuple[str, int]


@pytest.fixture
def busy() -> Iterator[tuple[Address, socket.socket]]:
    """A listener that takes no further connection until its queue is emptied."""
    with ExitStack() as open_ends:
        listening = open_ends.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listening.getsockname()
        for _ in range(8):  # more than the queue holds: the kernel rounds its length up
            client = open_ends.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        yield address, listening


def test_what_refuses_is_gone_at_once() -> None:
    assert not Presence([("127.0.0.1", free_port())]).look()


def test_what_listens_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert Presence([("127.0.0.1", free_port()), listening.getsockname()]).look()


def test_what_is_silent_once_is_there_and_twice_is_gone(busy: tuple[Address, socket.socket]) -> None:
    address, listening = busy
    presence = Presence([address])
    assert [presence.look(), presence.look(), presence.look()] == [True, False, False]
    listening.setblocking(False)
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            break
    assert presence.look()
