from __future__ import annotations

from datetime import datetime, timezone

from inkstream.stream.arrivals import Arrival, Stored, decide


def arrival(image_id: str, write_time: int, offset: int = 0, partition: int = 0) -> Arrival:
    return Arrival(image_id, write_time, "images.uploaded", partition, offset, 300, "2026-01-31", "recognised", None)


def stored(image_id: str, write_time: int, offset: int = 0, partition: int = 0) -> Stored:
    at = datetime(2026, 1, 30, tzinfo=timezone.utc)
    return Stored(image_id, at, "images.uploaded", partition, offset, write_time)


def test_new_ids_are_stored_and_supersede_nothing() -> None:
    decision = decide([arrival("a", 10, 1), arrival("b", 11, 2)], {})
    assert decision.losers == []
    assert decision.superseded == []


def test_of_an_id_that_comes_twice_in_a_batch_only_the_newer_is_stored() -> None:
    decision = decide([arrival("a", 10, 1), arrival("a", 12, 3), arrival("a", 11, 2)], {})
    assert sorted(decision.losers) == [("images.uploaded", 0, 1), ("images.uploaded", 0, 2)]


def test_a_newer_upload_supersedes_the_stored_one() -> None:
    old = stored("a", 5, 1)
    decision = decide([arrival("a", 10, 7)], {"a": old})
    assert decision.superseded == [(old, 10)]
    assert decision.losers == []


def test_an_older_upload_than_the_stored_one_is_not_stored() -> None:
    decision = decide([arrival("a", 5, 1)], {"a": stored("a", 10, 7)})
    assert decision.losers == [("images.uploaded", 0, 1)]
    assert decision.superseded == []


def test_a_replay_of_the_stored_message_is_written_again() -> None:
    decision = decide([arrival("a", 10, 7)], {"a": stored("a", 10, 7)})
    assert decision.losers == []
    assert decision.superseded == []


def test_two_uploads_of_one_millisecond_are_told_apart_by_their_place() -> None:
    decision = decide([arrival("a", 10, 1, partition=1), arrival("a", 10, 1, partition=0)], {})
    assert decision.losers == [("images.uploaded", 0, 1)]
