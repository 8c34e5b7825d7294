"""Answered cards and the rows of Cassandra in, what is missing of them out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from inkstream.demo.cards import Card
from inkstream.errors import ServiceError
from inkstream.records import REJECTED, bucket_of, day_of
from inkstream.store.session import CASSANDRA_ERRORS

CONCURRENCY = 16
Rows = dict[str, list[Any]]

_IMAGES = "SELECT image_id, topic, partition, offset, size_bytes, uploaded_at FROM images WHERE image_id = ?"
_PREDICTIONS = "SELECT image_id, model_version, outcome, label, prepared FROM predictions WHERE image_id = ?"
_BY_DAY = """
    SELECT image_id, topic, partition, offset, outcome, label FROM predictions_by_day
    WHERE day = ? AND bucket = ? AND uploaded_at = ? AND image_id = ?"""


class Check(NamedTuple):
    """gaps: a sentence for all that a sent picture lacks. prepared: image id -> 784 bytes, what the model saw."""

    gaps: list[str]
    prepared: dict[str, bytes]


def check_cards(session: Session, cards: Sequence[Card]) -> Check:
    """What is stored of the cards, held against what was sent and answered.

    Each picture must have its place in Kafka, one row in images, in predictions and in predictions_by_day that tell the
    same as the answer, an answer, and, where it was rejected, its bytes in images.rejected.

    Raises:
        ServiceError: Cassandra does not answer.
    """
    ids = [(card.image_id,) for card in cards]
    by_day = [
        (day_of(card.uploaded_at), bucket_of(card.uploaded_at, card.image_id), card.uploaded_at, card.image_id)
        for card in cards
        if card.uploaded_at
    ]
    try:
        images, predictions = (_read(session, query, ids) for query in (_IMAGES, _PREDICTIONS))
        days = _read(session, _BY_DAY, by_day)
    except CASSANDRA_ERRORS as error:
        raise ServiceError(f"Cassandra does not give the demo's rows ({type(error).__name__}: {error})") from error
    gaps = [
        f"{card.sample.name}: {gap}"
        for card in cards
        for gap in gaps_of(card, *(rows.get(card.image_id, []) for rows in (images, predictions, days)))
    ]
    return Check(gaps, {id_: rows[-1].prepared for id_, rows in predictions.items() if rows[-1].prepared})


def gaps_of(card: Card, images: list[Any], predictions: list[Any], by_day: list[Any]) -> Iterator[str]:
    """Yield what one card lacks; the rows are those of its id."""
    if card.origin is None:
        yield "it is not in images.uploaded"
        return
    if card.answer is None:
        yield "it has no answer"
        return
    answer = (card.answer["outcome"], card.answer["label"])
    if [(row.topic, row.partition, row.offset) for row in images] != [card.origin]:
        yield f"images has {_count(images)} of it, or another message's"
    elif images[0].size_bytes != len(card.sample.content):
        yield f"images says {images[0].size_bytes} bytes instead of {len(card.sample.content)}"
    version = card.answer["model_version"]
    of_version = [row for row in predictions if row.model_version == version]
    if [(row.outcome, row.label) for row in of_version] != [answer]:
        yield f"predictions has {_count(of_version)} of it, or another answer"
    if [(row.topic, row.partition, row.offset, row.outcome, row.label) for row in by_day] != [(*card.origin, *answer)]:
        yield f"predictions_by_day has {_count(by_day)} of it, or another answer"
    if card.answer["outcome"] == REJECTED and card.copy != card.sample.content:
        yield "images.rejected has no copy of it" if card.copy is None else "its copy in images.rejected is another"


def _count(rows: list[Any]) -> str:
    return f"{len(rows) or 'no'} row{'' if len(rows) == 1 else 's'}"


def _read(session: Session, query: str, keys: Sequence[tuple[Any, ...]]) -> Rows:
    """The rows by image id."""
    found: Rows = {}
    results = execute_concurrent_with_args(session, session.prepare(query), keys, concurrency=CONCURRENCY)
    for _, rows in results:
        for row in rows:
            found.setdefault(row.image_id, []).append(row)
    return found
