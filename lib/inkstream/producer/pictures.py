"""What can be sent: a picture with its names, or the reason why one cannot be; and what a picture's bytes say of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from inkstream.errors import Rejected
from inkstream.image.sniff import sniff

HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to send. `filename` is what people see; `path` the place that its id is made of (send.picture_id)."""

    filename: str
    path: str
    content: bytes
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture, archive or folder that could not be read or sent, and why, in words."""

    filename: str
    reason: str


Item: TypeAlias = Picture | Failure
Items: TypeAlias = Iterator[Item]


def content_type_of(content: bytes) -> str | None:
    """A file's bytes, or the first HEAD_BYTES, in; its media type by signature out; None where it is no picture."""
    try:
        return f"image/{sniff(content[:HEAD_BYTES])}"
    except Rejected:
        return None


def place_of(path: Path) -> Path:
    """The path's absolute form without `..`, links kept: what ids are made of, however the path was typed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`, and Path.resolve follows links


def too_large(size: int, max_bytes: int) -> str:
    """The reason why a picture of `size` bytes is not sent."""
    return f"it has {size:,} bytes; {max_bytes:,} are taken at most"
