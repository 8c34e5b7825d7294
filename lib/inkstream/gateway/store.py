"""Settings in, a Cassandra session out that is opened when it is first needed, and again after it could not be."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from time import monotonic

from cassandra.cluster import Session

from inkstream.errors import InkstreamError, ServiceError
from inkstream.settings import Settings
from inkstream.store.registry import read_state
from inkstream.store.session import open_session

AGAIN_S = 3.0


class Store:
    """The gateway starts and takes pictures without Cassandra; only what was stored before cannot be shown then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._session: Session | None = None
        self._failed: tuple[float, str] | None = None
        self._version: tuple[float, str | None] | None = None

    def session(self) -> Session:
        """The session; asked again within seconds of a failure it fails at once. Raises ServiceError."""
        if self._session is not None:
            return self._session
        with self._lock:
            if self._session is None:
                if self._failed and monotonic() - self._failed[0] < AGAIN_S:
                    raise ServiceError(self._failed[1])
                try:
                    # A person waits: one try, and the page says what is missing.
                    self._session = self._open.enter_context(open_session(self._settings.cassandra, tries=1))
                except InkstreamError as error:
                    self._failed = (monotonic(), str(error))
                    raise
            return self._session

    def model_version(self, default: str) -> str:
        """The version that answers at present, asked of the registry every few seconds; else `default`."""
        if self._version is None or monotonic() - self._version[0] > AGAIN_S:
            try:
                self._version = (monotonic(), read_state(self.session()).current)
            except InkstreamError:  # without Cassandra nothing stored is shown anyway
                return default
        return self._version[1] or default

    @property
    def reachable(self) -> bool:
        """Whether Cassandra answers a question now."""
        try:
            self.session().execute("SELECT release_version FROM system.local", timeout=2)
        except Exception:  # whatever keeps it from answering
            return False
        return True

    def close(self) -> None:
        """Close the session, if there is one."""
        self._open.close()
