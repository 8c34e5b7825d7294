"""A connection to Cassandra: a node that is busy is asked again, one that never answers is named."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.conftest import stalled

from inkstream.errors import ServiceError
from inkstream.local.cassandra import Cassandra
from inkstream.local.services import RunningServices
from inkstream.settings import Settings
from inkstream.store import session
from inkstream.store.session import open_session


@pytest.fixture
def node(embedded: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Cassandra:
    """The embedded node, which is asked again after two seconds of silence."""
    monkeypatch.setattr(session, "CONNECT_TIMEOUT_S", 2.0)
    assert embedded.cassandra
    return embedded.cassandra


def test_a_node_that_answers_late_is_asked_again(node: Cassandra, settings: Settings) -> None:
    def ask() -> object:
        with open_session(settings.cassandra, keyspace=False, tries=10) as late:
            return late.execute("SELECT release_version FROM system.local").one()

    with ThreadPoolExecutor() as pool:
        with stalled(node):
            answer = pool.submit(ask)
            time.sleep(2.5)
        assert answer.result()


def test_a_node_that_never_answers_is_named(node: Cassandra, settings: Settings) -> None:
    said = f"{settings.cassandra.port} takes connections and did not answer"
    never = open_session(settings.cassandra, keyspace=False, tries=2)
    with stalled(node), pytest.raises(ServiceError, match=said), never:
        pass
