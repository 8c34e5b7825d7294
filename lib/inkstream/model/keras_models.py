"""Keras, imported late and quiet: a network in, its file and its LiteRT model out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import SetupError
from inkstream.model.engine import calibrated

PREDICT_ROWS = 512
Array = np.ndarray[Any, Any]


def import_keras() -> Any:
    """The module, on TensorFlow.

    Raises:
        SetupError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Its own choice only where a CPU has VNNI; with AVX2 alone a training step takes 14 s of CPU time instead of 22.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        import keras
    except ImportError as error:
        raise SetupError("TensorFlow is not installed; `./submit.sh train` installs it on its first use") from error
    keras.utils.disable_interactive_logging()  # the conversion prints every tensor's name
    return keras


def logits_of(model: Any, pixels: Array) -> Array:
    """uint8 (N, *input_shape) in; float32 (N, classes), what the network itself answers, out."""
    logits: Array = model.predict(pixels.astype(np.float32), batch_size=PREDICT_ROWS, verbose=0)
    return logits


def probabilities_of(model: Any, pixels: Array, temperature: float = 1.0) -> Array:
    """uint8 (N, *input_shape) in; float32 (N, classes), rows that sum to 1, out."""
    return calibrated(logits_of(model, pixels), temperature)


@contextmanager
def averaged(model: Any) -> Iterator[None]:
    """Inside, the network has its weights' moving average, where its optimiser keeps one; outside, its own again."""
    averages = getattr(model.optimizer, "_model_variables_moving_average", None) if model.optimizer.use_ema else None
    if not averages:
        yield
        return
    variables = [variable for variable in model.trainable_variables if variable is not None]
    own = [np.array(variable) for variable in variables]
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(average)
    try:
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)


def save_plain(model: Any, path: Path) -> None:
    """Write the .keras file without the optimiser's state, which is two thirds of it. Whole or not at all."""
    keras = import_keras()
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    keras.Model(model.input, model.output, name=model.name).save(draft)
    draft.replace(path)


def keras_bytes(model: Any) -> bytes:
    """The bundle's model.keras."""
    with tempfile.TemporaryDirectory() as folder:
        save_plain(model, Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()


def litert_bytes(model: Any, *, quantised: bool = False) -> bytes:
    """The bundle's model.tflite: float32 in and out, any number of rows.

    quantised: the weights are 8-bit, one scale a channel, and so are the sums, whose other scale is found anew for each
    picture (LiteRT's dynamic range quantisation).
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converted: bytes = converter.convert()
    return converted
