"""Stored bytes in, small pictures out: no browser shows every format, and a gallery is no place for 12 megapixels."""

from __future__ import annotations

import threading
from io import BytesIO

import numpy as np
from PIL import Image

from inkstream.errors import Rejected
from inkstream.image.decode import decode
from inkstream.records import PREPARED_SIDE
from inkstream.settings import ImageSettings

SIDE = 480  # pixels; shown at up to half of it, so that fine screens have some to show
TINY = 56  # what is not larger is kept as it is, pixel for pixel
QUALITY = 80

# Decoding is the worker's trade. Here it is done for pictures that a worker opened before, and for two at a time.
_at_once = threading.BoundedSemaphore(2)


def enlarge(prepared: bytes) -> bytes:
    """The 784 bytes that the model saw as a PNG, each pixel ten by ten: sharp in every browser and on paper."""
    side = PREPARED_SIDE
    image = Image.fromarray(np.frombuffer(prepared, np.uint8).reshape(side, side)).resize(
        (280, 280), Image.Resampling.NEAREST
    )
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def thumbnail(content: bytes, limits: ImageSettings) -> bytes | None:
    """WebP bytes, the longer side at most SIDE; None where the file cannot be opened."""
    with _at_once:
        try:
            picture = decode(content, limits, detail=SIDE)
        except Rejected:
            return None
        image = Image.fromarray(picture.pixels)
        image.thumbnail((SIDE, SIDE))
        buffer = BytesIO()
        image.save(buffer, "WEBP", quality=QUALITY, lossless=max(image.size) <= TINY, method=2)
        return buffer.getvalue()
