"""What a job says last, and the status that it ends with."""

from __future__ import annotations

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PythonException

from inkstream.errors import SettingError
from inkstream.job_errors import exit_status_of


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SettingError("a.b has the value 7"), SettingError.exit_status, "a.b has the value 7"),
        (AnalysisException("[NO] There is no table x.;\n'Project [*]\n+- 'Unresolved"), 2, "[NO] There is no table x."),
        (
            Py4JError("o1.save\nCaused by: com.datastax.oss.AllNodesFailedException: none"),
            3,
            "Cassandra",
        ),
        (Py4JError("o1.save\nCaused by: org.apache.kafka.common.errors.TimeoutException: 60 s"), 3, "Kafka"),
        (
            Py4JError("o1.kafka\nCaused by: java.io.IOException: No space left on device"),
            1,
            "A disk that the stream writes to is full",
        ),
        (
            Py4JError(
                "[STREAM_FAILED] Query terminated with exception: Checksum error: file:/c/stream/offsets/57 at 512"
            ),
            1,
            "The checkpoint of the stream is damaged",
        ),
        (PythonException("ValueError: no"), 1, "The stream ended: "),
        (KeyError("gone"), 1, "KeyError: 'gone' (--debug shows where)"),
    ],
)
def test_an_error_is_one_sentence_and_a_status(
    error: Exception, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status_of(error, debug=False, job="stream") == status
    sentence = capsys.readouterr().err
    assert sentence.startswith(f"error: {said}")
    assert sentence.count("\n") == 1


def test_the_trace_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    exit_status_of(ValueError("wrong"), debug=True)
    trace, sentence = capsys.readouterr().err.strip().rsplit("\n", 1)
    assert trace == "ValueError: wrong"
    assert sentence.startswith("error: ")
