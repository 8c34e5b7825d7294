from __future__ import annotations

import socket
from pathlib import Path

import pytest

from inkstream.errors import SetupError
from inkstream.local import ports
from inkstream.local.ports import LOOPBACK, free_port, is_free

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_chosen_port_is_free_and_none_that_an_outgoing_connection_may_get() -> None:
    first, last = map(int, OUTGOING.read_text().split()) if OUTGOING.exists() else (32_768, 60_999)
    chosen = [free_port() for _ in range(20)]
    assert all(map(is_free, chosen))
    assert not [port for port in chosen if first <= port <= last]


def test_a_taken_port_is_passed_over_and_without_a_free_one_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "CHOSEN", range(port, port + 1))
        monkeypatch.setattr(ports, "TRIES", 1)
        with pytest.raises(SetupError, match=f"between {port} and {port}"):
            free_port()
    assert free_port() == port
