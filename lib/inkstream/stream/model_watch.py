"""The registry's row in; the sink's task and shadow out, changed between micro-batches while the stream runs.

A version that is promoted is fetched, checked on its golden set, broadcast and loaded into the workers beside the
running micro-batch. Only then does the sink take it; a version that fails is told of, and the one before goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from cassandra.cluster import Session
from pyspark.sql import SparkSession

from inkstream.errors import BundleError, InkstreamError, ServiceError
from inkstream.model.bundle import check_golden
from inkstream.model.reading import Reader
from inkstream.model.shelf import Shelf
from inkstream.settings import Settings
from inkstream.store.registry import State, read_state
from inkstream.stream.predict import PredictTask
from inkstream.stream.running import broadcast_task, warm_up
from inkstream.stream.sink import Sink

log = logging.getLogger(__name__)

LOOK_S = 1.0
AGAIN_S = 30.0  # after which a version that failed is tried again: its bundle may have been copied meanwhile


class ModelWatch:
    """Keeps a sink's models as the registry has them."""

    def __init__(self, spark: SparkSession, settings: Settings, session: Session) -> None:
        self._spark = spark
        self._settings = settings
        self._session = session
        self._shelf = Shelf(settings)
        self._seen = State()
        self._failed_at: float | None = None

    def first(self) -> PredictTask:
        """The task to begin with.

        Raises:
            BundleError: the registry's current version is not there, or fails its golden set.
            ServiceError: Cassandra does not answer.
        """
        state = read_state(self._session)
        self._seen = State(current=state.current)  # the shadow is looked for when the stream runs
        if state.current is None:
            return broadcast_task(self._spark, self._settings)
        try:
            return self._checked(state.current)
        except BundleError as error:
            raise BundleError(
                f"{error}. It is the registry's current version; `./submit.sh models rollback` takes the one before"
            ) from error

    @contextmanager
    def follow(self, sink: Sink) -> Iterator[None]:
        """While inside, look at the registry every second and hand the sink what it says."""
        done = threading.Event()

        def watch() -> None:
            self.look(sink)
            while not done.wait(LOOK_S):
                self.look(sink)

        thread = threading.Thread(target=watch, name="models", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()

    def look(self, sink: Sink) -> None:
        """Take over what has changed since the last look; nothing of it ever stops the stream."""
        try:
            state = read_state(self._session)
        except ServiceError:  # the stream itself finds that Cassandra is gone, and says so
            log.debug("the registry could not be read", exc_info=True)
            return
        retry = self._failed_at is not None and monotonic() - self._failed_at > AGAIN_S
        if state.revision == self._seen.revision and not retry:
            return
        first_time = state.revision != self._seen.revision
        self._failed_at = None
        self._take_current(sink, state, tell=first_time)
        self._take_shadow(sink, state, tell=first_time)
        self._seen = state

    def _take_current(self, sink: Sink, state: State, *, tell: bool) -> None:
        if state.current is None or state.current == sink.task.version:
            return
        before = sink.task.version
        task = self._task_or_none(state.current, tell, f"version {before[:12]} goes on answering")
        if task is not None:
            sink.task = task
            log.warning("version %s answers from now on, after %s", task.version[:12], before[:12])

    def _take_shadow(self, sink: Sink, state: State, *, tell: bool) -> None:
        if state.shadow is None or state.shadow == sink.task.version:
            sink.shadow = None
        elif sink.shadow is None or sink.shadow.version != state.shadow:
            sink.shadow = self._task_or_none(state.shadow, tell, "nothing shadows")
            if sink.shadow is not None:
                log.warning("version %s shadows %s from now on", state.shadow[:12], sink.task.version[:12])

    def _task_or_none(self, version: str, tell: bool, instead: str) -> PredictTask | None:
        try:
            task = self._checked(version)
        except Exception as error:
            self._failed_at = monotonic()
            reason = str(error) if isinstance(error, InkstreamError) else f"{type(error).__name__}: {error}"
            log.log(
                logging.ERROR if tell else logging.DEBUG, "version %s is not taken: %s; %s", version, reason, instead
            )
            return None
        warm_up(self._spark, task)
        return task

    def _checked(self, version: str) -> PredictTask:
        bundle = self._shelf.load(version)
        check_golden(bundle, Reader(bundle, self._settings.image).engine)
        return broadcast_task(self._spark, self._settings, bundle)
