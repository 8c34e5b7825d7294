"""Kafka's images.uploaded -> decode, normalise, predict -> Cassandra, images.predicted, images.rejected.

Beside it: the registry's current version taken over as it changes, and images.corrected -> Cassandra.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from inkstream.settings import load_settings
from inkstream.spark import build_session


def main(argv: list[str] | None = None) -> int:
    """Read the settings and answer uploads until stopped (or, with --once, until all are answered)."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("inkstream").setLevel(_level(arguments))
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it would log, the one who asked it says in a sentence
    logging.getLogger("py4j").setLevel(logging.INFO if arguments.debug else logging.CRITICAL)
    with ThreadPoolExecutor(1, "session") as pool:
        try:
            settings = load_settings()
            opening = pool.submit(build_session, settings, "inkstream-predict")
            # Spark's JVM makes the session while this process imports the rest, which takes either of them a second.
            from inkstream.stream.answering import Asked, answer_uploads

            asked = Asked(arguments.create, arguments.once, arguments.start, arguments.checkpoint, arguments.quiet)
            answer_uploads(settings, asked, opening)
        except Exception as error:
            from inkstream.job_errors import exit_status_of
            from inkstream.stream.many import StuckError

            status = exit_status_of(error, debug=arguments.debug, job="stream")
            if isinstance(error, StuckError):  # Python would wait for its thread, and the thread waits for ever
                os._exit(status)
            return status
    return 0


def _level(arguments: argparse.Namespace) -> int:
    """A line per micro-batch where no live table shows them."""
    if arguments.debug:
        return logging.DEBUG
    return logging.WARNING if arguments.quiet or sys.stderr.isatty() else logging.INFO


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="predict_stream.py", description=__doc__)
    parser.add_argument("--create", action="store_true", help="make the topics and tables that are missing first")
    parser.add_argument("--once", action="store_true", help="answer what is there, then stop")
    parser.add_argument("--from", dest="start", default="", help="earliest, latest or a time; counts at a first start")
    parser.add_argument("--checkpoint", default="", help="a Spark path; default: the setting stream.checkpoint")
    parser.add_argument("--quiet", action="store_true", help="no progress on the terminal")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
