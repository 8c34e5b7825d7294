"""A 28x28 glyph, or pen strokes, in; an imitation of what people upload out: drawings, scans, photographs, boards.

The same seeded generator gives the same picture. Made for the samples, the tests and the training of models.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image

from inkstream.errors import SettingError
from inkstream.image import scenery
from inkstream.image.pen import GLYPH_SIDE, Bytes, Floats, Shape, distance_field, ink

# how high a digit stands in its glyph, MNIST's 20 of 28
_DIGIT_SIDE = 20
_INKS = ((28, 34, 96), (30, 50, 150), (22, 22, 26), (35, 35, 40), (165, 28, 36), (20, 90, 60), (70, 72, 78))
_PENCIL = (92, 92, 98)
_STYLUS_INKS = ((30, 90, 220), (220, 40, 50), (20, 140, 70), (20, 20, 20), (130, 40, 170), (230, 110, 10))
_CHALKS = ((240, 240, 235), (245, 235, 170), (235, 200, 205), (195, 220, 240))
_BOARDS = ((38, 66, 54), (30, 52, 46), (40, 42, 44), (28, 28, 32), (52, 74, 66))
_ORIENTATION_TAG = 0x0112
# with several threads, the bytes would hang on the machine's cores
_ONE_THREAD_X265 = {"preset": "ultrafast", "x265:pools": "none", "x265:frame-threads": "1"}
_SIDES = {"canvas": (200, 400), "alpha": (200, 400), "stylus": (300, 900), "scan": (240, 1000)}
_CAMERA_SIDES = (600, 2400)
_FORMATS = {
    "clean": ("png",),
    "canvas": ("png", "png", "png", "jpeg"),
    "alpha": ("png", "png", "webp"),
    "stylus": ("png", "png", "jpeg"),
    "scan": ("png", "jpeg", "tiff"),
    "photo": ("jpeg",),
    "board": ("jpeg",),
}
KINDS = tuple(_FORMATS)


def imitate(
    shape: Shape, kind: str, rng: np.random.Generator, *, side: int | None = None, file_format: str | None = None
) -> bytes:
    """A picture file as people upload it: `imitate_pixels`, encoded in the kind's usual format or in `file_format`.

    Raises:
        SettingError: the kind or the format is unknown.
    """
    pixels = imitate_pixels(shape, kind, rng, side=side)
    usual = _FORMATS[kind]
    return encode(pixels, file_format or usual[rng.integers(len(usual))], rng, camera=kind in ("photo", "board"))


def imitate_pixels(shape: Shape, kind: str, rng: np.random.Generator, *, side: int | None = None) -> Bytes:
    """uint8 (H, W), (H, W, 3) or, for "alpha", (H, W, 4): the picture of `kind` before it is encoded.

    `shape`: uint8 (28, 28), white on black, or pen strokes, each float (N, 2) of x and y in 0..1. `side`: the picture's
    longer side in pixels; left out, one as people have it. "clean" is the glyph itself.

    Raises:
        SettingError: the kind is unknown.
    """
    if kind not in _FORMATS:
        raise SettingError(f"{kind!r} is no kind of imitation; it is one of {', '.join(KINDS)}")
    field = None if kind == "clean" and isinstance(shape, np.ndarray) else distance_field(shape, rng)
    if field is None:
        return np.array(shape, np.uint8)
    if kind == "clean":
        return np.rint(ink(field, np.eye(3), (GLYPH_SIDE, GLYPH_SIDE), 2.6) * 255).astype(np.uint8)
    if side is None:
        low, high = _SIDES.get(kind, _CAMERA_SIDES)
        side = int(rng.integers(low, high + 1))
    return _MAKERS[kind](field, side, rng)


def encode(pixels: Bytes, file_format: str, rng: np.random.Generator, *, camera: bool = False) -> bytes:
    """Pixels to a file: "png", "jpeg", "webp", "gif", "bmp", "tiff", "heic" or "avif".

    `camera`: a JPEG's quality is then a phone's, and a quarter lie on their side with a tag that says so.

    Raises:
        SettingError: the format is unknown.
    """
    picture, file, options = Image.fromarray(pixels), BytesIO(), dict[str, Any]()
    if file_format in ("jpeg", "webp", "avif", "heic"):
        options["quality"] = int(rng.integers(60, 93))
    if file_format == "jpeg" and camera and rng.random() < 0.25:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = 6
        picture, options["exif"] = picture.transpose(Image.Transpose.ROTATE_90), exif
    if file_format == "jpeg" and picture.mode == "RGBA":
        raise SettingError("a drawing with alpha cannot be a jpeg; name png, webp or tiff")
    if file_format == "heic":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(file, enc_params=_ONE_THREAD_X265, **options)
    elif file_format in ("png", "jpeg", "webp", "gif", "bmp", "tiff", "avif"):
        if file_format == "tiff":
            options["compression"] = "tiff_lzw"
        elif file_format == "avif":
            options["max_threads"] = 1
        picture.save(file, file_format, **options)
    else:
        raise SettingError(
            f"{file_format!r} is no format to write; it is one of png, jpeg, webp, gif, bmp, tiff, heic, avif"
        )
    return file.getvalue()


def _placed(
    size: scenery.Size, rng: np.random.Generator, share: tuple[float, float], degrees: float
) -> tuple[Any, float]:
    """Glyph pixels to the page's (3 x 3), and the digit's height there: somewhere on the page, leaning a little."""
    width, height = size
    digit = min(size) * rng.uniform(*share)
    scale = digit / _DIGIT_SIDE
    angle, slant = np.deg2rad(rng.normal(0, degrees)), rng.normal(0, 0.08)
    stretch = rng.uniform(0.85, 1.15)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, slant], [0, 1]])
    # the whole glyph stays on the page
    free = np.maximum((np.array(size) - digit * GLYPH_SIDE / _DIGIT_SIDE) / 2, 0)
    middle = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * free * 0.9
    matrix[:2, 2] = middle - matrix[:2, :2] @ (GLYPH_SIDE / 2, GLYPH_SIDE / 2)
    return matrix, digit


def _canvas(field: Floats, side: int, rng: np.random.Generator) -> Bytes:
    """A drawing with a thick brush: black on white, or white on black."""
    matrix, digit = _placed((side, side), rng, (0.45, 0.76), 4)
    drawn = ink(field, matrix, (side, side), digit * rng.uniform(0.06, 0.15))
    if rng.random() < 0.3:
        drawn = (drawn > 0.5).astype(np.float32)  # a canvas without smoothing
    grey = np.rint(drawn * 255).astype(np.uint8)
    grey = 255 - grey if rng.random() < 0.6 else grey
    return np.dstack([grey] * 3) if rng.random() < 0.5 else grey


def _alpha(field: Floats, side: int, rng: np.random.Generator) -> Bytes:
    """A drawing on nothing: the ink's colour everywhere, or black where there is none, and all shape in the alpha."""
    matrix, digit = _placed((side, side), rng, (0.45, 0.76), 4)
    drawn = np.rint(ink(field, matrix, (side, side), digit * rng.uniform(0.05, 0.13)) * 255).astype(np.uint8)
    colour = ((0, 0, 0), (0, 0, 0), (255, 255, 255), (25, 60, 170))[rng.integers(4)]
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[..., :3] = colour
    if rng.random() < 0.5:
        pixels[drawn == 0] = 0
    pixels[..., 3] = drawn
    return pixels


