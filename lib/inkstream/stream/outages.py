"""A stream that makes no progress in; on the log, which of its ends takes no connections, and that it does again."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from inkstream.settings import Settings

log = logging.getLogger(__name__)

QUIET_S = 15.0  # Spark reports every 10 s even when there is nothing to do
AGAIN_S = 5.0
CONNECT_S = 1.0

Address = tuple[str, int]


class Outages:
    """Looks only while the stream is quiet: brokers with TLS log each connection that says nothing."""

    def __init__(self, ends: Mapping[str, Sequence[Address]]) -> None:
        self._ends = ends
        self._away: set[str] = set()
        self._seen: Any = None
        self._due = monotonic() + QUIET_S

    def look(self, progress: dict[str, Any] | None) -> None:
        """Take the query's last progress in; connect to the ends where it has been the same for long."""
        at = (progress or {}).get("timestamp")
        now = monotonic()
        if at != self._seen:
            self._seen, self._due = at, now + QUIET_S
        elif now >= self._due:
            self._due = now + AGAIN_S
            for name, addresses in self._ends.items():
                self._tell(name, addresses, _refusal(addresses))

    def _tell(self, name: str, addresses: Sequence[Address], refusal: str) -> None:
        at = ", ".join(f"{host}:{port}" for host, port in addresses)
        if refusal and name not in self._away:
            self._away.add(name)
            log.warning("%s takes no connection at %s (%s); the stream waits, nothing is lost", name, at, refusal)
        elif not refusal and name in self._away:
            self._away.discard(name)
            log.warning("%s takes connections again at %s", name, at)


def ends_of(settings: Settings) -> dict[str, list[Address]]:
    """Where Kafka and Cassandra should be, as the settings say."""
    brokers = [server.strip().rpartition(":") for server in settings.kafka.servers.split(",") if server.strip()]
    return {
        "Kafka": [(host, int(port)) for host, _, port in brokers if port.isdigit()],
        "Cassandra": [(host, settings.cassandra.port) for host in settings.cassandra.hosts],
    }


def _refusal(addresses: Sequence[Address]) -> str:
    """Why none of the addresses takes a connection; blank where one does."""
    said = ""
    for address in addresses:
        try:
            socket.create_connection(address, CONNECT_S).close()
            return ""
        except OSError as error:
            said = error.strerror or str(error)
    return said
