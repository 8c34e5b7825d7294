"""Addresses in, whether anything listens at one of them out: quick to know, and no client is opened for it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

CONNECT_S = 1.0


def refusals(addresses: Sequence[tuple[str, int]]) -> list[OSError]:
    """Why each of the addresses (host, port) takes no connection, in order; none where one of them does."""
    errors = []
    for address in addresses:
        try:
            socket.create_connection(address, CONNECT_S).close()
            return []
        except OSError as error:
            errors.append(error)
    return errors
