"""Kafka with SASL over TLS and ACLs, Cassandra with a password and TLS: the whole walk, and who is kept out."""

from __future__ import annotations

import gc
import logging
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer
from pydantic import SecretStr
from tests.conftest import in_section
from tests.secure.conftest import PASSWORD, READER, READER_PASSWORD, Secured
from tests.stream.test_restart import wait_until

import inkstream
from inkstream.errors import ServiceError
from inkstream.local.jars import class_path
from inkstream.local.java import java_home
from inkstream.producer.paths import read_paths
from inkstream.producer.send import Pace, send_pictures
from inkstream.settings import Settings, load_settings
from inkstream.store.kafka_client import build_client
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from inkstream.submit import submit_environment, submit_line

pytestmark = [
    pytest.mark.services,
    # kafka-python leaves a socket open where TLS fails; the fixture's end collects what the tests' own did not.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

SAMPLES = Path(inkstream.__file__).parent / "samples"
TABLES = ("images", "predictions", "predictions_by_day")


def start_stream(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    """The stream as people run it: secrets in the environment, and nowhere else."""
    kafka, cassandra = settings.kafka, settings.cassandra
    own = {
        "LOCAL__FOLDER": str(settings.local.path),
        "KAFKA__BOOTSTRAP_SERVERS": kafka.servers,
        "KAFKA__SECURITY_PROTOCOL": kafka.security_protocol,
        "KAFKA__SASL_MECHANISM": kafka.sasl_mechanism,
        "KAFKA__USERNAME": kafka.username,
        "KAFKA__PASSWORD": kafka.password.get_secret_value(),
        "KAFKA__CA_FILE": kafka.ca_file,
        "CASSANDRA__CONTACT_POINTS": cassandra.contact_points,
        "CASSANDRA__PORT": str(cassandra.port),
        "CASSANDRA__KEYSPACE": cassandra.keyspace,
        "CASSANDRA__USERNAME": cassandra.username,
        "CASSANDRA__PASSWORD": cassandra.password.get_secret_value(),
        "CASSANDRA__TLS": "true",
        "CASSANDRA__CA_FILE": cassandra.ca_file,
    }
    line = submit_line(settings, "predict_stream", arguments, class_path(load_settings(), "spark"), "local[2]")
    environment = submit_environment(java_home()) | {f"INKSTREAM_{name}": value for name, value in own.items()}
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def test_pictures_are_answered_and_no_secret_is_seen(secured: Secured) -> None:
    settings = secured.settings
    create_topics(settings)
    apply_schema(settings)
    pictures = list(read_paths(sorted(SAMPLES.glob("clean_*.png")), 1 << 20))
    sent = send_pictures(pictures, settings.kafka, settings.image, source="secured", pace=Pace(limit=len(pictures)))
    assert sent.acknowledged == len(pictures)

    stream = start_stream(settings)
    lines: set[str] = set()
    seen = psutil.Process(stream.pid)

    def stored() -> bool:
        for process in [seen, *seen.children(recursive=True)]:
            with suppress(psutil.Error):  # it has just ended, or is a zombie: that hides none of the others
                lines.add(" ".join(process.cmdline()))
        with open_session(settings.cassandra) as session:
            return all(len(list(session.execute(f"SELECT image_id FROM {table}"))) == len(pictures) for table in TABLES)

    try:
        wait_until(stored, stream)
    finally:
        stream.terminate()
        said, _ = stream.communicate(timeout=120)
    consumer = build_client(KafkaConsumer, settings.kafka, group_id=None, auto_offset_reset="earliest")
    consumer.subscribe([settings.kafka.predicted])
    answers = sum(len(messages) for _ in range(10) for messages in consumer.poll(timeout_ms=500).values())
    consumer.close()
    assert answers == len(pictures)

    assert any("predict_stream.py" in line and "org.apache.spark" not in line for line in lines)
    assert any("inkstream.stream.daemon" in line for line in lines)
    checkpoint = [file for file in (settings.local.path / "checkpoints").rglob("*") if file.is_file()]
    assert checkpoint
    hidden = PASSWORD.rpartition("-")[2]  # the part that no quoting changes
    for text in (said, *lines, *(file.read_text(errors="replace") for file in checkpoint)):
        assert hidden not in text


@pytest.mark.parametrize(
    ("section", "changes", "sentence"),
    [
        ("kafka", {"password": SecretStr("wrong")}, "Kafka at .* refuses the user 'inkstream'"),
        ("kafka", {"ca_file": "strange"}, "Kafka's certificate at .* is not trusted"),
        ("kafka", {"topic_prefix": "others."}, "others.images.uploaded"),
        ("cassandra", {"password": SecretStr("wrong")}, "Cassandra at .* refuses the user 'inkstream'"),
        ("cassandra", {"ca_file": "strange"}, "Cassandra's certificate at .* is not trusted"),
        ("cassandra", {"username": READER, "password": SecretStr(READER_PASSWORD)}, "The user 'reader' may not"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_who_is_not_let_in_reads_why(
    secured: Secured, caplog: pytest.LogCaptureFixture, section: str, changes: dict[str, Any], sentence: str
) -> None:
    changed = {key: str(secured.strange_ca) if value == "strange" else value for key, value in changes.items()}
    settings = in_section(secured.settings, section, **changed)
    try_it: Callable[[Settings], object] = create_topics if section == "kafka" else insert_row
    with caplog.at_level(logging.CRITICAL, "kafka"):  # else its records keep hold of what failed
        said = refusal(lambda: try_it(settings))
    gc.collect()  # what is left open is told of now, not in another test
    assert re.search(sentence, said)
    assert "wrong" not in said


def refusal(try_it: Callable[[], object]) -> str:
    with pytest.raises(ServiceError) as refused:
        try_it()
    return str(refused.value)


def insert_row(settings: Settings) -> None:
    with open_session(settings.cassandra) as session:
        session.execute("INSERT INTO things (id) VALUES (1)")
