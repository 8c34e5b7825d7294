"""The name that a bundle gives its preprocessing in; what brings a decoded picture into the model's shape out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from inkstream.errors import BundleError
from inkstream.image.normalise import PREPROCESS, Array, Prepared, normalise

RGB = "rgb/1"


def preprocessor(name: str, input_shape: tuple[int, ...]) -> Callable[[Array], Prepared]:
    """uint8 (H, W) or (H, W, 3) to Prepared with pixels uint8 (*input_shape).

    Raises:
        BundleError: the name is of no preprocessing that this version has, or does not go with the shape.
    """
    if name == PREPROCESS:
        return normalise
    if name == RGB and len(input_shape) == 3 and input_shape[2] == 3:
        return partial(resize_rgb, shape=input_shape)
    raise BundleError(
        f"A bundle asks for the preprocessing {name!r} with pictures of {input_shape}; this version has "
        f"{PREPROCESS} and {RGB} (height x width x 3). Use a bundle that was made for it"
    )


def resize_rgb(pixels: Array, shape: tuple[int, ...]) -> Prepared:
    """uint8 (H, W) or (H, W, 3), 0..255 in; the whole picture as uint8 (shape), its sides stretched to fit, out."""
    coloured = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    height, width = shape[:2]
    shrinks = coloured.shape[0] > height or coloured.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(coloured), (width, height), interpolation=how)
    return Prepared(resized, {"path": "resized", "from": [int(side) for side in pixels.shape[1::-1]]})
