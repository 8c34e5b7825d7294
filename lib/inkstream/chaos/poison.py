"""A picture that is sound, small, within every limit but that of time, and takes its reader's process with it."""

from __future__ import annotations

import struct
from io import BytesIO

from PIL import Image

SIDE = 12_000
SCANS = 100
START_OF_SCAN = 0xDA
END_OF_IMAGE = 0xD9


def slow_jpeg(side: int = SIDE, scans: int = SCANS) -> bytes:
    """A white progressive JPEG whose last scan comes again and again: each passes over all pixels, and changes none.

    144 megapixels and 100 scans are less than a megabyte, and ten seconds of a fast core.
    """
    file = BytesIO()
    Image.new("L", (side, side), 255).save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    start, end = _last_scan(whole)
    again = whole[start:end] * (scans - whole.count(bytes((0xFF, START_OF_SCAN))))
    return whole[:end] + again + whole[end:]


def _last_scan(data: bytes) -> tuple[int, int]:
    """Where the last scan's header begins and its data end (ITU-T T.81, annex B)."""
    at, scan = 2, (0, 0)
    while data[at + 1] != END_OF_IMAGE:
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if data[at + 1] == START_OF_SCAN:
            while data[end] != 0xFF or data[end + 1] == 0:  # what is coded has no marker in it
                end += 1
            scan = (at, end)
        at = end
    return scan
