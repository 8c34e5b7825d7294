"""Wanted ports in, free ports on loopback out."""

from __future__ import annotations

import socket
from random import SystemRandom

from inkstream.errors import SetupError

LOOPBACK = "127.0.0.1"
CHOSEN = range(20_000, 32_768)  # from 32768 on, Linux gives ports to outgoing connections
TRIES = 100


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server can listen on the port of a loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def is_open(port: int, host: str = LOOPBACK) -> bool:
    """Whether something listens on the port of a loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """A port that nothing listens on, and that no connection gets by chance before a server does."""
    for port in SystemRandom().sample(CHOSEN, TRIES):
        if is_free(port):
            return port
    raise SetupError(f"No free port between {CHOSEN.start} and {CHOSEN.stop - 1} was found on {LOOPBACK}")


def demanded_port(port: int, setting: str) -> int:
    """The port that a setting names. Raises SetupError where something else listens there."""
    if not is_free(port):
        raise SetupError(
            f"The port {port} ({setting}) is taken by another program; free it, "
            f"or set {setting} = 0 to let a free one be chosen"
        )
    return port
