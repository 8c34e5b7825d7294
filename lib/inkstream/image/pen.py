"""A glyph or pen strokes in, ink on a page out, by each pixel's distance from the middle of the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Shape = Bytes | Sequence[Floats]

GLYPH_SIDE = 28
CELLS = 4  # of the distance grid for each glyph pixel
_GRID = GLYPH_SIDE * CELLS
_SOFTENED = 1.2  # cells
_FAR = 60.0  # glyph pixels: no ink out here
_MARGIN = 4.0  # glyph pixels round pen strokes, as MNIST has round its digits
_OFFSETS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def distance_field(shape: Shape, rng: np.random.Generator) -> Floats:
    """float32 (112, 112): the distance of each cell, in glyph pixels, from the middle of an uneven line.

    `shape`: uint8 (28, 28) glyph, white on black, or pen strokes, each float (N, 2) of x and y in 0..1.
    """
    line = _skeleton(_enlarged(shape)) if isinstance(shape, np.ndarray) else _drawn(shape)
    away = cv2.distanceTransform((line == 0).astype(np.uint8), cv2.DIST_L2, 5)
    away = np.maximum(cv2.GaussianBlur(away, (0, 0), _SOFTENED) - _SOFTENED * 0.8, 0) / CELLS  # what blurring adds
    wobble = _smooth_noise(rng, 4, 2) * (0.3 * CELLS)
    ys, xs = np.mgrid[0:_GRID, 0:_GRID].astype(np.float32)
    bent = cv2.remap(away, xs + wobble[..., 0], ys + wobble[..., 1], cv2.INTER_LINEAR, borderValue=_FAR)
    field: Floats = bent * (1 + 0.25 * np.tanh(_smooth_noise(rng, 5, 1)))  # the pen presses more, or less
    return field


def ink(field: Floats, to_page: np.ndarray[Any, Any], size: tuple[int, int], width: float) -> Floats:
    """float32 (height, width of the page), 0..1: how much of each pixel the pen covers.

    `to_page`: 3 x 3, glyph pixels to page pixels; `size`: the page's (width, height); `width`: the pen's there.
    """
    cells = np.diag([1 / CELLS, 1 / CELLS, 1.0])
    cells[:2, 2] = 0.5 / CELLS - 0.5
    away = cv2.warpPerspective(
        field, to_page @ cells, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_FAR
    )
    middle = GLYPH_SIDE / 2
    scale = float(np.sqrt(abs(np.linalg.det(_jacobian(to_page, middle, middle)))))
    radius = max(width / 2, 0.55)
    covered: Floats = np.clip(radius + 0.5 - away * scale, 0, 1)
    return covered


def _jacobian(to_page: np.ndarray[Any, Any], x: float, y: float) -> np.ndarray[Any, Any]:
    def point(x: float, y: float) -> np.ndarray[Any, Any]:
        u, v, w = to_page @ (x, y, 1.0)
        return np.array([u / w, v / w])

    return np.column_stack([point(x + 1, y) - point(x, y), point(x, y + 1) - point(x, y)])


def _enlarged(glyph: Bytes) -> Bytes:
    """uint8 (112, 112), 0 or 1: the glyph's smooth outline."""
    large = cv2.resize(glyph, (_GRID, _GRID), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), CELLS * 0.4)
    filled: Bytes = (large > min(110, 0.5 * int(large.max()))).astype(np.uint8)
    return filled


def _drawn(strokes: Sequence[Floats]) -> Bytes:
    """uint8 (112, 112), 0 or 1: the pen's way."""
    grid: Bytes = np.zeros((_GRID, _GRID), np.uint8)
    room = GLYPH_SIDE - 2 * _MARGIN
    for stroke in strokes:
        points = np.rint((np.asarray(stroke) * room + _MARGIN) * CELLS).astype(np.int32)
        cv2.polylines(grid, [points.reshape(-1, 1, 2)], False, 1)
    return grid


def _skeleton(filled: Bytes) -> Bytes:
    """The middle lines of what is filled, one cell wide (Zhang and Suen's thinning)."""
    thin = np.pad(filled, 1)
    inner = thin[1:-1, 1:-1]
    rows, columns = inner.shape
    for turn in range(4 * _GRID):
        around = [thin[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns] for dy, dx in _OFFSETS]
        count = sum(around[1:], start=around[0])
        steps = sum(
            ((1 - here) & after for here, after in zip(around, around[1:] + around[:1], strict=True)),
            start=np.zeros_like(inner),
        )
        north, east, south, west = around[0], around[2], around[4], around[6]
        open_ = (north & east & south) | (east & south & west)
        if turn % 2:
            open_ = (north & east & west) | (north & south & west)
        gone = (inner == 1) & (count >= 2) & (count <= 6) & (steps == 1) & (open_ == 0)
        if not gone.any() and turn % 2:
            break
        inner[gone] = 0
    middle: Bytes = inner
    return middle


def _smooth_noise(rng: np.random.Generator, cells: int, channels: int) -> Floats:
    """float32 (112, 112) or (112, 112, channels), about -1..1 in broad waves."""
    coarse = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    waves: Floats = cv2.resize(coarse, (_GRID, _GRID), interpolation=cv2.INTER_CUBIC)
    return waves
