"""A decoded picture in, the 28x28 white-on-black digit that the model reads out: `digit28/1`.

A picture that is prepared already passes unchanged. Any other is brought to bright ink on a flat black ground
(ink.py), its digit is cut out (parts.py), brought to the width of a pen, fitted into 20x20 pixels and shifted so
that its centre of mass is the middle: the form in which MNIST's digits are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from inkstream.errors import Rejected
from inkstream.image.components import having
from inkstream.image.ink import Ink, find_ink, ink_level
from inkstream.image.lines import find_lines, ink_beside
from inkstream.image.parts import (
    Part,
    find_parts,
    hangs_in,
    kept_with,
    main_part,
    stroke_mask,
    without_frames,
    without_lines,
)

PREPROCESS = "digit28/1"
SIDE = 28
FIT = 20
MIN_LEVEL = 14  # grey levels of full ink under which nothing is drawn
MIN_LEVEL_NOISES = 7  # the same in deviations of the ground
THIN, PEN, THICK = 1.9, 2.3, 4.2  # a stroke's width in 28x28: widened from under the first to the second, thinned from
SOLID = 0.82  # share of its box from which a part as broad as high is a blot
TWIN_HEIGHT, TWIN_AREA, TWIN_GAP = 0.6, 0.35, 0.08  # beside the main part, of its height, area and height
MANY_PARTS = 14
MIN_SIDE, SLIVER = 5, 12  # pixels; how many times as long as broad a picture may be
SURE, POSSIBLE = 0.55, (0.3, 0.42, 0.55)  # of full ink: strokes are over the first somewhere, and go on down to these
DRAWN, GROWTH = 0.47, 1.5  # of full ink: how much larger a digit may be than what of it is so dark
NOTHING_DRAWN = "Nothing is drawn on the picture."
DARK_LINES = 0.6  # of full ink: darker lines are cut out, fainter ones are left under the threshold

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
    _refuse_slivers(pixels.shape)
    _refuse_empty(pixels)
    ink = find_ink(pixels)
    mask, parts, lines = _digit_mask(ink)
    box = cv2.boundingRect(mask)
    _refuse_blots(mask, box)
    strokes = _strokes(ink, mask)
    strokes, width = _penned(strokes, mask, max(box[2:]))
    fitted, shift = _fitted(strokes)
    why = {
        "path": "found",
        "polarity": "dark_on_light" if ink.dark_on_light else "light_on_dark",
        "threshold": round(ink.level / 2),
        "noise": round(ink.noise, 1),
        "work": [int(n) for n in mask.shape[::-1]],
        "box": [int(n) for n in box],
        "shift": shift,
        "stroke": round(width, 1),
        "components": parts,
        "lines": lines,
        "ink_share": round(cv2.countNonZero(mask) / mask.size, 4),
    }
    return Prepared(fitted, why)


def is_prepared(pixels: Array) -> bool:
    """Whether uint8 (28, 28) looks like MNIST: black border, a bright drawing 19 or 20 pixels large, centred."""
    _, _, width, height = cv2.boundingRect(pixels)
    if not FIT - 1 <= (width if width > height else height) <= FIT:
        return False
    moments = cv2.moments(pixels)
    ink = moments["m00"]
    return bool(
        ink > 4000
        and 13.4 * ink < moments["m10"] < 14.6 * ink
        and 13.4 * ink < moments["m01"] < 14.6 * ink
        and cv2.minMaxLoc(pixels)[1] >= 200
    )


def _digit_mask(ink: Ink) -> tuple[Array, int, int]:
    """The mask of the digit, uint8 (H, W) of 0 and 255; how many parts it has; how dark ruled lines are (0: none)."""
    least = max(MIN_LEVEL, MIN_LEVEL_NOISES * ink.noise)
    if ink.level < least:
        raise Rejected("blank", NOTHING_DRAWN)
    lines = find_lines(ink.pixels, ink.level)
    level, line_level, dark_lines = ink.level, 0.0, None
    if lines:
        level, line_level = ink_level(ink_beside(ink.pixels, lines)), lines.level
        if level < max(least, 0.8 * line_level):
            raise Rejected("blank", "Nothing is drawn between the paper's lines.")
        if line_level > DARK_LINES * level:
            line_level, dark_lines = 0.0, lines.mask
    lowest = max(1.15 * line_level, min(4 * ink.noise, 0.5 * level), 6)
    for share in POSSIBLE:
        found = _digit_at(ink.pixels, max(share * level, lowest), max(SURE * level, lowest), dark_lines)
        strong = cv2.threshold(ink.pixels, DRAWN * level, 255, cv2.THRESH_BINARY)[1]
        if _longer(found.mask) <= GROWTH * _longer(cv2.bitwise_and(found.mask, strong)):
            break  # else it runs out into lines or shadows
    _refuse_several(found.main, found.parts)
    if len(found.kept) > MANY_PARTS:
        raise Rejected("no_digit", "What is drawn falls into too many pieces for a digit.")
    return found.mask, len(found.kept), round(lines.level) if lines else 0


@dataclass(frozen=True, slots=True)
class _Found:
    mask: Array
    main: Part
    kept: list[Part]
    parts: list[Part]


def _longer(mask: Array) -> int:
    _, _, width, height = cv2.boundingRect(mask)
    return max(int(width), int(height))


def _digit_at(ink: Array, low: float, high: float, dark_lines: Array | None) -> _Found:
    mask = stroke_mask(ink, low, high)
    if dark_lines is not None:
        mask = without_lines(mask, dark_lines)
    labels, parts = find_parts(mask)
    parts = without_frames(labels, parts)
    if not parts:
        raise Rejected("blank", NOTHING_DRAWN)
    main = main_part(parts, mask.shape)
    if hangs_in(main, mask.shape):
        raise Rejected("blank", "Nothing is drawn; there is only what hangs in from the picture's edge.")
    kept = kept_with(main, parts)
    mask = having(labels, np.array([part.label for part in kept]))
    return _Found(mask, main, kept, parts)


def _refuse_slivers(shape: tuple[int, ...]) -> None:
    shorter, longer = min(shape[:2]), max(shape[:2])
    if shorter < MIN_SIDE or longer > SLIVER * shorter:
        raise Rejected("no_digit", f"The picture is {shape[1]} x {shape[0]} pixels: no digit fits into that.")


def _refuse_empty(pixels: Array) -> None:
    """A page on which nobody drew: all pixels are the same. Most pictures differ in two corners already."""
    first = pixels[0, 0]
    if (pixels[-1, -1] == first).all() and (pixels == first).all():
        raise Rejected("blank", NOTHING_DRAWN)


def _refuse_several(main: Part, parts: list[Part]) -> None:
    twins = [
        part
        for part in parts
        if part is not main
        and part.height >= TWIN_HEIGHT * main.height
        and part.area >= TWIN_AREA * main.area
        and max(part.x - main.x - main.width, main.x - part.x - part.width) >= TWIN_GAP * main.height
        and min(part.y + part.height, main.y + main.height) - max(part.y, main.y) >= 0.5 * main.height
        and not (part.at_edge and not main.at_edge)
    ]
    if twins:
        raise Rejected("several_digits", f"There are {len(twins) + 1} digits or more; upload them one by one.")


def _refuse_blots(mask: Array, box: tuple[int, ...]) -> None:
    x, y, width, height = box
    share = cv2.countNonZero(mask[y : y + height, x : x + width]) / (width * height)
    if share > SOLID and 0.5 < width / height < 2:
        raise Rejected("no_digit", "What is drawn is one solid blot.")


def _strokes(ink: Ink, mask: Array) -> Array:
    """uint8 (H, W): the ink under the mask and at its soft edge, full ink at 255, the rest 0."""
    full = float(np.percentile(ink.pixels[mask > 0], 60))
    floor = max(0.12 * full, 2 * ink.noise)
    around = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    soft = cv2.convertScaleAbs(cv2.subtract(ink.pixels, floor), alpha=255 / max(1.0, full - floor))
    strokes: Array = cv2.bitwise_and(soft, around)
    return strokes


def _penned(strokes: Array, mask: Array, longer: int) -> tuple[Array, float]:
    """The strokes brought to a pen's width, and the width that they had, in pixels of the fitted digit."""
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    around = sum(cv2.arcLength(contour, True) for contour in contours)
    scale = FIT / longer
    width = 2 * cv2.countNonZero(mask) / max(1.0, around) * scale
    if width < THIN:
        return _reshaped(cv2.dilate, strokes, (PEN - width) / scale), width
    if width > THICK:
        return _reshaped(cv2.erode, strokes, min(width - THICK, 1.5) / scale), width
    return strokes, width


