"""Addresses in, whether anything listens at one of them out: quick to know, and no client is opened for it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

CONNECT_S = 1.0
PATIENCE = 2  # looks without an answer until a service counts as gone


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


class Presence:
    """Whether a service is there, look by look.

    A refusal says that it is gone. Silence may be no more than a busy machine, which takes no connection for a second
    now and then: only several silent looks in a row say so.
    """

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self._addresses = addresses
        self._silent = 0

    def look(self) -> bool:
        """Ask once more, for CONNECT_S per address at the most; whether it counts as there."""
        errors = refusals(self._addresses)
        self._silent = self._silent + 1 if errors else 0
        if not errors:
            return True
        return self._silent < PATIENCE and not all(isinstance(error, ConnectionRefusedError) for error in errors)
