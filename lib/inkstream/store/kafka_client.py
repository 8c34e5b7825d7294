"""Kafka settings in, the options out that every kafka-python client is opened with."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from inkstream.errors import ServiceError, SettingError
from inkstream.settings import KafkaSettings
from inkstream.store.reach import refusals

BOOTSTRAP_MS = 8_000
HANDSHAKE_S = 5.0
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
        ServiceError: no broker answers within BOOTSTRAP_MS, or none lets us in.
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
        raise _refused(kafka) or unreachable(kafka, error) from error


def build_producer(kafka: KafkaSettings, **options: Any) -> KafkaProducer:
    """A connected producer whose messages all replicas acknowledge, in order and once each; it makes no topics.

    Raises as `build_client`.
    """
    lasting = {"acks": "all", "enable_idempotence": True, "allow_auto_create_topics": False, "metrics_enabled": False}
    return build_client(KafkaProducer, kafka, **lasting, **options)


def _refused(kafka: KafkaSettings) -> ServiceError | None:
    """The sentence where a broker is there and does not let us in, which kafka-python tells as a broker that is away.

    None where no broker takes a connection, or nothing speaks for this.
    """
    if refusals(kafka.addresses):
        return None
    if kafka.security_protocol.endswith("SSL"):
        try:
            _shake_hands(kafka)
        except ssl.SSLCertVerificationError as error:
            return ServiceError(
                f"Kafka's certificate at {kafka.bootstrap_servers} is not trusted ({error.verify_message}); "
                "kafka.ca_file should hold the authority that signed it, and the address be one that it names"
            )
        except (ssl.SSLError, OSError):
            return None
    if kafka.security_protocol.startswith("SASL"):
        return ServiceError(
            f"Kafka at {kafka.bootstrap_servers} refuses the user {kafka.username!r}; "
            "are INKSTREAM_KAFKA__PASSWORD, kafka.username and kafka.sasl_mechanism right?"
        )
    return None


def _shake_hands(kafka: KafkaSettings) -> None:
    """Connect to the first broker by TLS, and say nothing. Raises OSError, of which TLS's own errors are kinds."""
    host, port = kafka.addresses[0]
    context = ssl.create_default_context(cafile=kafka.ca_file or None)
    with (
        socket.create_connection((host, port), HANDSHAKE_S) as plain,
        context.wrap_socket(plain, server_hostname=host),
    ):
        pass
