"""Prepared digits in, the same digits from another hand, pen and scanner out. Seeded by its caller."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

SIDE = 28
FINE = 2  # strokes are widened and thinned on a grid this much finer
Array = np.ndarray[Any, Any]


def augment(pixels: Array, rng: np.random.Generator) -> Array:
    """uint8 (N, 28, 28), 0..255, white on black in; as many out: shifted, turned, sheared, scaled, bent, other pens."""
    made = np.empty_like(pixels)
    for place, glyph in enumerate(pixels):
        made[place] = _tone(_pen(_warp(glyph, rng), rng), rng)
    return made


def _warp(glyph: Array, rng: np.random.Generator) -> Array:
    """uint8 (28, 28) in, uint8 (56, 56) out: one affine map and one elastic field, in one interpolation."""
    turn, shear = rng.normal(0, 0.12), rng.normal(0, 0.12)
    across, along = np.exp(rng.normal(0, 0.07, 2))
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos * across, (shear * cos - sin) * along], [sin * across, (shear * sin + cos) * along]])
    back = np.linalg.inv(matrix)
    bend = cv2.resize(rng.normal(0, rng.uniform(0, 0.7), (4, 4, 2)), (len(_STEPS),) * 2, interpolation=cv2.INTER_CUBIC)
    shift = rng.normal(0, 0.5, 2) + (SIDE - 1) / 2
    map_x = back[0, 0] * _STEPS + back[0, 1] * _STEPS[:, None] + bend[..., 0] + shift[0]
    map_y = back[1, 0] * _STEPS + back[1, 1] * _STEPS[:, None] + bend[..., 1] + shift[1]
    warped: Array = cv2.remap(glyph, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_CUBIC)
    return warped


def _pen(fine: Array, rng: np.random.Generator) -> Array:
    """uint8 (56, 56) in, uint8 (28, 28) out: the stroke widened or thinned by up to a pixel, soft or hard."""
    kind = rng.random()
    if kind < 0.25:
        fine = cv2.dilate(fine, _PENS[rng.integers(len(_PENS))])
    elif kind < 0.45:
        thin = cv2.erode(fine, _PENS[0])
        if int(thin.sum()) > 0.45 * int(fine.sum()):  # a hair line would fall to pieces
            fine = thin
    if rng.random() < 0.15:
        fine = cv2.GaussianBlur(fine, (0, 0), rng.uniform(0.6, 1.6))
    reduced: Array = cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return reduced


def _tone(glyph: Array, rng: np.random.Generator) -> Array:
    """Another contrast at the stroke's edge, and now and then some noise."""
    if rng.random() < 0.3:
        slope = rng.uniform(1.0, 3.0)
        glyph = cv2.convertScaleAbs(glyph, alpha=slope, beta=0)
    if rng.random() < 0.1:
        noise = rng.normal(0, rng.uniform(2, 14), glyph.shape)
        glyph = np.clip(glyph + noise, 0, 255).astype(np.uint8)
    return glyph


_STEPS = (np.arange(SIDE * FINE) + 0.5) / FINE - SIDE / 2  # from the middle, in pixels of the glyph
_PENS = (np.ones((2, 2), np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.ones((3, 3), np.uint8))
