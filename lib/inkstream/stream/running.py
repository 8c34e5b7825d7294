"""What surrounds the running query: the broadcast model, warm workers, signals, the watch over it."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from inkstream.image.samples import FOLDER
from inkstream.model.bundle import Bundle, bundle_to_bytes, load_bundle, shipped_bundle
from inkstream.settings import Settings
from inkstream.stream.outages import Outages
from inkstream.stream.predict import PredictTask, load_reader
from inkstream.stream.progress import Progress
from inkstream.stream.sink import Sink, StoppedError

log = logging.getLogger(__name__)

# Spark ends a Python worker that has been idle for 60 s; the next upload would wait 1.7 s for a new one.
KEEP_WARM_S = 20.0
LAST_TOUCH_S = 10.0
QUIET_S = 3.0  # uploads that wait for the stream are answered first
REHEARSALS = 20
REHEARSED = FOLDER / "clean_08_7.png"
WATCH_S = 0.5
FINISH_S = 25.0  # how long a stop waits for the running micro-batch; Hadoop's shutdown hooks have 30 s
BEFORE_SPARK = 100  # Spark's own shutdown hook has 40: ours comes first


def broadcast_task(spark: SparkSession, settings: Settings, bundle: Bundle | None = None) -> PredictTask:
    """A bundle (else the settings', else the shipped one) broadcast as bytes: a Keras model does not pickle."""
    bundle = bundle or load_bundle(settings.model.bundle or shipped_bundle())
    return PredictTask(
        bundle=spark.sparkContext.broadcast(bundle_to_bytes(bundle)),
        version=bundle.version,
        limits=settings.image,
        threshold=None if settings.model.threshold < 0 else settings.model.threshold,
        batch_rows=settings.stream.batch_rows,
    )


@contextmanager
def keep_warm(spark: SparkSession, sink: Sink) -> Iterator[None]:
    """While inside, have one worker per core with the model loaded: at once, and again whenever Spark would end it.

    As long as nobody has uploaded anything, rehearse: the first answers then come in half a second instead of two.
    """
    done = threading.Event()

    def touch() -> None:
        warm_up(spark, sink.task)
        if not done.wait(QUIET_S):
            rehearse(spark, sink, done)
        while not done.wait(KEEP_WARM_S):
            warm_up(spark, sink.task)

    thread = threading.Thread(target=touch, name="keep-warm", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(LAST_TOUCH_S)  # Spark would tell of the worker that it ends in the middle of it


def rehearse(spark: SparkSession, sink: Sink, done: threading.Event) -> None:
    """Have the sink answer a picture REHEARSALS times, or until `done` or the first micro-batch begins."""
    picture = REHEARSED.read_bytes()
    try:
        for _ in range(REHEARSALS):
            if sink.begun.is_set() or done.is_set():
                return
            sink.rehearse(spark, picture)
    except Exception:  # the first micro-batch tells what is wrong; this is a convenience
        log.debug("no rehearsal", exc_info=True)


def warm_up(spark: SparkSession, task: PredictTask) -> None:
    """Load the task's model into one worker per core."""
    cores = spark.sparkContext.defaultParallelism
    try:
        spark.sparkContext.parallelize(range(cores), cores).foreachPartition(partial(load_reader, task))
    except Exception:  # the query tells what is wrong with Spark; this is a convenience
        log.debug("workers could not be kept warm", exc_info=True)


class _Stop:
    """A java.lang.Runnable that lets the running micro-batch end, then stops the query."""

    def __init__(self, query: StreamingQuery, sink: Sink) -> None:
        self._query = query
        self._sink = sink

    def run(self) -> None:
        """Called by the JVM when it was told to end."""
        stop_after_batch(self._query, self._sink)

    # Hadoop keeps its hooks in a set: py4j asks the Python side for what a Java object inherits.
    def hashCode(self) -> int:
        return id(self) & 0x7FFFFFFF

    def equals(self, other: object) -> bool:
        return self is other

    def toString(self) -> str:
        return "stop the query between two micro-batches"

    class Java:
        implements = ("java.lang.Runnable",)


def stop_after_batch(query: StreamingQuery, sink: Sink) -> None:
    """Stop the query between two micro-batches, or after FINISH_S in the middle of one (it is then done again).

    With more to read the next trigger follows at once; so the sink, too, is told to begin nothing.
    """
    sink.stopping.set()
    waiting = threading.Event()
    for _ in range(int(FINISH_S / 0.02)):
        try:
            if not query.isActive:
                return
            if not query.status["isTriggerActive"]:
                break
        except Py4JError:
            return
        waiting.wait(0.02)
    query.stop()


@contextmanager
def stop_on_signals(spark: SparkSession, query: StreamingQuery, sink: Sink) -> Iterator[None]:
    """Inside, a SIGTERM or SIGINT (to Python or to the JVM) lets the micro-batch end, then stops the query."""
    gateway = spark.sparkContext._gateway
    ensure_callback_server_started(gateway)
    hooks = gateway.jvm.org.apache.hadoop.util.ShutdownHookManager.get()
    hook = _Stop(query, sink)
    hooks.addShutdownHook(hook, BEFORE_SPARK)

    def stop(*_: Any) -> None:
        threading.Thread(target=stop_after_batch, args=(query, sink), name="stop", daemon=True).start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(Py4JError):  # the JVM is ending already, and lets go of no hook then
            hooks.removeShutdownHook(hook)


def _set_apart() -> None:
    """Keep all that the start has made out of later garbage collections.

    CPython looks through everything only when as much as a quarter of it is new: with these 150,000 objects that takes
    minutes, the cycles that each micro-batch leaves pile up meanwhile, and the process grew by 8 MiB an hour.
    """
    gc.collect()
    gc.freeze()


def follow(query: StreamingQuery, sink: Sink, progress: Progress, outages: Outages) -> None:
    """Report until the query ends. Raises what ended it, unless that was a stop between two micro-batches."""
    settled = False
    try:
        while not query.awaitTermination(WATCH_S):
            last = query.lastProgress
            progress.watch(last)
            outages.look(last)
            if last and not settled:
                _set_apart()
                settled = True
    except StreamingQueryException as error:
        if not (sink.stopping.is_set() and StoppedError.__name__ in str(error)):
            raise sink.failure or error from error
    progress.watch(query.lastProgress)
