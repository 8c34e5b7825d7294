"""Stored pictures that were rejected: found by reason or id, with their names and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from cassandra.cluster import Session

from inkstream.records import REASON_CODES, REJECTED
from inkstream.store.pictures import StoredPicture, read_bytes, read_picture
from inkstream.store.results import read_days, read_results
from inkstream.times import rfc3339


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A rejected picture, without its bytes. `uploaded_at`: aware, UTC."""

    image_id: str
    filename: str | None
    uploaded_at: datetime
    reason_code: str
    reason: str
    model_version: str


def read_quarantine(session: Session, current_version: str, code: str | None = None) -> Iterator[Quarantined]:
    """Yield the rejected pictures, newest first, of one reason or of all. Raises ServiceError."""
    for result in read_results(session, read_days(session), current_version):
        if result.outcome == REJECTED and code in (None, result.reason_code):
            known = result.reason_code or ""
            yield Quarantined(
                result.image_id,
                result.filename,
                result.uploaded_at,
                known,
                result.reason or REASON_CODES.get(known, ""),
                result.model_version,
            )


def find_quarantined(session: Session, current_version: str, ids: Iterable[str]) -> Iterator[Quarantined | str]:
    """Yield each of the ids as a rejected picture, or as the sentence that says why it is none. Raises ServiceError."""
    for image_id in dict.fromkeys(ids):
        stored = read_picture(session, image_id, current_version)
        if stored is None:
            yield f"{image_id} is not stored"
        elif stored.outcome != REJECTED:
            yield f"{image_id} is not in quarantine: it is {stored.outcome}, {stored.label}"
        else:
            yield _quarantined(stored)


def _quarantined(stored: StoredPicture) -> Quarantined:
    code = stored.reason_code or ""
    reason = stored.reason or REASON_CODES.get(code, "")
    return Quarantined(stored.image_id, stored.filename, stored.uploaded_at, code, reason, stored.model_version)


def upload_of(session: Session, image_id: str) -> tuple[bytes, dict[str, str]] | None:
    """The file as it was uploaded and its headers, with the time of the upload; None where it is not stored.

    Raises:
        ServiceError: Cassandra does not answer.
    """
    content = read_bytes(session, image_id)
    statement = "SELECT filename, content_type, source, claimed_label, uploaded_at FROM images WHERE image_id = ?"
    row = session.execute(session.prepare(statement), (image_id,)).one()
    if content is None or row is None or row.uploaded_at is None:
        return None
    moment = rfc3339(row.uploaded_at.replace(tzinfo=timezone.utc))
    named = {
        "filename": row.filename,
        "content-type": row.content_type,
        "source": row.source,
        "label": row.claimed_label,
        "uploaded-at": moment,
    }
    return content, {name: value for name, value in named.items() if value is not None}
