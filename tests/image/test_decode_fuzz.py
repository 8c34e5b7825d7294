"""Whatever the bytes: a Picture or a Rejected, nothing else; and the same verdict by libspng and by Pillow."""

from __future__ import annotations

import functools
import io

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from inkstream import records
from inkstream.errors import Rejected
from inkstream.image import decode as decoder
from inkstream.image.decode import Picture, decode
from inkstream.settings import ImageSettings

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")

LIMITS = ImageSettings(max_pixels=1_000_000)
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC")
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@functools.cache
def sample(format_: str) -> bytes:
    pixels = np.zeros((18, 14, 3), np.uint8)
    pixels[4:14, 6:9] = 255
    pixels[:2] = (200, 40, 40)
    file = io.BytesIO()
    if format_ == "HEIC":
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(file)
    else:
        options = {"compression": "tiff_lzw"} if format_ == "TIFF" else {}
        Image.fromarray(pixels).save(file, format_, **options)
    return file.getvalue()


def verdict(data: bytes) -> Picture | str:
    """A picture, or the code of its rejection; anything else escapes and fails the test."""
    try:
        picture = decode(data, LIMITS)
    except Rejected as rejected:
        return rejected.code if rejected.reason and rejected.code in records.REASON_CODES else "no reason"
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 2 or picture.pixels.shape[2] == 3
    assert picture.pixels.size
    return picture


@many
@given(st.binary(max_size=400))
def test_random_bytes_are_rejected(data: bytes) -> None:
    assert verdict(data) in ("unreadable", "unsupported_format")


@many
@given(st.sampled_from(FORMATS), st.integers(4, 60), st.binary(max_size=200))
def test_a_beginning_with_a_random_rest_is_rejected_or_read(format_: str, kept: int, rest: bytes) -> None:
    assert verdict(sample(format_)[:kept] + rest) != "no reason"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_cut_at_any_byte_is_never_half_a_picture(format_: str) -> None:
    data = sample(format_)
    whole = decode(data, LIMITS)
    for length in range(len(data)):
        found = verdict(data[:length])
        if isinstance(found, Picture):  # formats that end with padding or a marker
            assert length > len(data) - 4
            assert np.array_equal(found.pixels, whole.pixels)


@pytest.mark.parametrize("format_", FORMATS)
@many
@given(st.data())
def test_flipped_bits_are_rejected_or_read(format_: str, data: st.DataObject) -> None:
    damaged = bytearray(sample(format_))
    for at in data.draw(st.lists(st.integers(0, len(damaged) * 8 - 1), min_size=1, max_size=8)):
        damaged[at // 8] ^= 1 << at % 8
    assert verdict(bytes(damaged)) != "no reason"


@st.composite
def plain_pngs(draw: st.DrawFn) -> bytes:
    """8-bit PNGs of every size, channel count, filter mix and chunk layout that take the quick way."""
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    channels = draw(st.sampled_from([(), (3,), (4,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([1, 2, 60, 256]))
    pixels = np.sort(rng.integers(0, top, (height, width, *channels), np.uint8), axis=draw(st.integers(0, 1)))
    file = io.BytesIO()
    options = {"dpi": (72, 72)} if draw(st.booleans()) else {}
    Image.fromarray(pixels).save(file, "PNG", compress_level=draw(st.integers(0, 9)), **options)
    return file.getvalue()


def both_ways(data: bytes, patch: pytest.MonkeyPatch) -> tuple[Picture | str, Picture | str]:
    """The verdict with libspng, and with Pillow alone."""
    quick = verdict(data)
    with patch.context() as without_libspng:
        without_libspng.setattr(decoder, "_load_plain", lambda _: None)
        return quick, verdict(data)


def test_plain_pngs_do_not_reach_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decoder._OPENERS, "png", lambda _: 1 / 0)
    assert decode(sample("PNG"), LIMITS).width == 14
    monkeypatch.setattr(decoder, "_load_plain", lambda _: None)
    assert verdict(sample("PNG")) == "unreadable"


def assert_same(quick: Picture | str, slow: Picture | str) -> None:
    if isinstance(quick, str) or isinstance(slow, str):
        assert quick == slow
    else:
        assert np.array_equal(quick.pixels, slow.pixels)
        assert quick[1:] == slow[1:]


@many
@given(plain_pngs())
def test_libspng_and_pillow_see_the_same_pixels(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    quick, slow = both_ways(data, monkeypatch)
    assert isinstance(quick, Picture)
    assert_same(quick, slow)


@many
@given(plain_pngs(), st.data())
def test_libspng_and_pillow_judge_damage_alike(
    monkeypatch: pytest.MonkeyPatch, data: bytes, drawn: st.DataObject
) -> None:
    damaged = bytearray(data[: drawn.draw(st.integers(8, len(data)))])
    for at in drawn.draw(st.lists(st.integers(0, len(damaged) * 8 - 1), max_size=3)):
        damaged[at // 8] ^= 1 << at % 8
    assert_same(*both_ways(bytes(damaged), monkeypatch))
