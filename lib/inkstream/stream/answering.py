"""The stream itself: its ends opened, the query started on its sink, followed until it ends, and closed."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from inkstream.settings import Settings
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from inkstream.stream.arrivals import Ledger
from inkstream.stream.checkpoint import hold_checkpoint, prepare_checkpoint, without_processes
from inkstream.stream.corrections import take_corrections
from inkstream.stream.model_watch import ModelWatch
from inkstream.stream.outages import Outages, ends_of
from inkstream.stream.progress import Progress
from inkstream.stream.running import follow, keep_warm, stop_on_signals
from inkstream.stream.sink import Sink
from inkstream.stream.source import open_uploads


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a stream.

    create: topics and tables that are missing are made first. once: it ends when what is there is answered.
    start: earliest, latest or a time, blank: earliest. checkpoint: a Spark path, blank: the settings'.
    """

    create: bool = False
    once: bool = False
    start: str = ""
    checkpoint: str = ""
    quiet: bool = False


def answer_uploads(settings: Settings, asked: Asked, opening: Future[SparkSession]) -> None:
    """Answer uploads until stopped, or with `once` all that are there, and stop the session.

    opening: the session, which the JVM may still be making: what needs none is done meanwhile.
    """
    checkpoint = prepare_checkpoint(settings, asked.checkpoint, asked.start)
    with hold_checkpoint(checkpoint):
        if asked.create:
            create_topics(settings)
            apply_schema(settings)
        with open_session(settings.cassandra) as session, Progress(settings, quiet=asked.quiet) as progress:
            ledger = Ledger(session)
            spark = opening.result()
            models = ModelWatch(spark, settings, session)
            sink = Sink(settings, ledger, models.first(), progress.batch_done)
            corrections = take_corrections(settings, session, once=asked.once)
            with keep_warm(spark, sink), models.follow(sink), corrections:
                query = run(open_uploads(spark, settings, asked.start or "earliest"), sink, checkpoint, asked.once)
                with stop_on_signals(spark, query, sink):
                    follow(query, sink, progress, Outages(ends_of(settings)))
            sink.close()
            spark.stop()


def run(uploads: DataFrame, sink: Sink, checkpoint: str, once: bool) -> StreamingQuery:
    """Start the query; with `once` it ends by itself when what the topic held at the start is stored and answered."""
    without_processes(uploads.sparkSession)
    writer = uploads.writeStream.foreachBatch(sink.store_batch).option("checkpointLocation", checkpoint)
    sink.query = (writer.trigger(availableNow=True) if once else writer).start()
    return sink.query
