"""Another project's Keras classifier in; a bundle that these jobs serve out, checked against Keras.

What the model expects and answers is built into its LiteRT form: that takes pixels 0..255 and gives logits, as every
bundle does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import BundleError, SettingError
from inkstream.image.preprocess import preprocessor
from inkstream.model.bundle import Bundle, Golden, write_bundle
from inkstream.model.engine import open_draft
from inkstream.model.keras_models import import_keras, keras_bytes, litert_bytes, probabilities_of
from inkstream.model.manifest import Facts

SCALES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}
GOLDEN_PICTURES = 24
ENGINES_APART = 1e-3
SMALLEST = 1e-30  # under it a probability has no logarithm in float32

Array = np.ndarray[Any, Any]


def import_keras_model(
    file: Path, labels: Sequence[str], out: Path, *, preprocess: str, scale: str, threshold: float
) -> Bundle:
    """A .keras (or .h5) file and its labels in, the written bundle out.

    scale: the range of pixels that the model was trained on, one of SCALES. threshold: confidence under it: uncertain.

    Raises:
        BundleError: Keras cannot load it, LiteRT cannot run it, or the two answer differently.
        SettingError: the labels are not as many as its classes, or it takes no single picture.
        SetupError: TensorFlow is not installed.
    """
    keras = import_keras()
    try:
        model = keras.saving.load_model(file, compile=False)
    except (ValueError, OSError, TypeError) as error:
        raise BundleError(f"{file} cannot be loaded by Keras: {error}") from error
    shape = _input_shape(model, file)
    preprocessor(preprocess, shape)
    if len(labels) != model.output_shape[-1]:
        raise SettingError(f"--labels names {len(labels)} classes, {file} answers {model.output_shape[-1]}")
    pixels = _golden_pixels(shape)
    served = _served(keras, model, shape, scale, is_probability=_answers_probabilities(model, pixels, scale))
    facts = Facts(
        labels=tuple(labels),
        preprocess=preprocess,
        input_shape=shape,
        temperature=1.0,
        threshold=threshold,
        metrics={},
        recipe={"name": "imported", "file": file.name, "scale": scale},
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    tflite = litert_bytes(served)
    answers = open_draft(facts, tflite).predict(pixels)
    apart = float(np.abs(answers - probabilities_of(served, pixels)).max())
    if not apart <= ENGINES_APART:
        raise BundleError(f"LiteRT's answers differ from Keras's by {apart:.2g} (allowed: {ENGINES_APART:g})")
    return write_bundle(out, facts, networks=[tflite], keras=[keras_bytes(served)], golden=Golden(pixels, answers))


def _input_shape(model: Any, file: Path) -> tuple[int, ...]:
    shape = tuple(model.input_shape[1:]) if isinstance(model.input_shape, tuple) else ()
    if len(shape) not in (2, 3) or not all(shape):
        raise SettingError(
            f"{file} takes {model.input_shape}; a classifier of single pictures of a fixed size is needed"
        )
    return tuple(int(side) for side in shape)


def _served(keras: Any, model: Any, shape: tuple[int, ...], scale: str, *, is_probability: bool) -> Any:
    """The model between what a bundle gives (0..255) and takes (logits)."""
    factor, offset = SCALES[scale]
    pixels = keras.Input(shape)
    answer = model(keras.layers.Rescaling(factor, offset)(pixels))
    if is_probability:
        answer = keras.ops.log(keras.ops.maximum(answer, SMALLEST))
    return keras.Model(pixels, answer, name="imported")


def _answers_probabilities(model: Any, pixels: Array, scale: str) -> bool:
    factor, offset = SCALES[scale]
    answers = model.predict(pixels.astype(np.float32) * factor + offset, verbose=0)
    return bool(answers.min() >= 0 and np.allclose(answers.sum(axis=1), 1, atol=1e-3))


def _golden_pixels(shape: tuple[int, ...]) -> Array:
    """uint8 (24, *shape): soft blobs of light and colour, the same for every import."""
    rng = np.random.default_rng(20)
    channels = shape[2:] or ()
    rows, columns = (np.linspace(0, 1, side)[:, None] for side in shape[:2])
    pictures = []
    for _ in range(GOLDEN_PICTURES):
        picture = np.zeros((*shape[:2], *channels))
        for _ in range(6):
            centre, width = rng.random(2), rng.uniform(0.05, 0.4)
            blob = np.exp(-((rows - centre[0]) ** 2 + (columns.T - centre[1]) ** 2) / width**2)
            picture += blob[..., None] * rng.uniform(-1, 1, channels) if channels else blob * rng.uniform(-1, 1)
        low, high = picture.min(), picture.max()
        pictures.append(np.rint((picture - low) / (high - low) * 255).astype(np.uint8))
    return np.stack(pictures)
