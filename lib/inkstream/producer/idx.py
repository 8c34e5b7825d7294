"""An IDX file of images (MNIST's format, gz or not) in, one PNG after the other out, with its label where known."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import cv2
import numpy as np

from inkstream.producer.pictures import Failure, Items, Picture, place_of

IMAGES_MAGIC = b"\x00\x00\x08\x03"  # unsigned bytes, three dimensions
LABELS_MAGIC = b"\x00\x00\x08\x01"
GZIP_MAGIC = b"\x1f\x8b"
MAX_SIDE = 8192
CHUNK = 256  # pictures read at once
_ENDINGS = ("-ubyte", ".idx3", "-idx3", ".idx1", "-idx1", ".idx")


@dataclass(frozen=True, slots=True)
class IdxHeader:
    count: int
    height: int
    width: int


class DamagedIdx(Exception):
    """The file says it is an IDX file and is not a whole one; the message is the reason."""


def idx_magic(path: Path) -> bytes | None:
    """IMAGES_MAGIC or LABELS_MAGIC for a file of that kind, None for any other. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith(GZIP_MAGIC):
        try:
            with gzip.open(path) as unpacked:
                head = unpacked.read(4)
        except (OSError, EOFError, zlib.error):
            return None
    return head if head in (IMAGES_MAGIC, LABELS_MAGIC) else None


def count_idx(path: Path) -> int:
    """How many pictures the file says it holds; 0 where it is damaged."""
    try:
        with _open(path) as file:
            return _read_header(file).count
    except (OSError, EOFError, zlib.error, DamagedIdx):
        return 0


def labels_file_of(images: Path) -> Path | None:
    """The labels beside an images file (train-labels-idx1-ubyte for train-images-idx3-ubyte, gz or not), or None."""
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    if name == images.name.removesuffix(".gz"):
        return None
    for candidate in (images.with_name(name), images.with_name(f"{name}.gz")):
        if candidate.is_file() and idx_magic(candidate) == LABELS_MAGIC:
            return candidate
    return None


def set_name(images: Path) -> str:
    """`train-images` for train-images-idx3-ubyte.gz: what its pictures are called after."""
    name = images.name.removesuffix(".gz")
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name or images.name


def read_idx(images: Path) -> Items:
    """Yield each picture of an IDX file as a PNG, 8-bit grey, called `train-images#0` and so on.

    The label comes from the labels file beside it, if there is one. Of a damaged file the whole pictures before
    the damage are yielded, then one Failure.
    """
    name = set_name(images)
    place = place_of(images).as_posix()
    number = 0
    try:
        with ExitStack() as files:
            file = files.enter_context(_open(images))
            header = _read_header(file)
            labels = _read_labels(images, header.count)
            for pixels in _read_pictures(file, header):
                label = str(labels[number]) if labels else None
                yield Picture(f"{name}#{number}", f"{place}#{number}", _png(pixels), label)
                number += 1
    except (OSError, EOFError, zlib.error, DamagedIdx) as error:
        yield Failure(f"{name}#{number}" if number else images.name, f"the IDX file is damaged: {error}")


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path)) if packed else path.open("rb")


def _read_header(file: BinaryIO) -> IdxHeader:
    head = file.read(16)
    if len(head) < 16:
        raise DamagedIdx(f"its header has {len(head)} of 16 bytes")
    count, height, width = struct.unpack(">III", head[4:])
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise DamagedIdx(f"its pictures would be {width} x {height}; 1 to {MAX_SIDE} are read")
    return IdxHeader(count, height, width)


def _read_labels(images: Path, count: int) -> bytes:
    path = labels_file_of(images)
    if path is None:
        return b""
    with _open(path) as file:
        head = file.read(8)
        labels = file.read(count + 1)
    if struct.unpack(">I", head[4:8])[0] != count or len(labels) != count:
        raise DamagedIdx(f"it has {count} pictures, and {path.name} another number of labels")
    return labels


def _read_pictures(file: BinaryIO, header: IdxHeader) -> Iterator[np.ndarray[Any, Any]]:
    size = header.height * header.width
    chunk = max(1, min(CHUNK, (1 << 20) // size))
    left = header.count
    while left:
        content = file.read(min(chunk, left) * size)
        whole = len(content) // size
        pixels = np.frombuffer(content, np.uint8, whole * size)
        yield from pixels.reshape(whole, header.height, header.width)
        left -= whole
        if left and whole < chunk:
            raise DamagedIdx(f"it ends after {header.count - left} of {header.count} pictures")
    if file.read(1):
        raise DamagedIdx(f"bytes are left after its {header.count} pictures")


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    # Level 1: a picture of 28 x 28 gets hardly smaller with more, and level 9 takes several times as long.
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return encoded.tobytes()
