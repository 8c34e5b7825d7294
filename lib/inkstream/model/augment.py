"""Prepared digits in, the same digits from another hand, pen and scanner out. Seeded by its caller.

A sheet of pictures, one under the other, goes through each of OpenCV's filters at once: a call for each picture takes
longer than what it computes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

SIDE = 28
FINE = 2  # strokes are widened and thinned on a grid this much finer
SHEET = 64  # pictures: what fits a core's cache
GAP = 4  # empty rows between two pictures of a sheet: more than a filter reaches
Array = np.ndarray[Any, Any]


def augment(pixels: Array, rng: np.random.Generator) -> Array:
    """uint8 (N, 28, 28), 0..255, white on black in; as many out: shifted, turned, sheared, scaled, bent, other pens."""
    made = np.empty_like(pixels)
    for start in range(0, len(pixels), SHEET):
        made[start : start + SHEET] = _tone(_pen(_warp(pixels[start : start + SHEET], rng), rng), rng)
    return made


def _warp(glyphs: Array, rng: np.random.Generator) -> Array:
    """uint8 (n, 28, 28) in, uint8 (n, 56, 56) out: an affine map and an elastic field each.

    Cubic to the finer grid, and linear there: as sharp as cubic at once, in a third of the time.
    """
    count = len(glyphs)
    turn, shear = rng.normal(0, 0.12, (2, count))
    across, along = np.exp(rng.normal(0, 0.07, (2, count)))
    cos, sin = np.cos(turn), np.sin(turn)
    # The inverse of turn @ shear @ scale, whose determinant is across * along.
    xx, xy = (shear * sin + cos) / across, (sin - shear * cos) / across
    yx, yy = -sin / along, cos / along
    bend = FINE * rng.normal(0, 1, (2, count, 4, 4)) * rng.uniform(0, 0.7, (count, 1, 1))
    shift = FINE * rng.normal(0, 0.5, (2, count)) + (FINE * SIDE - 1) / 2
    map_x = _field(xx, xy, shift[0], bend[0])
    map_y = _field(yx, yy, shift[1], bend[1]).clip(-FINE * GAP // 2, FINE * (SIDE + GAP // 2))  # not into the next one
    map_y += FINE * (GAP + np.arange(count, dtype=np.float32)[:, None, None] * (SIDE + GAP))
    fine = cv2.resize(_sheet(glyphs, 0), None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
    map_x, map_y = map_x.reshape(-1, FINE * SIDE), map_y.reshape(-1, FINE * SIDE)
    warped: Array = cv2.remap(fine, map_x, map_y, cv2.INTER_LINEAR).reshape(count, FINE * SIDE, FINE * SIDE)
    return warped


def _field(per_column: Array, per_row: Array, shift: Array, bend: Array) -> Array:
    """float (n,) three times and (n, 4, 4) in; float32 (n, 56, 56), where each place's ink comes from, out."""
    per_column, per_row, shift = (values.astype(np.float32)[:, None, None] for values in (per_column, per_row, shift))
    field: Array = (_CURVES @ bend @ _CURVES.T).astype(np.float32)  # before: 64 bits, so the same on every machine
    field += per_row * _STEPS[:, None] + shift
    field += per_column * _STEPS
    return field


def _sheet(pictures: Array, between: int) -> Array:
    """uint8 (n, side, side) in; uint8 (GAP + n * (side + GAP), side) out, the gaps of that value."""
    count, side = pictures.shape[:2]
    sheet = np.full((GAP + count * (side + GAP), side), between, np.uint8)
    sheet[GAP:].reshape(count, side + GAP, side)[:, :side] = pictures
    return sheet


def _apart(sheet: Array, side: int) -> Array:
    """What _sheet joined, as a view: uint8 (n, side, side)."""
    return sheet[GAP:].reshape(-1, side + GAP, side)[:, :side]


def _pen(fine: Array, rng: np.random.Generator) -> Array:
    """uint8 (n, 56, 56) in, uint8 (n, 28, 28) out: the strokes widened or thinned by up to a pixel, soft or hard."""
    count, side = fine.shape[:2]
    kind, pen = rng.random(count), rng.integers(len(_PENS), size=count)
    for place, shape in enumerate(_PENS):
        wide = np.flatnonzero((kind < 0.25) & (pen == place))
        if len(wide):
            fine[wide] = _apart(cv2.dilate(_sheet(fine[wide], 0), shape), side)
    thin = np.flatnonzero((kind >= 0.25) & (kind < 0.45))
    if len(thin):
        thinned = _apart(cv2.erode(_sheet(fine[thin], 255), _PENS[0]), side)
        left = thinned.sum(axis=(1, 2)) > 0.45 * fine[thin].sum(axis=(1, 2))  # a hair line would fall to pieces
        fine[thin[left]] = thinned[left]
    soft, blur = rng.random(count) < 0.15, rng.uniform(0.6, 1.6, count)
    for row in np.flatnonzero(soft):
        fine[row] = cv2.GaussianBlur(fine[row], (0, 0), blur[row])
    reduced = cv2.resize(fine.reshape(-1, side), (SIDE, SIDE * count), interpolation=cv2.INTER_AREA)
    glyphs: Array = reduced.reshape(count, SIDE, SIDE)
    return glyphs


def _tone(glyphs: Array, rng: np.random.Generator) -> Array:
    """Another contrast at the strokes' edges, and now and then some noise."""
    hard = np.flatnonzero(rng.random(len(glyphs)) < 0.3)
    slope = rng.uniform(1.0, 3.0, (len(hard), 1, 1)).astype(np.float32)
    glyphs[hard] = np.minimum(np.rint(glyphs[hard] * slope), 255).astype(np.uint8)
    noisy = np.flatnonzero(rng.random(len(glyphs)) < 0.1)
    noise = rng.normal(0, 1, (len(noisy), SIDE, SIDE)) * rng.uniform(2, 14, (len(noisy), 1, 1))
    glyphs[noisy] = np.clip(glyphs[noisy] + noise, 0, 255).astype(np.uint8)
    return glyphs


_STEPS = np.arange(FINE * SIDE, dtype=np.float32) - (FINE * SIDE - 1) / 2  # from the middle
# float64 (56, 4): what each of four points along a side adds to each place, as OpenCV's cubic interpolation has it.
_CURVES = cv2.resize(np.eye(4), (4, FINE * SIDE), interpolation=cv2.INTER_CUBIC)
_PENS = (np.ones((2, 2), np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.ones((3, 3), np.uint8))
