"""Every record that crosses a border: Kafka headers and answers, identities, what the worker yields, table columns.

Tables are created by conf/schema.cql; a test holds it and this module together.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import numpy as np
import orjson

from inkstream.times import UTC, parse_rfc3339

Outcome = Literal["recognised", "uncertain", "rejected"]
RECOGNISED: Outcome = "recognised"
UNCERTAIN: Outcome = "uncertain"
REJECTED: Outcome = "rejected"
DEFERRED = "deferred"  # never leaves the stream: a large picture, answered in the micro-batch's second pass
OUTCOMES: tuple[str, ...] = get_args(Outcome)

# Why a picture is rejected; what each means is what people read in the docs and in `quarantine list`.
REASON_CODES = {
    "unreadable": "the file is damaged, cut short or empty",
    "unsupported_format": "the file is no picture of a kind that is read",
    "too_large": "the file has more bytes than the limit",
    "too_many_pixels": "the picture has more pixels than the limit",
    "blank": "nothing is drawn on it",
    "no_digit": "what is drawn is not a digit",
    "several_digits": "there is more than one digit",
    "decode_failed": "the decoder crashed, hung or ran out of its memory",
}

ANSWER_SCHEMA_VERSION = "1"
NO_MODEL = "-"  # model_version of a picture that never reached a model
BUCKETS_AN_HOUR = 16  # fixed: another number would put a replay into another row
INLINE_BYTES = 1 << 20  # pictures up to this lie in images.bytes, larger ones in image_parts
PREPARED_SIDE = 28
TOP_PROBABILITIES = 10

_VALID_ID = re.compile(rb"(?!kafka:)[A-Za-z0-9._:-]{1,128}")
_PLACE_ID = re.compile(r"kafka:[A-Za-z0-9._-]{1,249}:\d+:\d+:\d+", re.ASCII)
_CLOCK_SKEW = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one picture says. Rejected: `label` is None, `confidence` 0, `reason_code` and `reason` are set.

    probabilities: label -> 0..1, as top_probabilities gives them; None when rejected before the model.
    prepared: uint8, what the model saw; None when rejected before the normaliser ended. ink_share: of it, 0..1.
    why: the normaliser's record, small and JSON-able. times: milliseconds by stage, with three decimals.
    """

    outcome: Outcome
    label: str | None = None
    confidence: float = 0.0
    probabilities: dict[str, float] | None = None
    reason_code: str | None = None
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    why: dict[str, Any] | None = None
    prepared: np.ndarray[Any, Any] | None = None
    ink_share: float | None = None
    model_version: str = NO_MODEL
    times: dict[str, float] | None = None


# --- identity -------------------------------------------------------------------------------------------------


def image_id(
    key: bytes | None, topic: str, partition: int, offset: int, timestamp_ms: int, replay_of: str | None = None
) -> str:
    """The upload's id: its key where that is a valid one, else an id made of its place in Kafka.

    Valid: 1-128 of A-Z a-z 0-9 . _ : - and not beginning with "kafka:". A replay (header replay-of) of an upload whose
    id was made of its first place keeps that one: its key and the header say the same.
    """
    if key is not None and _VALID_ID.fullmatch(key):
        return key.decode("ascii")
    if key is not None and replay_of is not None and key == replay_of.encode() and _PLACE_ID.fullmatch(replay_of):
        return replay_of
    return f"kafka:{topic}:{partition}:{offset}:{timestamp_ms}"


def write_time_us(timestamp_ms: int, offset: int) -> int:
    """Microseconds since the epoch for Cassandra's write timestamp: from the message alone, growing with the offset.

    A replay writes the same time and changes nothing; an older upload of the same id loses against a newer one.
    """
    return timestamp_ms * 1000 + offset % 1000


def day_of(uploaded_at: datetime) -> str:
    """The UTC day as YYYY-MM-DD."""
    return uploaded_at.astimezone(UTC).strftime("%Y-%m-%d")


