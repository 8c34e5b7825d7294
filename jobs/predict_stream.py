"""Kafka's images.uploaded -> decode, normalise, predict -> Cassandra, images.predicted, images.rejected.

Beside it: the registry's current version taken over as it changes, and images.corrected -> Cassandra.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

from pyspark.sql import DataFrame
from pyspark.sql.streaming import StreamingQuery

from inkstream.job_errors import exit_status_of
from inkstream.settings import Settings, load_settings
from inkstream.spark import build_session
from inkstream.store.session import open_session
from inkstream.stream.arrivals import Ledger
from inkstream.stream.checkpoint import hold_checkpoint, prepare_checkpoint
from inkstream.stream.corrections import take_corrections
from inkstream.stream.many import StuckError
from inkstream.stream.model_watch import ModelWatch
from inkstream.stream.outages import Outages, ends_of
from inkstream.stream.progress import Progress
from inkstream.stream.running import follow, keep_warm, stop_on_signals
from inkstream.stream.sink import Sink
from inkstream.stream.source import open_uploads


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open the ends, run until stopped (or, with --once, until all is answered)."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("inkstream").setLevel(_level(arguments))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it would log, the one who asked it says in a sentence
    logging.getLogger("py4j").setLevel(logging.INFO if arguments.debug else logging.CRITICAL)
    try:
        return _stream(arguments, load_settings())
    except Exception as error:
        status = exit_status_of(error, debug=arguments.debug, job="stream")
        if isinstance(error, StuckError):  # Python would wait for its thread, and the thread waits for ever
            os._exit(status)
        return status


def _stream(arguments: argparse.Namespace, settings: Settings) -> int:
    checkpoint = prepare_checkpoint(settings, arguments.checkpoint, arguments.start)
    with (
        hold_checkpoint(checkpoint),
        open_session(settings.cassandra) as session,
        Progress(settings, quiet=arguments.quiet) as progress,
    ):
        ledger = Ledger(session)
        spark = build_session(settings, "inkstream-predict")
        models = ModelWatch(spark, settings, session)
        sink = Sink(settings, ledger, models.first(), progress.batch_done)
        corrections = take_corrections(settings, session, once=arguments.once)
        with keep_warm(spark, sink), models.follow(sink), corrections:
            query = run(open_uploads(spark, settings, arguments.start or "earliest"), sink, checkpoint, arguments.once)
            with stop_on_signals(spark, query, sink):
                follow(query, sink, progress, Outages(ends_of(settings)))
        sink.close()
        spark.stop()
    return 0


def run(uploads: DataFrame, sink: Sink, checkpoint: str, once: bool) -> StreamingQuery:
    """Start the query; with `once` it ends by itself when what the topic held at the start is stored and answered."""
    writer = uploads.writeStream.foreachBatch(sink.store_batch).option("checkpointLocation", checkpoint)
    return (writer.trigger(availableNow=True) if once else writer).start()


def _level(arguments: argparse.Namespace) -> int:
    """A line per micro-batch where no live table shows them."""
    if arguments.debug:
        return logging.DEBUG
    return logging.WARNING if arguments.quiet or sys.stderr.isatty() else logging.INFO


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="predict_stream.py", description=__doc__)
    parser.add_argument("--once", action="store_true", help="answer what is there, then stop")
    parser.add_argument("--from", dest="start", default="", help="earliest, latest or a time; counts at a first start")
    parser.add_argument("--checkpoint", default="", help="a Spark path; default: the setting stream.checkpoint")
    parser.add_argument("--quiet", action="store_true", help="no progress on the terminal")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
