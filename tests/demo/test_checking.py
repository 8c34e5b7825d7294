"""Whatever a sent picture lacks is named; a complete one has no gap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inkstream.demo.cards import Card, Sample
from inkstream.demo.checking import gaps_of

PLACE = {"topic": "images.uploaded", "partition": 1, "offset": 5}


def card_of(outcome: str, label: str | None, copy: bytes | None) -> Card:
    sample = Sample("one.png", "one", label, b"four")
    answer = {"outcome": outcome, "label": label, "model_version": "v1"}
    return Card(sample, sample.image_id, origin=("images.uploaded", 1, 5), answer=answer, copy=copy)


def rows_of(card: Card) -> dict[str, list[Any]]:
    """The rows that a complete card has, by table."""
    answer = card.answer or {}
    told = {"outcome": answer["outcome"], "label": answer["label"]}
    return {
        "images": [SimpleNamespace(**PLACE, size_bytes=4)],
        "predictions": [SimpleNamespace(**told, model_version="v1"), SimpleNamespace(**told, model_version="v0")],
        "predictions_by_day": [SimpleNamespace(**PLACE, **told)],
    }


def gaps(card: Card, rows: dict[str, list[Any]]) -> list[str]:
    return list(gaps_of(card, *rows.values()))


@pytest.mark.parametrize("card", [card_of("recognised", "7", None), card_of("rejected", None, b"four")])
def test_a_complete_picture_has_no_gap(card: Card) -> None:
    assert gaps(card, rows_of(card)) == []


@pytest.mark.parametrize("table", ["images", "predictions", "predictions_by_day"])
def test_a_missing_row_is_a_gap_of_its_table(table: str) -> None:
    card = card_of("recognised", "7", None)
    rows = rows_of(card)
    rows[table] = []
    (gap,) = gaps(card, rows)
    assert gap.startswith(f"{table} has no rows of it")


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("images", {"offset": 4}),
        ("images", {"size_bytes": 3}),
        ("predictions", {"label": "1"}),
        ("predictions_by_day", {"partition": 2}),
        ("predictions_by_day", {"outcome": "uncertain"}),
    ],
)
def test_a_row_that_tells_otherwise_is_a_gap(table: str, change: dict[str, Any]) -> None:
    card = card_of("recognised", "7", None)
    rows = rows_of(card)
    rows[table][0].__dict__.update(change)
    (gap,) = gaps(card, rows)
    assert gap.startswith(f"{table} ")


def test_a_row_too_many_in_a_day_is_a_gap() -> None:
    card = card_of("recognised", "7", None)
    rows = rows_of(card)
    rows["predictions_by_day"] *= 2
    assert gaps(card, rows) == ["predictions_by_day has 2 rows of it, or another answer"]


@pytest.mark.parametrize(("copy", "said"), [(None, "no copy"), (b"else", "another")])
def test_a_rejected_picture_needs_its_own_copy(copy: bytes | None, said: str) -> None:
    card = card_of("rejected", None, copy)
    (gap,) = gaps(card, rows_of(card))
    assert said in gap


def test_a_picture_that_kafka_or_the_stream_does_not_know_is_a_gap() -> None:
    unsent, unanswered = card_of("recognised", "7", None), card_of("recognised", "7", None)
    rows = rows_of(unsent)
    unsent.origin = None
    unanswered.answer = None
    assert gaps(unsent, rows) == ["it is not in images.uploaded"]
    assert gaps(unanswered, rows) == ["it has no answer"]
