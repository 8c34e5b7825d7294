"""Clean digits in, what the normaliser makes of pictures of them out: training pictures as a model meets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from inkstream.errors import Rejected
from inkstream.image.imitate import imitate_pixels
from inkstream.image.normalise import normalise
from inkstream.model.augment import augment
from inkstream.model.drawn import draw

Array = np.ndarray[Any, Any]
KINDS = ("canvas", "stylus", "scan", "photo", "board")


def prepared_imitations(
    glyphs: Array, labels: Array, count: int, seed: int, on_made: Callable[[int], None]
) -> tuple[Array, Array]:
    """uint8 (M, 28, 28) glyphs and int (M,) labels in; at most `count` prepared pictures and their labels out.

    A third are drawn from strokes, a third are glyphs in other pens and sizes, a third imitate whole uploads: paper,
    boards, light. What the normaliser rejects is left out. The same for the same seed.
    """
    pixels, truths = [], []
    for place in range(count):
        rng = np.random.default_rng((seed, place))
        row = int(rng.integers(len(glyphs)))
        label = int(labels[row]) if place % 3 else int(rng.integers(10))
        if place % 3 == 0:
            picture = upload(draw(label, rng), rng)
        else:
            glyph = augment(glyphs[row : row + 1], rng)[0]
            kind = KINDS[rng.integers(len(KINDS))]
            small = int(rng.integers(120, 300))
            picture = (
                upload(repenned(glyph, rng), rng) if place % 3 == 1 else imitate_pixels(glyph, kind, rng, side=small)
            )
        try:
            pixels.append(normalise(picture).pixels)
            truths.append(label)
        except Rejected:
            continue
        finally:
            on_made(place + 1)
    return np.stack(pixels), np.array(truths, np.int64)


def repenned(glyph: Array, rng: np.random.Generator) -> Array:
    """uint8 (28, 28) in, uint8 (112, 112) out: the glyph larger, hard-edged, its strokes wider or thinner."""
    large = cv2.resize(glyph, (112, 112), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), rng.uniform(1.5, 3.5))
    level = rng.uniform(0.25, 0.75) * float(large.max())
    repenned: Array = cv2.GaussianBlur(np.where(large > level, 255, 0).astype(np.uint8), (0, 0), 0.7)
    return repenned


def upload(drawing: Array, rng: np.random.Generator) -> Array:
    """uint8 (112, 112) white on black in; uint8 (H, W) out: another size and polarity, soft, noisy, unevenly lit."""
    side = int(rng.choice([28, 28, 32, 45, 64, 112, 112, 200]))
    method = cv2.INTER_AREA if side < 112 else cv2.INTER_LINEAR
    picture = cv2.resize(drawing, (side, side), interpolation=method).astype(np.float32) / 255
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.005, 0.02) * side)
    contrast = rng.uniform(60, 255)
    ground = rng.uniform(0, 255 - contrast)
    picture = ground + contrast * picture
    if rng.random() < 0.5:
        slopes = rng.uniform(-0.25, 0.25, 2) * contrast
        picture += slopes[0] * np.linspace(-1, 1, side)[:, None] + slopes[1] * np.linspace(-1, 1, side)[None, :]
    if rng.random() < 0.5:
        picture += rng.normal(0, rng.uniform(0, 0.06) * contrast, picture.shape)
    if rng.random() < 0.6:
        picture = 255 - picture
    levels: Array = np.clip(picture, 0, 255).astype(np.uint8)
    return levels
