"""An image id in, all that the tables hold of that picture out: upload, answer, corrections, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from inkstream.errors import ServiceError
from inkstream.records import IMAGES, INLINE_BYTES, PREDICTIONS
from inkstream.store.session import CASSANDRA_ERRORS

CONCURRENCY = 32

_UPLOAD = f"SELECT {', '.join(name for name in IMAGES if name != 'bytes')} FROM images WHERE image_id = ?"
_ANSWERS = f"SELECT {', '.join(PREDICTIONS)}, WRITETIME(outcome) AS written_us FROM predictions WHERE image_id = ?"
_CORRECTION = 'SELECT label, "by", corrected_at FROM corrections WHERE image_id = ? LIMIT 1'
_BYTES = "SELECT bytes, size_bytes FROM images WHERE image_id = ?"
_PARTS = "SELECT bytes FROM image_parts WHERE image_id = ?"


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What is stored of a picture. Times: aware, UTC. Rejected: label, confidence and probabilities are None.

    prepared: 784 bytes, or None where the picture was rejected before. corrected: the label that a person gave last.
    """

    image_id: str
    filename: str | None
    content_type: str | None
    source: str | None
    uploaded_at: datetime
    width: int | None
    height: int | None
    size_bytes: int
    outcome: str
    label: str | None
    confidence: float | None
    probabilities: dict[str, float] | None
    reason_code: str | None
    reason: str | None
    why: dict[str, Any] | None
    prepared: bytes | None
    model_version: str
    stage_times: dict[str, float]
    corrected: str | None


def read_picture(session: Session, image_id: str, current_version: str) -> StoredPicture | None:
    """The picture with the current version's answer, else the one written last; None where it is not answered yet.

    Raises:
        ServiceError: Cassandra does not answer.
    """
    try:
        asked = [session.execute_async(session.prepare(text), (image_id,)) for text in (_UPLOAD, _ANSWERS, _CORRECTION)]
        upload, answers, correction = asked[0].result().one(), list(asked[1].result()), asked[2].result().one()
    except CASSANDRA_ERRORS as error:
        raise _failed(image_id, error) from error
    if upload is None or upload.size_bytes is None or not answers:
        return None
    answer = max(answers, key=lambda row: (row.model_version == current_version, row.written_us))
    return StoredPicture(
        image_id=image_id,
        filename=upload.filename,
        content_type=upload.content_type,
        source=upload.source,
        uploaded_at=upload.uploaded_at.replace(tzinfo=timezone.utc),
        width=upload.width,
        height=upload.height,
        size_bytes=upload.size_bytes,
        outcome=answer.outcome,
        label=answer.label,
        confidence=answer.confidence,
        probabilities=_json(answer.probabilities),
        reason_code=answer.reason_code,
        reason=answer.reason,
        why=_json(answer.why),
        prepared=answer.prepared,
        model_version=answer.model_version,
        stage_times=_json(answer.stage_times) or {},
        corrected=correction.label if correction else None,
    )


def read_corrections(session: Session, image_ids: Sequence[str]) -> dict[str, str]:
    """Of those pictures that a person corrected or confirmed: id -> the last label given. Raises ServiceError."""
    try:
        statement = session.prepare(_CORRECTION)
        keys = [(image_id,) for image_id in image_ids]
        answers = execute_concurrent_with_args(session, statement, keys, concurrency=CONCURRENCY)
        rows = [answer.result_or_exc.one() for answer in answers]
    except CASSANDRA_ERRORS as error:
        raise ServiceError(f"Cassandra does not give the corrections ({type(error).__name__}: {error})") from error
    return {image_id: row.label for image_id, row in zip(image_ids, rows, strict=True) if row}


def read_bytes(session: Session, image_id: str) -> bytes | None:
    """The file as it was uploaded; None where it is not stored. Raises ServiceError."""
    try:
        row = session.execute(session.prepare(_BYTES), (image_id,)).one()
        if row is None or row.size_bytes is None:
            return None
        if row.size_bytes <= INLINE_BYTES:
            return row.bytes or b""
        return b"".join(part.bytes for part in session.execute(session.prepare(_PARTS), (image_id,)))
    except CASSANDRA_ERRORS as error:
        raise _failed(image_id, error) from error


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _failed(image_id: str, error: Exception) -> ServiceError:
    return ServiceError(f"Cassandra does not give picture {image_id} ({type(error).__name__}: {error}); try again")