def bucket_of(uploaded_at: datetime, id_: str) -> int:
    """Which of a day's 24 x 16 buckets holds the row: 0..383, by UTC hour and crc32 of the id."""
    return uploaded_at.astimezone(UTC).hour * BUCKETS_AN_HOUR + zlib.crc32(id_.encode()) % BUCKETS_AN_HOUR


BUCKETS_A_DAY = 24 * BUCKETS_AN_HOUR


def uploaded_at(claimed: str | None, received: datetime) -> datetime:
    """When the picture was uploaded: the header where it is RFC 3339 and not in the future, else the broker's time.

    Five minutes ahead are taken for a clock that is a little fast. Millisecond precision, as Cassandra stores it.
    """
    moment = parse_rfc3339(claimed) if claimed else None
    if moment is None or not _EPOCH <= moment <= received + _CLOCK_SKEW:
        moment = received
    finer = moment.microsecond % 1000
    return (moment - timedelta(microseconds=finer) if finer else moment).astimezone(UTC)


def ink_shares(prepared: np.ndarray[Any, Any]) -> list[float]:
    """How much of each is ink: uint8 (N, H, W) or (N, H * W) in; the mean of the values, 0..1, out."""
    pixels = prepared.reshape(len(prepared), -1)
    shares: list[float] = (pixels.sum(axis=1) / pixels.shape[1] / 255.0).tolist()
    return shares


# --- Kafka ----------------------------------------------------------------------------------------------------

# Headers of images.uploaded, all optional, all UTF-8.
UPLOAD_HEADERS = ("filename", "content-type", "source", "uploaded-at", "label", "replay-of")


def shortest_float32(value: float) -> float:
    """The double that prints as the shortest text which reads back as that float32: 0.98, not 0.9800000190734863."""
    shortest: float = _shortest(np.asarray([value], np.float32))[0]
    return shortest


def _shortest(values: np.ndarray[Any, Any]) -> list[Any]:
    """As nested lists; orjson writes float32 in its shortest form, ten times as fast as NumPy's str."""
    shortest: list[Any] = orjson.loads(orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY))
    return shortest


def top_probabilities(labels: Sequence[str], probabilities: np.ndarray[Any, Any]) -> list[dict[str, float]]:
    """float32 (N, classes) in; of each row label -> probability, in the bundle's label order, out.

    Of more than ten classes the ten largest.
    """
    rows = _shortest(probabilities)
    if len(labels) <= TOP_PROBABILITIES:
        return [dict(zip(labels, row, strict=True)) for row in rows]
    largest = np.sort(np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP_PROBABILITIES], axis=1)
    return [{labels[i]: row[i] for i in kept} for row, kept in zip(rows, largest.tolist(), strict=True)]


