"""Kafka settings in, the options out that every kafka-python client, and Spark's Kafka source and sink, is opened with."""

from __future__ import annotations

from typing import Any

from inkstream.errors import ServiceError
from inkstream.settings import KafkaSettings


def kafka_client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for KafkaProducer, KafkaConsumer and KafkaAdminClient: addresses, TLS and SASL.

    Raises:
        ServiceError: no address is known.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.servers.split(","),
        "security_protocol": kafka.security_protocol,
    }
    if kafka.security_protocol.endswith("SSL") and kafka.ca_file:
        options["ssl_cafile"] = kafka.ca_file
    if kafka.security_protocol.startswith("SASL"):
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
