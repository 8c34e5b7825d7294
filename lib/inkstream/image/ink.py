"""A decoded picture in, its ink out: bright strokes on a flat black ground, whatever paper, light and colours were."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

WORK_SIDE = 448  # longer side of the picture that is worked on
SMALL_SIDE = 112  # shorter ones are enlarged to this
GROUND_SIDE = 112  # longer side of the picture in which the background is found
GROUND_REACH = 0.42  # of the longer side: no stroke is that wide, no shadow's edge that narrow
SLOPE_STEPS = 4
SPREAD = 8.0  # grey levels: further apart, it is not noise but a ground that was not found, round a digit as large
COLOUR = 12  # mean distance between the channels from which a picture is coloured
INK_SHARE = 0.0007  # of the picture's pixels that are the darkest ink at least

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Ink:
    """pixels: uint8 (H, W), 0 ground..255 ink at work size. level: what full ink is. noise: the ground's deviation."""

    pixels: Array
    dark_on_light: bool
    level: float
    noise: float


def find_ink(pixels: Array) -> Ink:
    """uint8 (H, W) or (H, W, 3), 0..255 in, its Ink out."""
    grey = _work_size(pixels if pixels.ndim == 2 else _grey_of_colours(pixels))
    dark_on_light = _is_dark_on_light(grey)
    ink, spread = _flattened(grey, dark_on_light)
    return Ink(ink, dark_on_light, ink_level(ink), max(_noise(ink), min(spread, SPREAD)))


def ink_level(ink: Array) -> float:
    """How bright full ink is: few pixels exceed it, as many as a small digit in a thin pen has."""
    return float(_quantile(ink, 1 - INK_SHARE))


def _quantile(pixels: Array, share: float) -> int:
    """The least grey level, 0..255, that `share` of the pixels do not exceed."""

    def not_over(level: int) -> int:
        return pixels.size - cv2.countNonZero(cv2.threshold(pixels, level, 255, cv2.THRESH_BINARY)[1])

    # Eight looks at all pixels take a third of the time of a histogram, which waits where neighbours are the same.
    return bisect_left(range(255), share * pixels.size, key=not_over)


def _grey_of_colours(pixels: Array) -> Array:
    """The mixture of the channels in which ink and ground differ most: blue ink is dark in red, yellow in blue."""
    sample = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(np.abs(sample - sample.mean(axis=2, keepdims=True)).mean()) < COLOUR / 3 and not _has_coloured_ink(sample):
        grey: Array = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        return grey
    detail = (sample - cv2.GaussianBlur(sample, (0, 0), 8)).reshape(-1, 3).astype(np.float64)
    _, vectors = np.linalg.eigh(detail.T @ detail)
    weights = vectors[:, 2] * (1 if vectors[:, 2].sum() >= 0 else -1)
    weights /= np.abs(weights).sum()
    offset = 255 * float(-weights[weights < 0].sum())
    mixed: Array = cv2.transform(pixels, np.append(weights, offset)[None, :])
    return mixed.reshape(pixels.shape[:2])


def _has_coloured_ink(sample: Array) -> bool:
    channels = cv2.split(sample)
    spread = np.maximum.reduce(channels) - np.minimum.reduce(channels)
    return float(np.percentile(spread, 98) - np.median(spread)) > 3 * COLOUR


def _work_size(grey: Array) -> Array:
    longer = max(grey.shape)
    if longer > WORK_SIDE:
        factor, method = WORK_SIDE / longer, cv2.INTER_AREA
    elif longer < SMALL_SIDE:
        factor, method = SMALL_SIDE / longer, cv2.INTER_CUBIC
    else:
        return grey
    height, width = grey.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    work: Array = cv2.resize(grey, size, interpolation=method)
    return work