def _stylus(field: Floats, side: int, rng: np.random.Generator) -> Bytes:
    """Thin coloured ink of a tablet on a light page, sometimes with squares or lines."""
    size = (side, max(80, round(side * rng.uniform(0.6, 1))))
    matrix, digit = _placed(size, rng, (0.3, 0.8), 5)
    page = np.empty((3, size[1], size[0]), np.float32)
    page[:] = scenery.planes(rng.uniform(244, 255, 3) if rng.random() < 0.5 else (255, 255, 255))
    if rng.random() < 0.35:
        page = scenery.ruled(page, np.eye(3), digit / rng.uniform(1, 5), rng, squares=bool(rng.random() < 0.6))
    colour = scenery.planes(_STYLUS_INKS[rng.integers(len(_STYLUS_INKS))])
    drawn = ink(field, matrix, size, digit * rng.uniform(0.02, 0.06))
    return np.ascontiguousarray(np.rint(page + drawn * (colour - page)).astype(np.uint8).transpose(1, 2, 0))


def _scan(field: Floats, side: int, rng: np.random.Generator) -> Bytes:
    """Grey paper under a scanner's even light: speckles, sometimes a dark rim, sometimes black and white alone."""
    size = (max(80, round(side * rng.uniform(0.6, 1))), side)
    to_picture = scenery.tilt(size, rng, degrees=1.5, depth=0)
    matrix, digit = _placed(size, rng, (0.3, 0.8), 6)
    sheet = scenery.paper(size, rng, (int(rng.integers(195, 253)),) * 3)[:1]
    if rng.random() < 0.2:
        sheet = scenery.ruled(sheet, to_picture, digit / rng.uniform(1, 4), rng, squares=True)[:1]
    sheet = sheet[0]
    drawn = ink(field, to_picture @ matrix, size, digit * rng.uniform(0.03, 0.1))
    drawn *= np.clip(0.9 + 0.12 * scenery.grain(size, rng, 1.5), 0, 1)
    sheet += drawn * (rng.uniform(20, 100) - sheet)
    if rng.random() < 0.25:
        rim = round(side * rng.uniform(0.005, 0.03))
        sheet[:, :rim] -= rng.uniform(60, 160)
    sheet = cv2.GaussianBlur(sheet, (0, 0), rng.uniform(0.4, 1.0)) + scenery.grain(size, rng, 1) * rng.uniform(1, 7)
    if rng.random() < 0.3:
        sheet = np.where(sheet > rng.uniform(130, 165), 255, 0)
        specks = rng.random(sheet.shape, np.float32) < rng.uniform(0.00005, 0.0008)
        sheet[specks] = 0
    return np.clip(sheet, 0, 255).astype(np.uint8)


