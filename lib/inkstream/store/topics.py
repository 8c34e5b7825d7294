"""Settings in, Kafka topics with the right partitions, retention and size limits out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from inkstream.errors import ServiceError
from inkstream.settings import KafkaSettings, Settings
from inkstream.store.kafka_client import build_client

log = logging.getLogger(__name__)

HOUR_MS = 3_600_000
BUSY_S = 60.0  # three brokers that start on two cores let requests time out for half a minute


def topic_configs(settings: Settings) -> dict[str, dict[str, str]]:
    """Topic name -> its configuration, as create_topics makes and doctor checks it."""
    kafka = settings.kafka
    shared = {
        "max.message.bytes": str(settings.image.max_message_bytes),
        "retention.ms": str(kafka.retention_hours * HOUR_MS),
        "min.insync.replicas": str(max(1, kafka.replication_factor - 1)),
    }
    # The broker's clock orders the uploads: write timestamps come from it, so a phone's wrong clock cannot win.
    received = {**shared, "message.timestamp.type": "LogAppendTime"}
    copies = {**shared, "max.message.bytes": str(settings.image.max_copy_bytes)}
    return {kafka.uploaded: received, kafka.predicted: shared, kafka.rejected: copies, kafka.corrected: received}


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and set the configuration of all; returns the names of the created.

    Partitions of an existing topic are left alone: more of them would send an id's next upload elsewhere.

    Raises:
        ServiceError: Kafka cannot be reached or refuses.
    """
    kafka = settings.kafka
    created = []
    configs = topic_configs(settings)
    with open_admin(kafka) as admin:
        for name, config in configs.items():
            topic = NewTopic(name, kafka.partitions, kafka.replication_factor, topic_configs=config)
            try:
                if _is_new(admin, topic):
                    created.append(name)
                else:
                    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=config)])
            except KafkaError as error:
                raise ServiceError(f"Kafka refused to create topic {name!r}: {error}") from error
    if created:
        log.info("topics created: %s", ", ".join(created))
    return created


def _is_new(admin: KafkaAdminClient, topic: NewTopic) -> bool:
    """Create it where it is missing. A broker that is busy, or whose controller is being chosen, is asked again."""
    give_up = monotonic() + BUSY_S
    while True:
        try:
            admin.create_topics([topic])
            return True
        except TopicAlreadyExistsError:
            return False
        except KafkaError as error:
            if not error.retriable or monotonic() > give_up:
                raise
            log.warning("Kafka does not answer yet (%s); asking again for topic %s", type(error).__name__, topic.name)
            sleep(1)


def max_message_bytes(kafka: KafkaSettings, topic: str) -> int | None:
    """The largest message that a topic takes; None where this user may not ask.

    Raises:
        ServiceError: Kafka cannot be reached.
    """
    with open_admin(kafka) as admin:
        try:
            found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            return int(found["topic"][topic]["max.message.bytes"]["value"])
        except (KafkaError, KeyError):
            return None


@contextmanager
def open_admin(kafka: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """Yield an admin client; closed on leaving. Raises ServiceError where no broker answers."""
    admin = build_client(KafkaAdminClient, kafka, request_timeout_ms=15_000)
    try:
        yield admin
    finally:
        admin.close()
