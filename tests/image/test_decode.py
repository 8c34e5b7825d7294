"""Pictures of every format and mode, made here, come out as the pixels that a person sees."""

from __future__ import annotations

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from inkstream.image.decode import decode
from inkstream.settings import ImageSettings

# as decode sets it for every process; pytest's own filters would come before it
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")

LIMITS = ImageSettings()


def encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def heic(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=-1, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    """uint8 (20, 30): 0 on the left, a white bar, a dark foot."""
    pixels = np.zeros((20, 30), np.uint8)
    pixels[:, 10:14] = 255
    pixels[16:] = 90
    return pixels


@pytest.fixture(scope="module")
def colour(grey: np.ndarray) -> np.ndarray:
    """uint8 (20, 30, 3), with parts of strong red, green and blue."""
    pixels = np.dstack([grey] * 3)
    pixels[:8, 20:] = (250, 10, 20)
    pixels[8:16, 20:] = (10, 240, 30)
    pixels[16:, 20:] = (20, 30, 230)
    return pixels


@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "TIFF"])
def test_lossless_grey_stays_the_same_and_grey(format_: str, grey: np.ndarray) -> None:
    picture = decode(encoded(Image.fromarray(grey), format_), LIMITS)
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, grey)
    assert (picture.width, picture.height, picture.format) == (30, 20, format_.lower())


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)
def test_lossless_colour_stays_the_same(format_: str, options: dict, colour: np.ndarray) -> None:
    picture = decode(encoded(Image.fromarray(colour), format_, **options), LIMITS)
    assert np.array_equal(picture.pixels, colour)


@pytest.mark.parametrize(
    ("format_", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("AVIF", {}), ("HEIC", {})]
)
def test_lossy_colour_is_close(format_: str, options: dict, colour: np.ndarray) -> None:
    large = Image.fromarray(colour).resize((300, 200), Image.Resampling.NEAREST)
    data = heic(large) if format_ == "HEIC" else encoded(large, format_, quality=95, **options)
    picture = decode(data, LIMITS)
    assert (picture.width, picture.height, picture.format) == (300, 200, format_.lower())
    assert np.abs(picture.pixels.astype(int) - np.asarray(large)).mean() < 4


def test_a_grey_jpeg_stays_grey(grey: np.ndarray) -> None:
    assert decode(encoded(Image.fromarray(grey), "JPEG"), LIMITS).pixels.shape == (20, 30)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit_becomes_black_and_white(format_: str, grey: np.ndarray) -> None:
    pixels = decode(encoded(Image.fromarray(grey > 128), format_), LIMITS).pixels
    assert np.array_equal(pixels, np.where(grey > 128, 255, 0))


@pytest.mark.parametrize("format_", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_is_looked_up(format_: str, colour: np.ndarray) -> None:
    palette = Image.fromarray(colour).quantize(8)
    pixels = decode(encoded(palette, format_), LIMITS).pixels
    assert np.array_equal(pixels, np.asarray(palette.convert("RGB")))


def test_a_grey_palette_stays_grey(grey: np.ndarray) -> None:
    palette = Image.fromarray(grey).convert("P")
    assert np.array_equal(decode(encoded(palette, "PNG"), LIMITS).pixels, grey)


@pytest.mark.parametrize("depth", [2, 4])
def test_two_and_four_bits_are_spread_over_the_whole_range(depth: int) -> None:
    steps = np.arange(2**depth, dtype=np.uint8)[None].repeat(4, axis=0)
    picture = Image.fromarray(steps)
    picture = picture.convert("P")
    picture.putpalette([level * 255 // (2**depth - 1) for level in range(2**depth) for _ in range(3)])
    pixels = decode(encoded(picture, "PNG", bits=depth), LIMITS).pixels
    assert pixels[0].tolist() == [level * 255 // (2**depth - 1) for level in range(2**depth)]


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(format_: str, grey: np.ndarray) -> None:
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    assert np.array_equal(decode(encoded(wide, format_), LIMITS).pixels, grey)


@pytest.mark.parametrize(("top", "factor"), [(255, 1), (4095, 16)])
def test_few_bits_in_sixteen_are_not_taken_for_black(top: int, factor: int, grey: np.ndarray) -> None:
    wide = np.minimum(grey.astype(np.uint16) * factor + factor - 1, top)
    pixels = decode(encoded(Image.fromarray(wide), "TIFF"), LIMITS).pixels
    assert np.abs(pixels.astype(int) - grey).max() <= 1


@pytest.mark.parametrize(
    ("scale", "offset", "dtype"),
    [
        (1 / 255, 0, np.float32),
        (1, 0, np.float32),
        (257, 0, np.float32),
        (1, 0, np.int32),
        (257, 0, np.int32),
        (1000, -70000, np.int32),
    ],
)
def test_wide_tiffs_are_read_by_their_range(scale: float, offset: int, dtype: type, grey: np.ndarray) -> None:
    wide = np.rint(grey.astype(float) * scale + offset) if scale >= 1 else grey * scale
    wide = wide.astype(dtype)
    pixels = decode(encoded(Image.fromarray(wide), "TIFF"), LIMITS).pixels
    assert np.array_equal(pixels, grey)


def test_a_float_tiff_with_holes_is_read(grey: np.ndarray) -> None:
    wide = (grey / 255).astype(np.float32)
    wide[0, 0], wide[0, 1] = np.nan, np.inf
    assert np.array_equal(decode(encoded(Image.fromarray(wide), "TIFF"), LIMITS).pixels, grey)


def test_cmyk_jpegs_have_their_colours_the_right_way_round(colour: np.ndarray) -> None:
    cmyk = Image.fromarray(colour).resize((300, 200), Image.Resampling.NEAREST).convert("CMYK")
    pixels = decode(encoded(cmyk, "JPEG", quality=95), LIMITS).pixels
    assert np.abs(pixels.astype(int) - np.asarray(cmyk.convert("RGB"))).mean() < 4


def test_cmyk_and_lab_tiffs_are_read_as_colours(colour: np.ndarray) -> None:
    cmyk = Image.fromarray(colour).convert("CMYK")
    assert np.abs(decode(encoded(cmyk, "TIFF"), LIMITS).pixels.astype(int) - colour).mean() < 2
    white_lab = Image.merge("LAB", [Image.new("L", (8, 8), level) for level in (255, 128, 128)])
    assert decode(encoded(white_lab, "TIFF"), LIMITS).pixels.min() > 250


def test_the_first_frame_of_an_animation_is_read(grey: np.ndarray) -> None:
    first, second = Image.fromarray(grey), Image.fromarray(255 - grey)
    for format_, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encoded(first, format_, save_all=True, append_images=[second], **options)
        pixels = decode(data, LIMITS).pixels
        assert np.array_equal(pixels if pixels.ndim == 2 else pixels[..., 0], grey), format_


def test_the_first_picture_of_a_stereo_jpeg_is_read(grey: np.ndarray) -> None:
    data = encoded(Image.fromarray(grey), "MPO", save_all=True, append_images=[Image.fromarray(255 - grey)], quality=95)
    picture = decode(data, LIMITS)
    assert picture.format == "jpeg"
    assert np.abs(picture.pixels.astype(int) - grey).mean() < 8


UPRIGHT = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen),
    7: lambda seen: seen[::-1, ::-1].swapaxes(0, 1),
    8: lambda seen: np.rot90(seen, 3),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_the_eight_orientations_are_turned_upright(format_: str, orientation: int, colour: np.ndarray) -> None:
    """The file holds what the camera's sensor saw; the tag says how to turn it into `seen`."""
    seen = np.asarray(Image.fromarray(colour).resize((300, 200), Image.Resampling.NEAREST))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](seen)))
    picture = decode(encoded(stored, format_, exif=exif), LIMITS)
    assert (picture.width, picture.height) == (300, 200)
    assert picture.pixels.shape == seen.shape
    assert np.abs(picture.pixels.astype(int) - seen).mean() < 6


