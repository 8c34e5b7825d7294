"""The worker's side of prepare: labelled pictures in, prepared pixels or a reason out; and augmented copies of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from inkstream.errors import Rejected
from inkstream.image.decode import decode
from inkstream.image.normalise import normalise
from inkstream.model.augment import SIDE, augment
from inkstream.settings import ImageSettings

THUMBNAIL = 56
READ_DDL = (
    "name string, source string, split_hint string, trust int, label string, sha256 string, pixels binary, "
    "reason_code string, reason string, thumbnail binary"
)
_TYPES = {"string": pa.string(), "int": pa.int32(), "binary": pa.binary()}
READ_SCHEMA = pa.schema([(name, _TYPES[type_]) for name, type_ in (part.split() for part in READ_DDL.split(", "))])
_HANDED_ON = ("name", "source", "split_hint", "trust", "label")


@dataclass(frozen=True, slots=True)
class ReadTask:
    """labels: those that a data set has; a picture with another one is left out."""

    limits: ImageSettings
    labels: tuple[str, ...]


def read_batches(task: ReadTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """records.LABELLED_PICTURE in; a row of READ_DDL for each out, in order. A bad picture never stops a partition."""
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in ("label", "content", "height", "width")}
        read = [_read(task, *row) for row in zip(*columns.values(), strict=True)]
        made = [list(column) for column in zip(*read, strict=True)] or [[], [], [], [], []]
        arrays = [batch.column(name) for name in _HANDED_ON]
        arrays += [
            pa.array(column, READ_SCHEMA.field(place + len(_HANDED_ON)).type) for place, column in enumerate(made)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=READ_SCHEMA)


def _read(
    task: ReadTask, label: str | None, content: bytes | None, height: int | None, width: int | None
) -> tuple[str | None, bytes | None, str | None, str | None, bytes | None]:
    """sha256 and pixels, or a reason's code and text with a thumbnail where something could be decoded."""
    if label not in task.labels:
        told = f"{label!r} is none of the labels {', '.join(task.labels)}" if label else "There is no label."
        return None, None, "unknown_label", told, None
    if content is None:
        return None, None, "missing", "The file or its bytes are not there.", None
    picture = None
    try:
        picture = _pixels(task, content, height, width)
        pixels = normalise(picture).pixels
    except Rejected as rejected:
        return None, None, rejected.code, rejected.reason, None if picture is None else _thumbnail(picture)
    data = pixels.tobytes()
    return hashlib.sha256(data).hexdigest(), data, None, None, None


def _pixels(task: ReadTask, content: bytes, height: int | None, width: int | None) -> np.ndarray[Any, Any]:
    if height is None or width is None:
        return decode(content, task.limits).pixels
    if len(content) != height * width:
        raise Rejected("unreadable", f"There are {len(content)} bytes for {height} x {width} pixels.")
    return np.frombuffer(content, np.uint8).reshape(height, width)


def _thumbnail(picture: np.ndarray[Any, Any]) -> bytes:
    scale = THUMBNAIL / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    encoded: bytes = cv2.imencode(".png", small if small.ndim == 2 else small[..., ::-1])[1].tobytes()
    return encoded


def augment_batches(copies: int, seed: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """records.PREPARED_PICTURE in; the same rows, and after each of them its copies, out.

    A copy depends on the seed, the picture and its own number alone: not on the partition, nor on its neighbours.
    """
    for batch in batches:
        yield batch
        for variant in range(1, copies + 1):
            made = [
                augmented_copy(pixels, sha256, variant, seed)
                for pixels, sha256 in zip(
                    batch.column("pixels").to_pylist(), batch.column("sha256").to_pylist(), strict=True
                )
            ]
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns["variant"] = pa.array([variant] * len(made), pa.int32())
            columns["pixels"] = pa.array(made, pa.binary())
            yield pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def augmented_copy(pixels: bytes, sha256: str, variant: int, seed: int) -> bytes:
    """784 prepared bytes in, 784 of another hand, pen and scanner out."""
    rng = np.random.default_rng((seed, int(sha256[:16], 16), variant))
    glyph = np.frombuffer(pixels, np.uint8).reshape(1, SIDE, SIDE)
    return bytes(augment(glyph, rng)[0].tobytes())
