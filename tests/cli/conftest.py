"""Commands run as a person runs them: settings come from the environment alone."""

from __future__ import annotations

import os

import pytest

from inkstream.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the developer's own settings, and none that a test leaves behind."""
    for name in os.environ:
        if name.startswith("INKSTREAM_") and name != "INKSTREAM_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("INKSTREAM_DEBUG", "")


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The test's own topics and keyspace, in variables that a command reads."""
    variables = {
        "KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "CASSANDRA__CONTACT_POINTS": settings.cassandra.contact_points,
        "CASSANDRA__PORT": str(settings.cassandra.port),
        "CASSANDRA__KEYSPACE": settings.cassandra.keyspace,
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"INKSTREAM_{name}", value)
    return settings
