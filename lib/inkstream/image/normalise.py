"""A decoded picture in, the 28x28 white-on-black digit that the model reads out: `digit28/1`.

A picture that is prepared already passes unchanged. Any other is brought to white on black, its background
flattened, its largest drawing cut out, fitted into 20x20 pixels and shifted so that its centre of mass is the
middle: the form in which MNIST's digits are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from inkstream.errors import Rejected

PREPROCESS = "digit28/1"
SIDE = 28
FIT = 20
WORK_SIDE = 320  # longer side of the picture that is worked on
SMALL_SIDE = 112  # shorter ones are enlarged to this
MIN_CONTRAST = 16  # grey levels between ink and background under which nothing is drawn

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """pixels: uint8 (28, 28), 0..255, a white digit on black. why: how it came about, small and JSON-able."""

    pixels: Array
    why: dict[str, Any]


def normalise(pixels: Array) -> Prepared:
    """uint8 (H, W) or (H, W, 3), 0..255 in, Prepared out. Deterministic; the input is left as it is.

    Raises:
        Rejected: `blank` nothing is drawn, `no_digit` it cannot be a digit, `several_digits` there are more.
    """
    if pixels.shape == (SIDE, SIDE) and is_prepared(pixels):
        return Prepared(pixels, {"path": "prepared"})
    grey = _work_size(pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    dark_ink = bool(np.median(border) > level)
    ink = _contrast(grey if dark_ink else 255 - grey)
    threshold, mask = cv2.threshold(ink, 0, 255, cv2.THRESH_OTSU)
    if threshold < MIN_CONTRAST:
        raise Rejected("blank", "Nothing is drawn on the picture.")
    mask, kept = _keep_large(mask)
    x, y, width, height = cv2.boundingRect(mask)
    ink[cv2.dilate(mask, np.ones((3, 3), np.uint8)) == 0] = 0
    fitted, shift = _fit(ink[y : y + height, x : x + width])
    why = {
        "path": "photo",
        "polarity": "dark_on_light" if dark_ink else "light_on_dark",
        "threshold": int(threshold),
        "box": [int(n) for n in (x, y, width, height)],
        "shift": shift,
        "components": kept,
        "ink_share": round(float(np.count_nonzero(mask)) / mask.size, 4),
    }
    return Prepared(fitted, why)


def is_prepared(pixels: Array) -> bool:
    """Whether uint8 (28, 28) looks like MNIST: black border, a bright drawing 19 or 20 pixels large, centred."""
    _, _, width, height = cv2.boundingRect(pixels)
    if not FIT - 1 <= (width if width > height else height) <= FIT:
        return False
    moments = cv2.moments(pixels)
    ink = moments["m00"]
    return (
        ink > 4000
        and 13.4 * ink < moments["m10"] < 14.6 * ink
        and 13.4 * ink < moments["m01"] < 14.6 * ink
        and cv2.minMaxLoc(pixels)[1] >= 200
    )


def _work_size(grey: Array) -> Array:
    longer = max(grey.shape)
    if longer > WORK_SIDE:
        factor, method = WORK_SIDE / longer, cv2.INTER_AREA
    elif longer < SMALL_SIDE:
        factor, method = SMALL_SIDE / longer, cv2.INTER_CUBIC
    else:
        return grey.copy()
    height, width = grey.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    work: Array = cv2.resize(grey, size, interpolation=method)
    return work


def _contrast(grey: Array) -> Array:
    """Dark ink on light in, bright ink on a flat black ground out."""
    size = max(3, round(max(grey.shape) * 0.3)) | 1
    background = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    ink: Array = cv2.subtract(cv2.GaussianBlur(background, (0, 0), size / 4), grey)
    return ink


def _keep_large(mask: Array) -> tuple[Array, int]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = [i for i in range(1, count) if areas[i] >= 0.08 * areas[1:].max()]
    return np.where(np.isin(labels, kept), 255, 0).astype(np.uint8), len(kept)


def _fit(ink: Array) -> tuple[Array, list[int]]:
    height, width = ink.shape
    factor = FIT / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    digit = cv2.resize(ink, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    digit *= 255 / max(1.0, float(np.percentile(digit[digit > 0], 90))) if digit.any() else 1
    digit = np.clip(digit, 0, 255).astype(np.uint8)
    moments = cv2.moments(digit)
    left = int(np.clip(round(14 - moments["m10"] / moments["m00"]), 0, SIDE - size[0]))
    top = int(np.clip(round(14 - moments["m01"] / moments["m00"]), 0, SIDE - size[1]))
    out = np.zeros((SIDE, SIDE), np.uint8)
    out[top : top + size[1], left : left + size[0]] = digit
    return out, [left - (SIDE - size[0]) // 2, top - (SIDE - size[1]) // 2]