def _photo(field: Floats, side: int, rng: np.random.Generator) -> Bytes:
    """Ink on paper by a phone: light from a side, shadows, lines, a desk's edge, tilt, blur, noise."""
    short = round(side * (0.75, 0.5625, 1.0)[rng.integers(3)])
    size = (side, short) if rng.random() < 0.5 else (short, side)
    to_picture = scenery.tilt(size, rng, degrees=5, depth=0.06)
    matrix, digit = _placed(size, rng, (0.25, 0.75), 5)
    sheet = scenery.paper(size, rng)
    if rng.random() < 0.45:
        sheet = scenery.ruled(sheet, to_picture, digit / rng.uniform(0.9, 4.5), rng, squares=bool(rng.random() < 0.45))
    pencil = rng.random() < 0.25
    colour = scenery.planes(_PENCIL if pencil else _INKS[rng.integers(len(_INKS))])
    drawn = ink(field, to_picture @ matrix, size, digit * rng.uniform(0.025, 0.11))
    flow = 0.72 + 0.3 * scenery.grain(size, rng, 2) if pencil else 0.94 + 0.06 * scenery.grain(size, rng, 6)
    sheet += drawn * np.clip(flow, 0.25, 1) * (colour - sheet)
    if rng.random() < 0.25:
        sheet = scenery.on_a_desk(sheet, to_picture, rng)
    return scenery.photographed(sheet * scenery.light(size, rng), rng)


def _board(field: Floats, side: int, rng: np.random.Generator) -> Bytes:
    """Chalk on a dark board: dry, uneven strokes over the clouds that a sponge has left."""
    size = (side, round(side * rng.uniform(0.6, 1)))
    to_picture = scenery.tilt(size, rng, degrees=3, depth=0.05)
    matrix, digit = _placed(size, rng, (0.35, 0.75), 5)
    board = scenery.paper(size, rng, _BOARDS[rng.integers(len(_BOARDS))])
    board += np.clip(scenery.grain(size, rng, side / rng.uniform(4, 9)), 0, 3) * rng.uniform(1, 9)
    chalk = scenery.planes(_CHALKS[rng.integers(len(_CHALKS))])
    drawn = ink(field, to_picture @ matrix, size, digit * rng.uniform(0.05, 0.12))
    drawn *= np.clip(0.78 + 0.28 * scenery.grain(size, rng, max(1.5, digit / 120)), 0.12, 1)
    board += drawn * (chalk - board)
    return scenery.photographed(board * scenery.light(size, rng, strength=0.7), rng)


_MAKERS: dict[str, Callable[[Floats, int, np.random.Generator], Bytes]] = {
    "canvas": _canvas,
    "alpha": _alpha,
    "stylus": _stylus,
    "scan": _scan,
    "photo": _photo,
    "board": _board,
}
