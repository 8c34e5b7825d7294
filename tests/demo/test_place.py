"""A checkpoint that cannot belong to the topic is named before the stream fails on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inkstream.demo.place import check_place, read_checkpoint
from inkstream.errors import SetupError

TOPIC = "images.uploaded"


def write_batch(checkpoint: Path, number: int, offsets: dict[str, dict[str, int]]) -> str:
    folder = checkpoint / "offsets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(number)).write_text(f'v1\n{{"batchWatermarkMs":0}}\n{json.dumps(offsets)}')
    return checkpoint.as_uri()


def test_the_newest_batch_says_where_the_stream_stands(tmp_path: Path) -> None:
    checkpoint = tmp_path / "a place"
    write_batch(checkpoint, 9, {TOPIC: {"0": 3}})
    place = write_batch(checkpoint, 10, {TOPIC: {"0": 4, "1": 7}})
    (checkpoint / "offsets" / ".11.crc").write_bytes(b"not a batch")
    assert read_checkpoint(place) == {(TOPIC, 0): 4, (TOPIC, 1): 7}


def test_a_checkpoint_that_has_not_begun_or_lies_elsewhere_stands_nowhere(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path.as_uri()) == {}
    assert read_checkpoint((tmp_path / "none").as_uri()) == {}
    assert read_checkpoint("hdfs://namenode/checkpoint") == {}


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    place = write_batch(tmp_path, 1, {})
    (tmp_path / "offsets" / "2").write_text("v1\n{}\n")
    with pytest.raises(SetupError, match="is damaged"):
        read_checkpoint(place)


def test_a_checkpoint_within_the_topic_is_fine() -> None:
    check_place("file:///c", {}, TOPIC, {(TOPIC, 0): 0})
    check_place("file:///c", {(TOPIC, 0): 5}, TOPIC, {(TOPIC, 0): 5})


def test_a_checkpoint_behind_the_topics_end_says_that_kafkas_data_is_gone() -> None:
    with pytest.raises(SetupError, match=r"/my c stands at offset 5 of images\.uploaded, partition 0, which ends at 2"):
        check_place("file:///my%20c", {(TOPIC, 0): 5}, TOPIC, {(TOPIC, 0): 2})
    with pytest.raises(SetupError, match="partition 3, which ends at 0"):
        check_place("file:///c", {(TOPIC, 3): 1}, TOPIC, {(TOPIC, 0): 2})


def test_a_checkpoint_of_another_topic_is_named() -> None:
    with pytest.raises(SetupError, match=r"belongs to topic 'old\.images\.uploaded', and the settings name"):
        check_place("file:///c", {(f"old.{TOPIC}", 0): 0}, TOPIC, {(TOPIC, 0): 2})
