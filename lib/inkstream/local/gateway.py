"""The gateway as a process of the local folder: the page that `demo --keep` leaves open."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import httpx

from inkstream.local.ports import LOOPBACK
from inkstream.local.process import EmbeddedService

CALM_S = 5.0


class Gateway(EmbeddedService):
    """`serve` on the loopback address."""

    name = "gateway"
    usual_ports: ClassVar[Mapping[str, int]] = {"port": 8000}

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return f"http://{self.endpoint}/"

    @property
    def work_folder(self) -> Path:
        """The caller's own: relative paths in the settings mean the same."""
        return Path.cwd()

    def command(self) -> list[str]:
        arguments = ["serve", "--host", LOOPBACK, "--port", str(self.ports["port"])]
        return [str(Path(sys.executable).parent / "inkstream"), *arguments]

    def environment(self) -> dict[str, str]:
        """The addresses of services that only the caller knows."""
        return {
            "INKSTREAM_KAFKA__BOOTSTRAP_SERVERS": self.settings.kafka.servers,
            "INKSTREAM_CASSANDRA__CONTACT_POINTS": ",".join(self.settings.cassandra.hosts),
            "INKSTREAM_CASSANDRA__PORT": str(self.settings.cassandra.port),
        }

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}readyz", timeout=CALM_S).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
