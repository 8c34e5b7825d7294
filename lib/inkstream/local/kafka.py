"""The embedded Kafka in KRaft mode, from its published jars: one broker, or several that are controllers as well."""

from __future__ import annotations

import base64
import logging
import re
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import ClassVar

from inkstream.errors import ServiceError
from inkstream.local.class_archives import archive_options
from inkstream.local.jars import class_path
from inkstream.local.java import SPARING_COMPILER, java_command
from inkstream.local.members import Member
from inkstream.local.process import demanded
from inkstream.settings import MIB, home

log = logging.getLogger(__name__)

HEAP = "384m"
USUAL_REQUEST_BYTES = 100 * MIB


class Kafka(Member):
    name = "kafka"
    plural = "brokers"
    usual_ports: ClassVar[Mapping[str, int]] = {"port": 9092, "controller_port": 9093}

    def usual_port(self, role: str) -> int:
        """9092 and 9093, 9094 and 9095, ...: all brokers are on one address."""
        return super().usual_port(role) + len(self.usual_ports) * (self.number - 1)

    def demanded_ports(self) -> dict[str, int]:
        first = demanded(self.settings.local.kafka_port, "local.kafka_port") if self.number == 1 else {}
        return {**first, **super().demanded_ports()}

    def command(self) -> list[str]:
        properties = self._write_properties()
        if not (self.data_folder / "meta.properties").exists():
            self._format(properties)
        return [
            *self._java(),
            *SPARING_COMPILER,
            f"-Xmx{HEAP}",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:+ExplicitGCInvokesConcurrent",
            "kafka.Kafka",
            str(properties),
        ]

    def answers(self) -> bool:
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            admin = KafkaAdminClient(bootstrap_servers=self.endpoint, request_timeout_ms=5000)
        except (KafkaError, OSError) as error:
            log.debug("kafka does not answer yet: %s", error)
            return False
        try:
            brokers = admin.describe_cluster()["brokers"]
            return any(broker["broker_id"] == self.number and not broker["is_fenced"] for broker in brokers)
        except (KafkaError, OSError) as error:
            log.debug("kafka does not answer yet: %s", error)
            return False
        finally:
            admin.close()

    def _java(self) -> list[str]:
        return [
            java_command(),
            *archive_options(self.settings, "kafka"),
            "-Djava.awt.headless=true",
            "-Djava.net.preferIPv4Stack=true",
            f"-Dlog4j2.configurationFile={(home() / 'conf' / 'log4j2.properties').as_uri()}",
            "-cp",
            class_path(self.settings, "kafka"),
        ]

    def _write_properties(self) -> Path:
        template = Template((home() / "conf" / "kafka.properties").read_text())
        message_bytes = self.settings.image.max_message_bytes
        properties = self.record_file.with_suffix(".properties")
        voters = [f"{member.number}@{member.host}:{member.ports['controller_port']}" for member in self.members]
        properties.write_text(
            template.substitute(
                **self.ports,
                number=self.number,
                voters=",".join(voters),
                copies=self.copies,
                copies_in_step=max(1, self.copies - 1),
                data=self.data_folder,
                max_message_bytes=message_bytes,
                max_request_bytes=max(USUAL_REQUEST_BYTES, message_bytes + MIB),
            )
        )
        return properties

    def _format_options(self) -> list[str]:
        """More for Kafka's storage tool: the first users, where there are any."""
        return []

    def _format(self, properties: Path) -> None:
        cluster_id = _cluster_id_in(self.members[0].data_folder) or _new_cluster_id()
        done = subprocess.run(
            [
                *self._java(),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster_id,
                "-c",
                str(properties),
                *self._format_options(),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ServiceError(
                f"Kafka's storage {self.data_folder} could not be formatted: {(done.stdout + done.stderr).strip()}"
            )


def _cluster_id_in(data: Path) -> str:
    """The id that a broker's storage was formatted with; blank where it was not yet."""
    file = data / "meta.properties"
    found = re.search(r"^cluster\.id=(.+)$", file.read_text(), re.MULTILINE) if file.is_file() else None
    return found[1] if found else ""


def _new_cluster_id() -> str:
    """A random id as Kafka writes it: 22 characters, not beginning with `-`, which would read as an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
