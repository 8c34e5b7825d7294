"""A seed in, prepared pictures of what is no digit out: a model learns from them to be unsure, and not to guess.

Letters, words, signs, scribbles, textures, page edges and digits that run into each other, each as the normaliser
makes it. What it rejects is left out: a model never meets that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from inkstream.errors import Rejected
from inkstream.image import scenery
from inkstream.image.normalise import normalise
from inkstream.model.drawn import CANVAS, draw
from inkstream.model.imitations import upload

Array = np.ndarray[Any, Any]
SLENDER = 8  # pixels of 28: what is narrower may be somebody's 1
SIGNS = "ACDEFGHKMNPQRUVWXadefhkmnprtvwx&@#%*+=$"  # no O, l, S, Z, b, q, g, y: people's digits look like those
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)


def prepared_strangers(count: int, seed: int, on_made: Callable[[int], None]) -> Array:
    """uint8 (M, 28, 28) prepared pictures of `count` or fewer things that are no digits. The same for the same seed."""
    pixels = []
    for place in range(count):
        rng = np.random.default_rng((seed, 7, place))
        try:
            prepared = normalise(_KINDS[place % len(_KINDS)](rng)).pixels
        except Rejected:
            continue
        finally:
            on_made(place + 1)
        if cv2.boundingRect(prepared)[2] >= SLENDER:
            pixels.append(prepared)
    return np.stack(pixels)


def _letter(rng: np.random.Generator) -> Array:
    return upload(_written(SIGNS[rng.integers(len(SIGNS))], rng), rng)


def _word(rng: np.random.Generator) -> Array:
    letters = "".join(SIGNS[rng.integers(len(SIGNS))] for _ in range(rng.integers(2, 5)))
    return upload(_written(letters, rng), rng)


def _written(text: str, rng: np.random.Generator) -> Array:
    """uint8 (112, 112): the text large in the middle, leaning and uneven like a hand's."""
    font, pen = int(FONTS[rng.integers(len(FONTS))]), int(rng.integers(2, 10))
    (width, height), _ = cv2.getTextSize(text, font, 3, pen)
    page = np.zeros((height * 3, width + height * 2), np.uint8)
    cv2.putText(page, text, (height, height * 2), font, 3, 255, pen, cv2.LINE_AA)
    x, y, w, h = cv2.boundingRect(page)
    scale = rng.uniform(50, 90) / max(w, h)
    matrix = np.array([[1, rng.normal(0, 0.15)], [rng.normal(0, 0.1), 1]]) * scale
    shift = CANVAS / 2 - matrix @ (x + w / 2, y + h / 2)
    moved = cv2.warpAffine(page, np.column_stack([matrix, shift]), (CANVAS, CANVAS), flags=cv2.INTER_AREA)
    return _bent(moved, rng)


def _bent(canvas: Array, rng: np.random.Generator) -> Array:
    steps = np.arange(CANVAS, dtype=np.float32)
    bend = cv2.resize(rng.normal(0, rng.uniform(0, 3), (4, 4, 2)).astype(np.float32), (CANVAS, CANVAS), interpolation=2)
    bent: Array = cv2.remap(canvas, steps + bend[..., 0], steps[:, None] + bend[..., 1], cv2.INTER_LINEAR)
    return bent


def _scribble(rng: np.random.Generator) -> Array:
    """A pen that turns at random: the smoothed way through many points, sometimes through few with corners."""
    corners = rng.random() < 0.4
    points = rng.uniform(0.15, 0.85, (int(rng.integers(4, 8) if corners else rng.integers(7, 16)), 2)) * CANVAS
    if not corners:
        fine = cv2.resize(points.astype(np.float32), (2, 12 * len(points)), interpolation=cv2.INTER_CUBIC)
        points = cv2.blur(fine, (1, 9))
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    closed = bool(rng.random() < 0.3)
    cv2.polylines(canvas, [np.round(points).astype(np.int32)], closed, 255, int(rng.integers(2, 9)), cv2.LINE_AA)
    return upload(canvas, rng)


def _texture(rng: np.random.Generator) -> Array:
    """Spots of several sizes: what a photograph of anything else leaves."""
    side = int(rng.integers(60, 200))
    spots = sum(
        scenery.grain((side, side), rng, side / cells) * np.float32(rng.uniform(0, 1)) for cells in (3, 6, 12, 30)
    )
    levels: Array = np.clip(rng.uniform(60, 190) + rng.uniform(15, 60) * spots, 0, 255).astype(np.uint8)
    return levels


def _page(rng: np.random.Generator) -> Array:
    """An empty sheet, plain or ruled, on a desk that shows at its edges or over much of the picture."""
    side = int(rng.integers(120, 320))
    size = (side, round(side * rng.uniform(0.6, 1)))
    to_picture = scenery.tilt(size, rng, degrees=12, depth=0.1)
    sheet = scenery.paper(size, rng)
    if rng.random() < 0.4:
        sheet = scenery.ruled(sheet, to_picture, side / rng.uniform(4, 14), rng, squares=bool(rng.random() < 0.5))
    to_picture[:2, 2] += rng.uniform(-0.45, 0.45, 2) * size
    sheet = scenery.on_a_desk(sheet, to_picture, rng)
    return scenery.photographed(sheet * scenery.light(size, rng), rng)


def _run_together(rng: np.random.Generator) -> Array:
    """Two or three digits so near that they touch."""
    page = np.zeros((CANVAS, 3 * CANVAS), np.uint8)
    at = 0
    for _ in range(int(rng.integers(2, 4))):
        drawn = draw(int(rng.integers(10)), rng)
        x, _, width, _ = cv2.boundingRect(drawn)
        page[:, at : at + width] = np.maximum(page[:, at : at + width], drawn[:, x : x + width])
        at += max(1, width - int(rng.integers(2, 10)))
    x, y, width, height = cv2.boundingRect(page)
    room = max(width, height) + 24
    square = np.zeros((room, room), np.uint8)
    top, left = (room - height) // 2, (room - width) // 2
    square[top : top + height, left : left + width] = page[y : y + height, x : x + width]
    return upload(cv2.resize(square, (CANVAS, CANVAS), interpolation=cv2.INTER_AREA), rng)


_KINDS = (_letter, _scribble, _word, _letter, _texture, _page, _run_together, _scribble, _page, _texture)
