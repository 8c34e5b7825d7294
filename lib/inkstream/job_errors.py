"""How a job that Spark runs ends: an error in, one sentence on standard error and an exit status out."""

from __future__ import annotations

import re
import sys
import traceback

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, ParseException, PySparkException

from inkstream.errors import InkstreamError
from inkstream.store.session import CASSANDRA_ERRORS

# Errors that bring another program's words: Spark's, the connector's, Cassandra's driver's.
_OF_OTHERS = (PySparkException, Py4JError, *CASSANDRA_ERRORS)
# What they say, our sentence, the exit status.
_KNOWN = (
    (
        "No space left on device",
        "A disk that the {job} writes to is full; nothing is lost, make room and start it again",
        1,
    ),
    (
        r"Some data may have been lost|OffsetOutOfRange",
        "The topic no longer holds offsets that the stream has not read (its retention took them), so they are lost; "
        'set stream.on_data_loss to "continue" to go on with what is there',
        1,
    ),
    (
        r"Checksum error: \S*/(?:offsets|commits)/|Incomplete log file",
        "The checkpoint of the {job} is damaged; nothing is lost: start it with `--checkpoint` and a new folder, which "
        "reads the topic again and changes nothing that is stored",
        1,
    ),
    (
        r"UnknownTopicOrPartition",
        "The topic to read does not exist; `./submit.sh up` creates it, or is kafka.topic_prefix wrong?",
        3,
    ),
    (
        r"(?i)NoHostAvailable|AllNodesFailed|native connection|ReadTimeout|WriteTimeout|Unavailable|datastax|cassandra",
        "Cassandra failed under the {job}; nothing is lost, start it again when `./submit.sh status` shows it up",
        3,
    ),
    (
        r"(?i)kafka|TimeoutException",
        "Kafka failed under the {job}; nothing is lost, start it again when `./submit.sh status` shows it up",
        3,
    ),
)


def exit_status_of(error: Exception, *, debug: bool, job: str = "job") -> int:
    """Write the sentence, with debug after the stack trace; returns the status to end with.

    An error of ours has its own; 2: a wrong query, 3: a service failed, 1: anything else.
    job: what the sentence calls it.
    """
    if debug:
        traceback.print_exception(error)
    sentence, status = _explain(error, job)
    sys.stderr.write(f"error: {sentence}\n")
    return status


def _explain(error: Exception, job: str) -> tuple[str, int]:
    if isinstance(error, InkstreamError):
        return str(error), error.exit_status
    if isinstance(error, (AnalysisException, ParseException)):
        return _query_error(str(error)), 2
    if not isinstance(error, _OF_OTHERS):
        return f"{type(error).__name__}: {_first_line(str(error))} (--debug shows where)", 1
    text = f"{type(error).__module__}.{type(error).__name__}: {error}"
    for pattern, sentence, status in _KNOWN:
        if re.search(pattern, text):
            return f"{sentence.format(job=job)} ({_cause(text)})", status
    return f"The {job} ended: {_cause(text)} (--debug shows where)", 1


def _query_error(text: str) -> str:
    """What Spark says of a query, without its echo and its plan."""
    return re.split(r"\n\s*(?:== SQL ==|'?[A-Z]\w+.*\n\s*\+-)|;\n", text.strip())[0].strip()[:500]


def _cause(text: str) -> str:
    causes = re.findall(r"(?:Caused by: |^(?:: )?)((?:[a-z]+\.)+\w*(?:Exception|Error)[^\n]*)", text, re.MULTILINE)
    return _first_line(causes[-1] if causes else text)


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[0][:300]
