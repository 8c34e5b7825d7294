"""A picture that is sound and slow: every reader of JPEGs reads it, in time that grows with its scans."""

from __future__ import annotations

from inkstream.chaos.poison import SCANS, slow_jpeg
from inkstream.chaos.strikes import POISONED
from inkstream.image.decode import decode
from inkstream.settings import ImageSettings


def test_a_slow_picture_is_sound_and_within_the_limits() -> None:
    slow = slow_jpeg()
    assert len(slow) < POISONED.max_image_bytes
    assert slow.count(b"\xff\xda") == SCANS
    small = slow_jpeg(side=640)
    picture = decode(small, ImageSettings())
    assert (picture.width, picture.height, picture.format) == (640, 640, "jpeg")
    assert picture.pixels.min() == 255
