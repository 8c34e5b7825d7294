"""A loaded Pillow picture of any mode in; uint8 grey (H, W) or RGB (H, W, 3) out, reduced, with its alpha resolved."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_MIDDLE = 128
_OWN_PAPER_COVERAGE = 0.5  # above it a picture with both dark and light parts is a whole one, with holes
_OWN_PAPER_MINORITY = 0.01


def pixels_of(picture: Image.Image, detail: int) -> Pixels:
    """uint8 (H, W) or (H, W, 3) of any mode; the longer side at most `detail` where that is not 0."""
    mode = picture.mode
    if mode.startswith("I;16"):
        return reduced(Image.fromarray(_from_16_bit(np.asarray(picture).astype(np.uint16))), detail)
    if mode in ("I", "F"):
        return reduced(Image.fromarray(_from_wide(np.asarray(picture))), detail)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        return _over_background(_with_alpha(picture), detail)
    if mode == "P":
        return reduced(picture.convert("L" if _is_grey_palette(picture) else "RGB"), detail)
    if mode in ("L", "1"):
        return reduced(picture.convert("L"), detail)
    return reduced(picture if mode == "RGB" else picture.convert("RGB"), detail)


def reduced(picture: Image.Image, detail: int) -> Pixels:
    """uint8 (H, W) or (H, W, 3) of an L or RGB picture, each pixel the mean of the area that it replaces."""
    picture = _smaller(picture, detail)
    return _pixels_of_rgb(picture) if picture.mode == "RGB" else np.asarray(picture)


def _pixels_of_rgb(picture: Image.Image) -> Pixels:
    """uint8 (H, W, 3) of Pillow's four bytes a pixel, which Arrow gives in place: a third of asarray's time."""
    import pyarrow as pa  # 40 ms, which a command that reads no colours does without

    try:
        four = pa.array(picture).values.buffers()[1]
    except ValueError:  # Pillow has it in several pieces, as of some 4 million pixels on
        return np.asarray(picture)
    of_four = np.frombuffer(four, np.uint8).reshape(picture.height, picture.width, 4)
    pixels: Pixels = cv2.cvtColor(of_four, cv2.COLOR_RGBA2RGB)
    return pixels


def _smaller(picture: Image.Image, detail: int) -> Image.Image:
    longer = max(picture.size)
    if not detail or longer <= detail:
        return picture
    width, height = (max(1, round(side * detail / longer)) for side in picture.size)
    # Pillow's box filter counts in integers: the same answer on every kind of machine
    return picture.resize((width, height), Image.Resampling.BOX)


def _from_16_bit(values: np.ndarray[Any, Any]) -> Pixels:
    """uint16 to uint8: by 65535, but by 255 or 4095 where nothing is larger, or 8 and 12 bits would be black."""
    top = int(values.max())
    if top <= 255:
        return values.astype(np.uint8)
    full = 4095 if top <= 4095 else 65535
    scaled: Pixels = ((values.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    return scaled


def _from_wide(values: np.ndarray[Any, Any]) -> Pixels:
    """int32 or float32 to uint8: 0..1 (float), 0..255 and 0..65535 as what they are, any other range stretched."""
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.all():
        numbers = np.where(finite, numbers, numbers[finite].min() if finite.any() else 0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= 1 and values.dtype.kind == "f":
        numbers *= 255
    elif low >= 0 and 255 < high <= 65535:
        return _from_16_bit(np.rint(numbers).astype(np.uint16))
    elif low < 0 or high > 255:
        numbers = (numbers - low) * (255 / (high - low)) if high > low else np.zeros_like(numbers)
    scaled: Pixels = np.rint(numbers).astype(np.uint8)
    return scaled


def _is_grey_palette(picture: Image.Image) -> bool:
    palette = picture.getpalette() or []
    return palette[0::3] == palette[1::3] == palette[2::3]


def _with_alpha(picture: Image.Image) -> Image.Image:
    if picture.mode in ("L", "La", "1") or (picture.mode == "P" and _is_grey_palette(picture)):
        return picture.convert("LA")
    return picture if picture.mode in ("LA", "RGBA") else picture.convert("RGBA")


def _over_background(picture: Image.Image, detail: int) -> Pixels:
    """A picture with alpha (LA or RGBA) over what shows it: the other side of what is drawn, or its own paper."""
    picture = _smaller(picture, detail)
    alpha = picture.getchannel("A")
    faintest, fullest = alpha.getextrema()
    if fullest == 0:  # nothing of it can be seen: white paper
        return np.full((picture.height, picture.width), 255, np.uint8)
    colour = picture.convert("L" if picture.mode == "LA" else "RGB")
    if faintest == 255:
        return np.asarray(colour)
    light = _is_light_background(np.asarray(colour.convert("L")), np.asarray(alpha))
    background = Image.new(colour.mode, colour.size, "white" if light else "black")
    background.paste(colour, mask=alpha)
    return np.asarray(background)


def _is_light_background(luminance: Pixels, alpha: Pixels) -> bool:
    """Whether the drawing shows on white, by the alpha-weighted luminance of what can be seen."""
    weights, levels = alpha.ravel().astype(np.int64), luminance.ravel()
    total = int(weights.sum())
    dark = int(np.dot(levels < _MIDDLE, weights)) / total
    if total > _OWN_PAPER_COVERAGE * 255 * alpha.size and min(dark, 1 - dark) > _OWN_PAPER_MINORITY:
        return dark < 0.5
    return int(np.dot(levels, weights)) / total < _MIDDLE