def encode_json(value: Any) -> bytes:
    """JSON of dicts, lists, numbers (NumPy's too), texts and what has been encoded before: orjson.Fragment."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC)


def encode_answer(answer: dict[str, Any]) -> bytes:
    """The JSON value of images.predicted."""
    return encode_json(answer)


def decode_answer(value: bytes) -> dict[str, Any]:
    """What encode_answer wrote."""
    answer: dict[str, Any] = orjson.loads(value)
    return answer


# --- what a worker yields: one row per message; Spark's DDL, and Arrow's types in stream/predict.py from it -------

RESULT = {
    "image_id": "string",
    "filename": "string",
    "content_type": "string",
    "source": "string",
    "uploaded_at": "timestamp",
    "width": "int",
    "height": "int",
    "size_bytes": "int",
    "sha256": "string",
    "claimed_label": "string",
    "topic": "string",
    "partition": "int",
    "offset": "bigint",
    "model_version": "string",
    "outcome": "string",
    "label": "string",
    "confidence": "float",
    "probabilities": "string",  # JSON, label -> 0..1
    "reason_code": "string",
    "reason": "string",
    "why": "string",
    "prepared": "binary",
    "predicted_at": "timestamp",
    "stage_times": "string",  # JSON, stage -> milliseconds
    "day": "date",
    "bucket": "int",
    "ink_share": "float",  # mean of prepared, 0..1
    "write_time": "bigint",  # microseconds: Cassandra's write timestamp
    "answer": "binary",  # the JSON value of images.predicted
    "headers": "array<struct<key:string,value:binary>>",  # the upload's own, of rejected ones only
    "bytes": "binary",  # null where the bytes were left in Kafka
}
RESULT_DDL = ", ".join(f"`{name}` {type_}" for name, type_ in RESULT.items())

# --- data sets: column -> Spark's type -------------------------------------------------------------------------

# A labelled picture as a source gives it. content: a file's bytes, or height x width bytes, one a pixel, where both are
# set; null: the file is missing. split_hint: `test` stays test, `train` never becomes it. trust: 2 a correction, 1 a
# labelled set, 0 an uploader's claim.
LABELLED_PICTURE = {
    "name": "string",
    "source": "string",
    "split_hint": "string",
    "trust": "int",
    "label": "string",
    "content": "binary",
    "height": "int",
    "width": "int",
}

# A prepared picture. sha256: of its pixels. variant: 0 the picture itself, 1.. augmented copies. pixels: 784 bytes.
PREPARED_PICTURE = {
    "sha256": "string",
    "variant": "int",
    "label": "string",
    "split": "string",  # train, held, test
    "source": "string",
    "name": "string",
    "pixels": "binary",
}

# A labelled picture that did not get in. thumbnail: PNG of what could be decoded, else null.
LEFT_OUT_PICTURE = {
    "name": "string",
    "source": "string",
    "label": "string",
    "reason_code": "string",
    "reason": "string",
    "thumbnail": "binary",
}

# --- tables: column -> CQL type, in conf/schema.cql's order --------------------------------------------------

IMAGES = {
    "image_id": "text",
    "filename": "text",
    "content_type": "text",
    "source": "text",
    "uploaded_at": "timestamp",
    "width": "int",
    "height": "int",
    "size_bytes": "int",
    "sha256": "text",
    "claimed_label": "text",
    "topic": "text",
    "partition": "int",
    "offset": "bigint",
    "bytes": "blob",
}
IMAGE_PARTS = {"image_id": "text", "part": "int", "bytes": "blob"}
PREDICTIONS = {
    "image_id": "text",
    "model_version": "text",
    "outcome": "text",
    "label": "text",
    "confidence": "float",
    "probabilities": "text",
    "reason_code": "text",
    "reason": "text",
    "why": "text",
    "prepared": "blob",
    "predicted_at": "timestamp",
    "stage_times": "text",
}
PREDICTIONS_BY_DAY = {
    "day": "date",
    "bucket": "int",
    "uploaded_at": "timestamp",
    "image_id": "text",
    "model_version": "text",
    "outcome": "text",
    "label": "text",
    "confidence": "float",
    "reason_code": "text",
    "filename": "text",
    "source": "text",
    "topic": "text",
    "partition": "int",
    "offset": "bigint",
    "stage_times": "text",
    "claimed_label": "text",
    "ink_share": "float",
    "predicted_at": "timestamp",
}
CORRECTIONS = {"image_id": "text", "corrected_at": "timestamp", "label": "text", "by": "text"}
CHANGED_DAYS = {"day": "date", "changed_at": "timestamp"}
STREAM_PROGRESS = {
    "topic": "text",
    "partition": "int",
    "from_offset": "bigint",
    "until_offset": "bigint",
    "updated_at": "timestamp",
}
SUMMARIES = {"day": "date", "made_at": "timestamp", "summary": "text"}
FORGOTTEN = {"image_id": "text", "forgotten_at": "timestamp", "why": "text"}
MODELS = {"registry": "text", "revision": "int", "current": "text", "shadow": "text", "history": "text"}
TABLES = {
    "images": IMAGES,
    "image_parts": IMAGE_PARTS,
    "predictions": PREDICTIONS,
    "predictions_by_day": PREDICTIONS_BY_DAY,
    "corrections": CORRECTIONS,
    "changed_days": CHANGED_DAYS,
    "stream_progress": STREAM_PROGRESS,
    "summaries": SUMMARIES,
    "forgotten": FORGOTTEN,
    "models": MODELS,
}
