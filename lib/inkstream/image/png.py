"""A PNG's chunks: checked, so that damage is found whatever the decoder overlooks, and reduced to what is drawn."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from inkstream.errors import Rejected
from inkstream.image.sniff import PNG_SIGNATURE

# What decides the pixels. Texts, profiles and animations are left out: they can only go wrong, or swell to gigabytes.
_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"}
_CRITICAL_BIT = 0x20
_FIRST_CHUNK = struct.Struct(">8sII5B")
_CHUNK = struct.Struct(">I4s")
_CRC = struct.Struct(">I")
_IDAT_AT = 33
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_AROUND_ONE_IDAT = _IDAT_AT + 12 + len(_IEND)
_PLAIN_COLOURS = {0, 2, 6}  # grey, RGB, RGBA


class Header(NamedTuple):
    """A PNG's size; `plain` where 8-bit grey, RGB or RGBA, not interlaced."""

    width: int
    height: int
    plain: bool


def read_header(data: bytes) -> Header:
    """What IHDR says. Raises Rejected (`unreadable`) where it is missing or cut."""
    try:
        start, width, height, depth, colour, _, _, interlace = _FIRST_CHUNK.unpack_from(data, 8)
    except struct.error:
        raise _cut_short() from None
    if start != b"\x00\x00\x00\rIHDR":
        raise _damaged()
    return Header(width, height, depth == 8 and interlace == 0 and colour in _PLAIN_COLOURS)


def is_one_sound_idat(data: bytes) -> bool:
    """Whether the file is IHDR, one undamaged IDAT and IEND, as the small ones of a stream are: saves the walk."""
    length = len(data) - _AROUND_ONE_IDAT
    return (
        length >= 0
        and _CHUNK.unpack_from(data, _IDAT_AT) == (length, b"IDAT")
        and data.endswith(_IEND)
        and zlib.crc32(data[_IDAT_AT + 4 : _IDAT_AT + 8 + length]) == _CRC.unpack_from(data, _IDAT_AT + 8 + length)[0]
    )


def without_extras(data: bytes) -> tuple[bytes, set[bytes]]:
    """The same picture with the chunks alone that decide its pixels, and their names.

    Raises:
        Rejected: `unreadable` where a chunk is cut, its checksum is wrong, or its kind is needed and unknown.
    """
    view, at = memoryview(data), len(PNG_SIGNATURE)
    kept: list[bytes | memoryview] = [PNG_SIGNATURE]
    names: set[bytes] = set()
    while b"IEND" not in names:
        if at + 12 > len(data):
            raise _cut_short()
        length, name = _CHUNK.unpack_from(data, at)
        end = at + 12 + length
        if end > len(data):
            raise _cut_short()
        if zlib.crc32(view[at + 4 : end - 4]) != _CRC.unpack_from(data, end - 4)[0]:
            raise _damaged()
        if name in _KEPT:
            names.add(name)
            kept.append(view[at:end])
        elif not name[0] & _CRITICAL_BIT:
            raise Rejected("unreadable", f"The PNG picture needs an extension that is not read ({name!r}).")
        at = end
    return b"".join(kept), names


def _cut_short() -> Rejected:
    return Rejected("unreadable", "The PNG picture is cut short: the end of the file is missing.")


def _damaged() -> Rejected:
    return Rejected("unreadable", "The PNG picture is damaged: a part's checksum does not fit its content.")
