"""Imitation uploads show their glyph, the same for the same seed; broken files get the verdict they promise."""

from __future__ import annotations

import numpy as np
import pytest

from inkstream import records
from inkstream.errors import Rejected, SettingError
from inkstream.image.broken import BROKEN, broken
from inkstream.image.decode import Picture, decode
from inkstream.image.imitate import KINDS, encode, imitate, imitate_pixels
from inkstream.image.pen import distance_field, ink
from inkstream.settings import ImageSettings

LIMITS = ImageSettings()
SEVEN = [np.array([[0.1, 0.05], [0.9, 0.05], [0.4, 1.0]], np.float32)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def seven() -> np.ndarray:
    """uint8 (28, 28), white on black, as MNIST's."""
    return np.asarray(imitate_pixels(SEVEN, "clean", rng()))


def drawn_share(kind: str, pixels: np.ndarray) -> float:
    """How much of the picture stands out from what lies round it, by luminance (or by alpha)."""
    grey = pixels[..., 3] if kind == "alpha" else pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    return float((np.abs(grey.astype(float) - np.median(grey)) > 35).mean())


def test_pen_strokes_become_a_glyph_like_mnists(seven: np.ndarray) -> None:
    assert (seven.shape, seven.dtype) == ((28, 28), np.uint8)
    rows, columns = np.nonzero(seven > 128)
    assert 17 <= rows.max() - rows.min() + 1 <= 24
    assert columns.max() - columns.min() + 1 >= 14
    assert seven[:3].max() == 0


def test_clean_is_the_glyph_itself(seven: np.ndarray) -> None:
    picture = decode(imitate(seven, "clean", rng()), LIMITS)
    assert picture.format == "png"
    assert np.array_equal(picture.pixels, seven)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_file_and_another_another(kind: str, seven: np.ndarray) -> None:
    first = imitate(seven, kind, rng(1), side=300)
    assert first == imitate(seven, kind, rng(1), side=300)
    assert kind == "clean" or first != imitate(seven, kind, rng(2), side=300)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "clean"])
def test_the_longer_side_is_as_asked_and_something_is_drawn(kind: str, seven: np.ndarray) -> None:
    for seed in range(6):
        pixels = imitate_pixels(seven, kind, rng(seed), side=240)
        assert pixels.dtype == np.uint8
        assert max(pixels.shape[:2]) == 240
        if kind not in ("photo", "board"):  # there, shadows and a desk stand out as well
            assert 0.002 < drawn_share(kind, pixels) < 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_files_decode_to_the_pixels_that_training_sees(kind: str, seven: np.ndarray) -> None:
    for seed in range(4):
        pixels = imitate_pixels(seven, kind, rng(seed), side=240)
        picture = decode(imitate(seven, kind, rng(seed), side=240), LIMITS)
        assert (picture.height, picture.width) == pixels.shape[:2]
        if kind != "alpha":
            assert np.abs(picture.pixels.astype(int) - pixels).mean() < 8


def test_sides_are_those_that_people_have(seven: np.ndarray) -> None:
    sides = [max(decode(imitate(seven, "photo", rng(seed)), LIMITS)[1:3]) for seed in range(6)]
    assert min(sides) >= 600
    assert max(sides) <= 2400
    assert len(set(sides)) > 3


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "heic", "avif"])
def test_every_format_can_be_written_and_read(format_: str, seven: np.ndarray) -> None:
    pixels = imitate_pixels(seven, "photo", rng(3), side=200)
    picture = decode(encode(pixels, format_, rng()), LIMITS)
    assert picture.format == format_
    assert np.abs(picture.pixels.astype(int) - pixels).mean() < 9


def test_some_phones_lay_their_pictures_on_the_side(seven: np.ndarray) -> None:
    pixels = imitate_pixels(seven, "photo", rng(4), side=200)
    files = [encode(pixels, "jpeg", rng(seed), camera=True) for seed in range(20)]
    turned = [file for file in files if b"Exif" in file]
    assert 0 < len(turned) < 20
    for file in (turned[0], next(file for file in files if b"Exif" not in file)):
        assert np.abs(decode(file, LIMITS).pixels.astype(int) - pixels).mean() < 9


def test_thin_pens_leave_unbroken_lines(seven: np.ndarray) -> None:
    """The middle line of the glyph lies under ink at every width: no pressure may break a line."""
    to_page = np.diag([10.0, 10.0, 1.0])
    for seed in range(20):
        field = distance_field(seven, rng(seed))
        thin, thick = (ink(field, to_page, (280, 280), width) for width in (4.0, 24.0))
        assert (thick >= thin).all()
        assert thick.sum() > 3 * thin.sum()
        # each row from the seven's bar to its foot has ink
        assert (thin[60:200].max(axis=1) > 0.5).all(), seed


def test_unknown_kinds_and_formats_are_named(seven: np.ndarray) -> None:
    with pytest.raises(SettingError, match="'poster' is no kind of imitation; it is one of clean, canvas"):
        imitate(seven, "poster", rng())
    with pytest.raises(SettingError, match="'xcf' is no format to write"):
        imitate(seven, "photo", rng(), side=100, file_format="xcf")
    with pytest.raises(SettingError, match="alpha cannot be a jpeg"):
        imitate(seven, "alpha", rng(), file_format="jpeg")
    with pytest.raises(SettingError, match="'torn' is no kind of broken file"):
        broken("torn", rng())


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_broken_files_get_the_verdict_they_promise(kind: str, seed: int) -> None:
    expected = BROKEN[kind].reason_code
    assert expected in records.REASON_CODES
    assert broken(kind, rng(seed)) == broken(kind, rng(seed))
    try:
        found: Picture | str = decode(broken(kind, rng(seed)), LIMITS)
    except Rejected as rejected:
        found = rejected.code
    if expected == "blank":  # a sound picture of nothing: for the normaliser to see
        assert isinstance(found, Picture)
        assert float(found.pixels.std()) < 25
    else:
        assert found == expected