def _is_dark_on_light(grey: Array) -> bool:
    """Three votes: the border is ground, the ink is the lesser part, and lies far to one side of its surroundings."""
    small = _ground_size(grey)
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_OTSU)
    rim = max(1, min(small.shape) // 20)
    inner = light[rim:-rim, rim:-rim]
    border = (float(light.sum()) - float(inner.sum())) / max(1, light.size - inner.size)
    detail = small.astype(np.float32) - _smoothed(small, max(small.shape) // 3).astype(np.float32)
    deviation = float(detail.std()) + 1e-6
    skew = float(np.clip((detail * detail * detail).mean() / deviation**3 / 2, -1, 1))
    return bool(2 * (2 * border - 1) + (2 * float(light.mean()) - 1) - skew > 0)


def _flattened(grey: Array, dark_on_light: bool) -> tuple[Array, float]:
    """The background taken off: a slope first, then what closing over more than a stroke's width leaves, smoothed.

    And how far the ground still deviates, on its lighter side, where no ink is.
    """
    positive = grey if dark_on_light else cv2.bitwise_not(grey)
    small = cv2.GaussianBlur(_ground_size(positive), (0, 0), 0.8).astype(np.float32)
    slope = _slope(small)
    small -= slope  # a closing leaves a shelf where the picture darkens towards its edge
    reach = max(3, round(max(small.shape) * GROUND_REACH)) | 1
    shape = cv2.getStructuringElement(cv2.MORPH_RECT, (reach, reach))  # a round one takes 30 times as long
    ground = slope + _smoothed(cv2.morphologyEx(small, cv2.MORPH_CLOSE, shape), reach // 3)
    ground = np.clip(ground, 0, 255).astype(np.uint8)
    ground = cv2.resize(ground, positive.shape[::-1], interpolation=cv2.INTER_LINEAR)
    both = cv2.merge([positive, ground]).view("<u2")[..., 0]
    ink = cv2.LUT(both, _ink_on_grounds(dark_on_light))
    lighter, middle = np.quantile(_ground_of(ink[::3, ::3]), (0.16, 0.5))  # the closing lies on the noise's upper side
    return cv2.convertScaleAbs(cv2.max(ink - np.float32(middle), 0)), float(middle - lighter)


@lru_cache(maxsize=2)
def _ink_on_grounds(dark_on_light: bool) -> Array:
    """float32 (65536,): a pixel's ink at 256 times its ground and its own light; a third of the time of counting."""
    ground, light = np.divmod(np.arange(1 << 16), 256)
    ink: Array = (ground - light).astype(np.float32)
    if dark_on_light:  # light falls on paper and ink alike: what counts is their ratio
        ink *= 255 / np.maximum(ground, 64)
    return ink


def _ground_of(ink: Array) -> Array:
    """float32 (n,): the values that are ground. All of them, unless a digit fills more than half of the picture."""
    values = ink.ravel()
    level, _ = cv2.threshold(cv2.convertScaleAbs(cv2.max(ink, 0)), 0, 255, cv2.THRESH_OTSU)
    below: Array = values[values <= level]
    return below if len(below) < 0.5 * len(values) else values


def _slope(light: Array) -> Array:
    """float32 (H, W): a quadratic surface through the ground; what lies darker than it is left out, step by step."""
    height, width = light.shape
    sample = cv2.resize(light, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    terms = _surface_terms(32, 32)
    kept = np.ones(sample.size, bool)
    for _ in range(SLOPE_STEPS):
        weights = np.linalg.lstsq(terms[kept], sample.ravel()[kept], rcond=None)[0]
        above = sample.ravel() - terms @ weights
        kept = above > -max(2.0, float(np.abs(above[kept]).mean()))
    surface: Array = (_surface_terms(height, width) @ weights).astype(np.float32).reshape(height, width)
    return surface


@lru_cache(maxsize=2)  # the sample's, and those of the last picture's shape: 0.6 MB at most
def _surface_terms(height: int, width: int) -> Array:
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)


def _ground_size(grey: Array) -> Array:
    factor = GROUND_SIDE / max(grey.shape)
    if factor >= 1:
        return grey
    height, width = grey.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small: Array = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return small


def _smoothed(grey: Array, reach: int) -> Array:
    """Two box filters: as good as a Gaussian here, and as quick however far they reach."""
    size = (reach | 1, reach | 1)
    smooth: Array = cv2.blur(cv2.blur(grey, size), size)
    return smooth


def _noise(ink: Array) -> float:
    """The ground's standard deviation from pixel to pixel, by a median that the few strokes do not move."""
    second = cv2.convertScaleAbs(cv2.Laplacian(ink, cv2.CV_16S))
    return _quantile(second, 0.5) / (0.6745 * 20**0.5)
