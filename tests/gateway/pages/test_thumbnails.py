from __future__ import annotations

from io import BytesIO

from PIL import Image

from inkstream.gateway.pages.thumbnails import SIDE, thumbnail
from inkstream.image.samples import sample_files
from inkstream.settings import ImageSettings

LIMITS = ImageSettings()


def test_every_sample_that_is_a_picture_gets_one_that_a_browser_shows() -> None:
    for path in sample_files():
        if "broken" in path.name:
            continue
        made = thumbnail(path.read_bytes(), LIMITS)
        assert made is not None, path.name
        shown = Image.open(BytesIO(made))
        assert shown.format == "WEBP"
        assert max(shown.size) <= SIDE


def test_a_tiny_picture_keeps_every_pixel() -> None:
    pixels = Image.effect_noise((28, 28), 80).convert("RGB")
    buffer = BytesIO()
    pixels.save(buffer, "PNG")
    made = thumbnail(buffer.getvalue(), LIMITS)
    assert made is not None
    assert Image.open(BytesIO(made)).convert("RGB").tobytes() == pixels.tobytes()


def test_what_is_no_picture_gets_none() -> None:
    assert thumbnail(b"%PDF-1.7", LIMITS) is None
