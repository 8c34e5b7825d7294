"""A micro-batch whose pictures are almost as large as the heap."""

from __future__ import annotations

import pytest
from tests.conftest import in_section
from tests.stream.conftest import Pipeline, padded
from tests.stream.test_restart import SEVEN, start_stream

from inkstream.stream.source import SMALL_BYTES

pytestmark = pytest.mark.services

HEAP = "512m"
COUNT = 6_000  # uploads of one micro-batch


def test_what_does_not_fit_waits_on_the_disk(pipeline: Pipeline) -> None:
    picture = padded(SEVEN, SMALL_BYTES)  # the largest that travels through Python with its results
    pipeline.send([(f"id{number}".encode(), picture, {}) for number in range(COUNT)])
    small = in_section(pipeline.settings, "spark", driver_memory=HEAP)
    stream = start_stream(small, pipeline.folder, "--once", batch=COUNT)
    said, _ = stream.communicate(timeout=300)
    assert stream.returncode == 0, said
    stored = pipeline.rows("predictions_by_day", "image_id")  # images would be read with its pictures
    assert len(stored) == len(pipeline.answers()) == COUNT
