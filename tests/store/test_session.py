"""A connection to Cassandra: a node that is busy is asked again, one that never answers is named."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

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


@contextmanager
def stalled(node: Cassandra, seconds: float) -> Iterator[None]:
    """The node takes connections and answers nothing for so long, as on a machine that hangs."""
    assert node.pid
    os.kill(node.pid, signal.SIGSTOP)
    again = threading.Timer(seconds, os.kill, [node.pid, signal.SIGCONT])
    again.start()
    try:
        yield
    finally:
        again.join()


def test_a_node_that_answers_late_is_asked_again(node: Cassandra, settings: Settings) -> None:
    with stalled(node, 2.5), open_session(settings.cassandra, keyspace=False, tries=10) as late:
        assert late.execute("SELECT release_version FROM system.local").one()


def test_a_node_that_never_answers_is_named(node: Cassandra, settings: Settings) -> None:
    said = f"{settings.cassandra.port} takes connections and did not answer"
    never = open_session(settings.cassandra, keyspace=False, tries=2)
    with stalled(node, 6), pytest.raises(ServiceError, match=said), never:
        pass
