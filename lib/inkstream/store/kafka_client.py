"""Kafka settings in, the options out that every kafka-python client is opened with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from inkstream.errors import ServiceError, SettingError
from inkstream.settings import KafkaSettings

BOOTSTRAP_MS = 8_000
RECONNECT_MS = 1_000  # kafka-python's own 30 s would go on failing that long after Kafka is back
Client = TypeVar("Client")


def kafka_client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for KafkaProducer, KafkaConsumer and KafkaAdminClient: addresses, TLS and SASL.

    Raises:
        ServiceError: no address is known.
        SettingError: the CA file does not exist, or SASL is asked for without a user's name.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in kafka.servers.split(",") if server.strip()],
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL") and kafka.ca_file:
        if not Path(kafka.ca_file).is_file():
            raise SettingError(f"kafka.ca_file has the value {kafka.ca_file!r}: there is no such file")
        options["ssl_cafile"] = kafka.ca_file
    if kafka.security_protocol.startswith("SASL"):
        if not kafka.username:
            raise SettingError(
                f"kafka.username is empty, and kafka.security_protocol is {kafka.security_protocol}; "
                "set it, and INKSTREAM_KAFKA__PASSWORD"
            )
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.username,
            "sasl_plain_password": kafka.password.get_secret_value(),
        }
    return options


def unreachable(kafka: KafkaSettings, error: Exception) -> ServiceError:
    """The sentence for a broker that does not answer."""
    return ServiceError(
        f"Kafka cannot be reached at {kafka.bootstrap_servers} ({type(error).__name__}). "
        "Is it running (`./submit.sh status`), and is kafka.bootstrap_servers right?"
    )


def build_client(kind: Callable[..., Client], kafka: KafkaSettings, **options: Any) -> Client:
    """A connected KafkaProducer, KafkaConsumer or KafkaAdminClient, made with the settings' and these options.

    Raises:
        ServiceError: no broker answers within BOOTSTRAP_MS.
        SettingError: see kafka_client_options.
    """
    connections: list[KafkaNetClient] = []

    def connect(**config: Any) -> KafkaNetClient:
        connections.append(KafkaNetClient(**config))
        return connections[-1]

    waits = {"bootstrap_timeout_ms": BOOTSTRAP_MS, "reconnect_backoff_max_ms": RECONNECT_MS}
    try:
        return kind(**kafka_client_options(kafka), **waits, **options, kafka_client=connect)
    except (KafkaError, OSError) as error:
        for connection in connections:  # kafka-python leaves its sockets open where the first connection fails
            connection.close()
        raise unreachable(kafka, error) from error