def _reshaped(change: Any, strokes: Array, pixels: float) -> Array:
    """Every stroke wider or thinner by about `pixels`; room is left for it at the edges."""
    size = 1 + round(pixels)
    if size < 2:
        return strokes
    padded = cv2.copyMakeBorder(strokes, size, size, size, size, cv2.BORDER_CONSTANT, value=0)
    changed: Array = change(padded, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return changed


def _fitted(strokes: Array) -> tuple[Array, list[int]]:
    """uint8 (28, 28): the strokes' box fitted into 20x20 and its centre of mass put into the middle; and the shift."""
    x, y, width, height = cv2.boundingRect(cv2.threshold(strokes, 96, 255, cv2.THRESH_BINARY)[1])
    factor = FIT / max(width, height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    digit = cv2.resize(strokes[y : y + height, x : x + width], size, interpolation=method)
    digit = cv2.convertScaleAbs(digit, alpha=255 / max(64.0, float(digit.max())))
    moments = cv2.moments(digit)
    left = int(np.clip(round(SIDE / 2 - moments["m10"] / moments["m00"]), 0, SIDE - size[0]))
    top = int(np.clip(round(SIDE / 2 - moments["m01"] / moments["m00"]), 0, SIDE - size[1]))
    fitted = np.zeros((SIDE, SIDE), np.uint8)
    fitted[top : top + size[1], left : left + size[0]] = digit
    return fitted, [left - (SIDE - size[0]) // 2, top - (SIDE - size[1]) // 2]
