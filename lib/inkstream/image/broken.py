"""Files that cannot be answered, of every sort that people upload by mistake or on purpose: for samples and tests."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from inkstream.errors import SettingError
from inkstream.image import scenery
from inkstream.image.imitate import encode
from inkstream.image.pen import Bytes
from inkstream.image.sniff import PNG_SIGNATURE

_TEXT = b"Shopping list\n\n2 pounds of apples\n7 eggs\n1 loaf of bread\n"
_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""
_HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28"><path d="M8 4h12L12 24" stroke="#000"/></svg>\n'


class Broken(NamedTuple):
    """What a broken file is called and comes to: its suffix and the reason code of its rejection."""

    suffix: str
    reason_code: str
    make: Callable[[np.random.Generator], bytes]


def broken(kind: str, rng: np.random.Generator) -> bytes:
    """A file of one of the kinds in BROKEN.

    Raises:
        SettingError: the kind is unknown.
    """
    if kind not in BROKEN:
        raise SettingError(f"{kind!r} is no kind of broken file; it is one of {', '.join(BROKEN)}")
    return BROKEN[kind].make(rng)


def _sheet(rng: np.random.Generator, side: int = 480) -> Bytes:
    """uint8 (side * 3 / 4, side, 3): a photograph of paper that nobody has written on."""
    size = (side, side * 3 // 4)
    return scenery.photographed(scenery.paper(size, rng) * scenery.light(size, rng), rng)


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(len(data) * rng.uniform(0.3, 0.7))]


def _damaged_png(rng: np.random.Generator) -> bytes:
    data = bytearray(encode(_sheet(rng, 80), "png", rng))
    data[int(rng.integers(100, len(data) - 100))] ^= 0x10
    return bytes(data)


def png_file(width: int, height: int, rows: bytes, *, depth: int = 8, extra: bytes = b"", level: int = 9) -> bytes:
    """A grey PNG whose header says width and height, whatever rows holds. extra: chunks after the header."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return PNG_SIGNATURE + header + extra + png_chunk(b"IDAT", zlib.compress(rows, level)) + png_chunk(b"IEND", b"")


def png_chunk(name: bytes, content: bytes) -> bytes:
    """One chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _zip(rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("digit.png"), encode(_sheet(rng, 40), "png", rng))
    return file.getvalue()


def _transparent(rng: np.random.Generator) -> bytes:
    return encode(np.zeros((280, 280, 4), np.uint8), "png", rng)


BROKEN: dict[str, Broken] = {
    "empty": Broken("png", "unreadable", lambda _: b""),
    "truncated_jpeg": Broken("jpg", "unreadable", lambda rng: _cut(encode(_sheet(rng), "jpeg", rng), rng)),
    "truncated_gif": Broken("gif", "unreadable", lambda rng: _cut(encode(_sheet(rng, 80), "gif", rng), rng)),
    "truncated_heic": Broken("heic", "unreadable", lambda rng: _cut(encode(_sheet(rng), "heic", rng), rng)),
    "half_png": Broken("png", "unreadable", lambda rng: _cut(encode(_sheet(rng, 80), "png", rng), rng)),
    "damaged_png": Broken("png", "unreadable", _damaged_png),
    "zero_pixels": Broken("png", "unreadable", lambda _: png_file(0, 0, b"")),
    "text_named_png": Broken("png", "unsupported_format", lambda _: _TEXT),
    "page_named_jpg": Broken("jpg", "unsupported_format", lambda _: _HTML),
    "pdf": Broken("pdf", "unsupported_format", lambda _: _PDF),
    "svg": Broken("svg", "unsupported_format", lambda _: _SVG),
    "zip_named_png": Broken("png", "unsupported_format", _zip),
    "random_bytes": Broken("jpg", "unsupported_format", lambda rng: b"\x00" + rng.bytes(700)),
    "bomb": Broken("png", "too_many_pixels", lambda _: png_file(12000, 12000, bytes(12000 * 1501), depth=1)),
    "huge_dimensions": Broken("png", "too_many_pixels", lambda _: png_file(60000, 60000, bytes(60001))),
    "too_large": Broken("png", "too_large", lambda rng: encode(_sheet(rng, 80), "png", rng) + bytes(11 << 20)),
    "blank_canvas": Broken("png", "blank", lambda rng: encode(np.full((280, 280), 255, np.uint8), "png", rng)),
    "blank_paper": Broken("jpg", "blank", lambda rng: encode(_sheet(rng, 640), "jpeg", rng)),
    "blank_transparent": Broken("png", "blank", _transparent),
}
