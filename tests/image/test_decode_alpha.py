"""Drawings with alpha come out over the background that shows them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from inkstream.image.decode import decode
from inkstream.settings import ImageSettings

LIMITS = ImageSettings()
STROKE = (slice(4, 24), slice(12, 16))
EDGE = (slice(4, 24), slice(16, 17))


def drawing(ink: tuple[int, int, int], under: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """A transparent 28x28 picture with a stroke of `ink`, softened on one side; `under` is what alpha 0 hides."""
    pixels = np.zeros((28, 28, 4), np.uint8)
    pixels[..., :3] = under
    pixels[STROKE] = (*ink, 255)
    pixels[EDGE] = (*ink, 100)
    return Image.fromarray(pixels)


def encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


@pytest.mark.parametrize("under", [(0, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize(
    ("ink", "background"),
    [((0, 0, 0), 255), ((20, 30, 160), 255), ((160, 20, 20), 255), ((255, 255, 255), 0), ((240, 240, 120), 0)],
)
@pytest.mark.parametrize(
    ("format_", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_a_drawing_lies_on_the_other_side_of_its_ink(
    format_: str, options: dict, ink: tuple[int, int, int], background: int, under: tuple[int, int, int]
) -> None:
    pixels = decode(encoded(drawing(ink, under), format_, **options), LIMITS).pixels
    assert (pixels[0] == background).all()
    assert (pixels[STROKE] == ink).all()
    between = (np.array(ink) * 100 + background * 155) / 255
    assert np.abs(pixels[EDGE].astype(int) - between).max() <= 1


def test_black_that_only_alpha_draws_is_dark_on_white() -> None:
    alpha = np.zeros((28, 28), np.uint8)
    alpha[STROKE] = 255
    picture = Image.new("RGBA", (28, 28))
    picture.putalpha(Image.fromarray(alpha))
    pixels = decode(encoded(picture, "PNG"), LIMITS).pixels
    assert np.array_equal(pixels[..., 0], 255 - alpha)


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGBA", (40, 28)),
        Image.new("RGBA", (40, 28), (255, 0, 0, 0)),
        Image.new("LA", (40, 28), (90, 0)),
        Image.new("RGBA", (4000, 2800), (9, 9, 9, 0)),
    ],
    ids=["black", "red", "grey", "large"],
)
def test_a_fully_transparent_picture_is_white_paper(picture: Image.Image) -> None:
    decoded = decode(encoded(picture, "PNG"), LIMITS)
    assert decoded.pixels.shape[1] == min(picture.width, 1024)
    assert (decoded.pixels == 255).all()


def test_a_white_card_with_transparent_corners_keeps_its_white() -> None:
    card = Image.new("RGBA", (28, 28), (255, 255, 255, 255))
    card.paste((0, 0, 0, 255), (12, 4, 16, 24))
    card.paste((0, 0, 0, 0), (0, 0, 4, 4))
    pixels = decode(encoded(card, "PNG"), LIMITS).pixels
    assert (pixels[:4, :4] == 255).all()
    assert (pixels[STROKE] == 0).all()


def test_a_digit_cut_out_of_a_white_sheet_is_dark() -> None:
    sheet = Image.new("RGBA", (28, 28), (255, 255, 255, 255))
    sheet.paste((0, 0, 0, 0), (12, 4, 16, 24))
    pixels = decode(encoded(sheet, "PNG"), LIMITS).pixels
    assert (pixels[STROKE] == 0).all()


def test_opaque_alpha_changes_nothing() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28, 4), np.uint8)
    pixels[..., 3] = 255
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), "PNG"), LIMITS).pixels, pixels[..., :3])


def test_grey_with_alpha_stays_grey() -> None:
    picture = drawing((0, 0, 0)).convert("LA")
    for format_ in ("PNG", "TIFF"):
        pixels = decode(encoded(picture, format_), LIMITS).pixels
        assert pixels.shape == (28, 28)
        assert pixels[0, 0] == 255
        assert (pixels[STROKE] == 0).all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
@pytest.mark.parametrize("ink", [0, 255])
def test_a_transparent_colour_is_background(mode: str, ink: int) -> None:
    """One colour (tRNS) stands for nothing: black ink on transparent white, or the other way round."""
    picture = Image.new("L", (28, 28), 255 - ink)
    picture.paste(ink, (12, 4, 16, 24))
    clear: int | tuple[int, int, int] = 255 - ink
    if mode == "RGB":
        clear = (255 - ink,) * 3
    picture = picture.convert(mode)
    pixels = decode(encoded(picture, "PNG", transparency=clear), LIMITS).pixels
    assert (pixels[STROKE] == ink).all()
    assert (pixels[0] == 255 - ink).all()


def test_hidden_ink_under_a_transparent_palette_entry_stays_hidden() -> None:
    """The clear entry is black, and so is the ink: without its alpha the picture would be all black."""
    indices = np.zeros((28, 28), np.uint8)
    indices[STROKE] = 1
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    for format_ in ("PNG", "GIF"):
        pixels = decode(encoded(picture, format_, transparency=0), LIMITS).pixels
        assert (pixels[STROKE] == 0).all(), format_
        assert (pixels[0] == 255).all(), format_


def test_alpha_is_weighed_in_when_a_drawing_is_reduced() -> None:
    large = drawing((0, 0, 0), under=(255, 0, 255)).resize((1400, 1400), Image.Resampling.NEAREST)
    pixels = decode(encoded(large, "PNG"), LIMITS, detail=280).pixels
    assert pixels.shape == (280, 280, 3)
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() == 0  # nothing of the hidden magenta shows
    assert (pixels[0] == 255).all()
