"""How a job on the warehouse ends: an error in, one sentence and an exit status out."""

from __future__ import annotations

import re
import sys
import traceback

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, ParseException, PySparkException

from inkstream.errors import InkstreamError
from inkstream.store.session import CASSANDRA_ERRORS

_CASSANDRA = r"(?i)NoHostAvailable|AllNodesFailed|native connection|ReadTimeout|Unavailable|datastax|cassandra"


def exit_status_of(error: Exception, *, debug: bool) -> int:
    """One sentence on standard error; returns the status to end with: 2 a wrong query, 3 a service, ...

    An error of ours has its own.
    """
    if debug:
        traceback.print_exception(error)
    sentence, status = explain(error)
    sys.stderr.write(f"error: {sentence}\n")
    return status


def explain(error: Exception) -> tuple[str, int]:
    """The sentence and the exit status."""
    if isinstance(error, InkstreamError):
        return str(error), error.exit_status
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, (AnalysisException, ParseException)):
        return first_lines(str(error)), 2
    if isinstance(error, CASSANDRA_ERRORS) or re.search(_CASSANDRA, text):
        return f"Cassandra did not answer; is it running (`./submit.sh status`)? ({first_lines(text)})", 3
    if isinstance(error, (Py4JError, PySparkException)):
        causes = re.findall(r"Caused by: ([^\n]+)", text)
        return f"Spark ended the job: {causes[-1][:300] if causes else first_lines(text)} (--debug shows where)", 3
    return f"{first_lines(text)} (--debug shows where)", 1


def first_lines(text: str) -> str:
    """What Spark says of a query, without its echo and its plan."""
    return re.split(r"\n\s*(?:== SQL ==|'?[A-Z]\w+.*\n\s*\+-)|;\n", text.strip())[0].strip()[:500]
