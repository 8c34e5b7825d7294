"""How many tasks a micro-batch is cut into: a task costs as much as a few dozen pictures."""

from __future__ import annotations

import pytest
from tests.conftest import in_section
from tests.stream.conftest import Pipeline

from inkstream.image.samples import FOLDER
from inkstream.stream.answering import run
from inkstream.stream.sink import TASK_ROWS
from inkstream.stream.source import open_uploads

pytestmark = pytest.mark.services

PICTURE = (FOLDER / "clean_08_7.png").read_bytes()


def most_tasks(pipeline: Pipeline) -> int:
    """Answers what the topic holds; the tasks of the widest stage that this took."""
    sink = pipeline.sink()
    place = (pipeline.folder / "checkpoint").as_uri()
    query = run(open_uploads(pipeline.spark, pipeline.settings, "earliest"), sink, place, once=True)
    query.awaitTermination()
    sink.close()
    tracker = pipeline.spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(str(query.runId))]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    return max(stage.numTasks for stage in stages if stage)


def test_few_uploads_are_one_task_and_more_are_one_for_each_core(pipeline: Pipeline) -> None:
    partitions, cores = pipeline.settings.kafka.partitions, pipeline.spark.sparkContext.defaultParallelism
    assert partitions > cores > 1

    def send(count: int) -> None:
        sent = len(pipeline.rows("images", "image_id"))
        pipeline.send([(f"id{number}".encode(), PICTURE, {}) for number in range(sent, sent + count)])

    found = []
    for count in (TASK_ROWS, TASK_ROWS, 2 * TASK_ROWS, 20 * TASK_ROWS):
        send(count)
        found.append(most_tasks(pipeline))
    # Where the first micro-batch begins is not known: it is read as Kafka has it.
    assert found == [partitions, 1, 2, partitions]
    assert pipeline.count() == dict.fromkeys(("images", "predictions", "predictions_by_day", "answers"), 24 * TASK_ROWS)


def test_a_topic_of_one_partition_is_not_brought_to_the_driver_whole(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task need not be few uploads: with a single partition it is a whole micro-batch, 20,000 of them."""

    def all_of_it(*_: object) -> None:
        raise AssertionError("all rows are brought to the driver, whatever they are")

    monkeypatch.setattr("inkstream.stream.sink.collect_rows", all_of_it)
    pipeline.settings = in_section(pipeline.settings, "kafka", partitions=1)
    pipeline.send([(b"id", PICTURE, {})])
    pipeline.drain()
    assert pipeline.count()["answers"] == 1
