"""A picture that takes its Python worker with it, and a write that never ends."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from tests.stream.conftest import TABLES, Pipeline, huge
from tests.stream.test_walk import SEVEN

from inkstream.stream.many import SparkWriter, StuckError

pytestmark = pytest.mark.services


def test_a_picture_that_ends_its_worker_is_rejected_and_the_others_are_answered(pipeline: Pipeline) -> None:
    image = pipeline.settings.image.model_copy(update={"decode_limit_s": 0.5})
    pipeline.settings = pipeline.settings.model_copy(update={"image": image})
    pipeline.send([(f"id{number}".encode(), SEVEN if number != 5 else huge(), {}) for number in range(10)])
    pipeline.drain()
    assert pipeline.count() == dict.fromkeys([*TABLES, "answers"], 10)
    answers = {answer["id"]: answer for answer in pipeline.answers()}
    failed = answers.pop("id5")
    assert failed["reason_code"] == "decode_failed"
    assert failed["reason"] == "Reading this picture took longer than 0.5 s."
    assert {answer["label"] for answer in answers.values()} == {"7"}


def test_a_write_that_never_ends_is_given_up(pipeline: Pipeline) -> None:
    stream = pipeline.settings.stream.model_copy(update={"write_limit_s": 0.2})
    pipeline.settings = pipeline.settings.model_copy(update={"stream": stream})
    writer, never = SparkWriter(pipeline.settings), threading.Event()
    with pytest.raises(StuckError, match=r"^Cassandra has not taken a micro-batch's rows within .* 0\.2 s"):
        writer._together("Cassandra", lambda: None, partial(never.wait, 30))
    never.set()
    writer.close()