def test_a_turned_heic_is_upright(colour: np.ndarray) -> None:
    seen = np.asarray(Image.fromarray(colour).resize((300, 200), Image.Resampling.NEAREST))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(seen)))
    picture = decode(heic(turned, exif=exif.tobytes()), LIMITS)
    assert (picture.width, picture.height) == (300, 200)
    assert np.abs(picture.pixels.astype(int) - seen).mean() < 4


def test_a_senseless_orientation_changes_nothing(grey: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert np.array_equal(decode(encoded(Image.fromarray(grey), "PNG", exif=exif), LIMITS).pixels, grey)


@pytest.mark.parametrize("size", [(3, 5), (640, 480), (2500, 2000)])
def test_colours_come_as_they_are_however_many_pieces_pillow_keeps_them_in(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 4, (*size[::-1], 3), dtype=np.uint8)
    data = encoded(Image.fromarray(pixels), "TIFF", compression="tiff_adobe_deflate")
    assert np.array_equal(decode(data, LIMITS, detail=0).pixels, pixels)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_detail_reduces_large_pictures_and_leaves_small_ones(format_: str) -> None:
    large = Image.new("RGB", (1200, 600), "white")
    large.paste((0, 0, 0), (300, 150, 600, 450))
    data = encoded(large, format_)
    picture = decode(data, LIMITS, detail=256)
    assert (picture.width, picture.height) == (1200, 600)
    assert 192 <= picture.pixels.shape[1] <= 256
    height, width = picture.pixels.shape[:2]
    assert picture.pixels[height // 2, width * 3 // 8].max() < 30
    assert picture.pixels[height // 10, width // 10].min() > 225
    assert decode(data, LIMITS, detail=0).pixels.shape == (600, 1200, 3)
    assert decode(data, LIMITS, detail=1200).pixels.shape == (600, 1200, 3)


def test_a_very_long_picture_is_reduced_to_a_line() -> None:
    assert decode(encoded(Image.new("L", (9000, 2)), "PNG"), LIMITS, detail=100).pixels.shape == (1, 100)


def test_the_same_bytes_give_the_same_pixels(colour: np.ndarray) -> None:
    data = encoded(Image.fromarray(colour).resize((900, 700)), "JPEG")
    assert np.array_equal(decode(data, LIMITS, detail=300).pixels, decode(data, LIMITS, detail=300).pixels)


def test_a_large_jpeg_is_not_even_decoded_in_full() -> None:
    """libjpeg gives an eighth of the side, which is three quarters of the detail; a full picture would come as 512."""
    assert decode(encoded(Image.new("RGB", (3200, 1600)), "JPEG"), LIMITS, detail=512).pixels.shape == (200, 400, 3)
