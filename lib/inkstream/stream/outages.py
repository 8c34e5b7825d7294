"""A stream that makes no progress in; on the log, which of its ends takes no connections, and that it does again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from inkstream.settings import Settings
from inkstream.store.reach import refusals

log = logging.getLogger(__name__)

QUIET_S = 15.0  # Spark reports every 10 s even when there is nothing to do
AGAIN_S = 5.0

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
                self._tell(name, addresses, refusals(addresses))

    def _tell(self, name: str, addresses: Sequence[Address], errors: Sequence[OSError]) -> None:
        at = ", ".join(f"{host}:{port}" for host, port in addresses)
        if errors and name not in self._away:
            self._away.add(name)
            refusal = errors[-1].strerror or str(errors[-1])
            log.warning("%s takes no connection at %s (%s); the stream waits, nothing is lost", name, at, refusal)
        elif not errors and name in self._away:
            self._away.discard(name)
            log.warning("%s takes connections again at %s", name, at)


def ends_of(settings: Settings) -> dict[str, list[Address]]:
    """Where Kafka and Cassandra should be, as the settings say."""
    return {
        "Kafka": settings.kafka.addresses,
        "Cassandra": [(host, settings.cassandra.port) for host in settings.cassandra.hosts],
    }
