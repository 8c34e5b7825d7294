"""The page that `demo --keep` leaves open: a process of the local folder that `status` shows and `down` ends."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from inkstream.local.gateway import Gateway
from inkstream.local.services import down, known_services
from inkstream.settings import Settings
from inkstream.store.schema import apply_schema
from inkstream.store.topics import create_topics

pytestmark = pytest.mark.services


def test_the_page_is_open_where_its_address_says_until_down(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKSTREAM_KAFKA__TOPIC_PREFIX", settings.kafka.topic_prefix)
    monkeypatch.setenv("INKSTREAM_CASSANDRA__KEYSPACE", settings.cassandra.keyspace)
    create_topics(settings)
    apply_schema(settings)
    local = settings.local.model_copy(update={"folder": str(tmp_path)})
    own = settings.model_copy(update={"local": local})
    gateway = Gateway(own, tmp_path)
    gateway.start()
    try:
        assert "Which digit is it?" in httpx.get(gateway.address).text
        assert [service.name for service in known_services(own) if service.is_running()] == ["gateway"]
    finally:
        stopped = down(own)
    assert [service.name for service in stopped] == ["gateway"]
    assert not gateway.is_running()
