"""Prepared pictures in, calibrated probabilities out: LiteRT for the workers, Keras as the second engine.

A row's answer does not depend on the rows beside it: the same bits whatever the number of pictures in a call.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inkstream.errors import BundleError, SetupError
from inkstream.model.bundle import Bundle, write_bundle
from inkstream.model.manifest import Facts, Step

CHUNK_ROWS = 32
FURTHER_ROWS = 4  # of a cascade's further networks: of 512 pictures they look at some fifty and twenty
MOVES = ((1, 1), (-1, -1))  # down and to the right, in pixels; with the other six it is no more often right


class Engine(Protocol):
    """Answers pictures of one bundle."""

    bundle: Bundle

    def predict(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """uint8 (N, *input_shape), 0..255 in; float32 (N, classes), rows that sum to 1, in the labels' order, out.

        Raises:
            ValueError: the array has another shape or type.
        """


def open_engine(bundle: Bundle) -> Engine:
    """The engine that workers use: LiteRT on one thread.

    Raises:
        BundleError: the model cannot be loaded or does not fit the bundle's labels and input shape.
    """
    return LiteRtEngine(bundle)


def open_draft(facts: Facts, *networks: bytes) -> LiteRtEngine:
    """The same engine of a bundle that is not written yet: what it answers is to be measured first."""
    with tempfile.TemporaryDirectory() as folder:
        return LiteRtEngine(write_bundle(Path(folder) / "draft", facts, networks=networks))


class _Network(Protocol):
    def logits(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """uint8 (N, *input_shape), 0..255, in; float32 (N, classes) out."""


class _Answering:
    """What both engines have in common. Calls from several threads take turns.

    Of a cascade each network answers what those before it are unsure of: what a large network knows at nearly a small
    one's price (Park et al., Big/Little Deep Neural Network for Ultra Low Power Inference, 2015). Where the last one is
    unsure too, it looks twice more, at the picture moved by a pixel: the mean is wrong less often (Krizhevsky et al.,
    ImageNet Classification with Deep Convolutional Neural Networks, 2012).
    """

    def __init__(self, bundle: Bundle, networks: Sequence[_Network]) -> None:
        self.bundle = bundle
        self._lock = threading.Lock()
        self._networks = networks

    def predict(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """As Engine.predict."""
        probabilities = calibrated(self.logits(pixels), self.bundle.temperature)
        for number, step in enumerate(self.bundle.cascade, 1):
            unsure = np.flatnonzero(less_sure(probabilities, step.below))
            if len(unsure):
                probabilities[unsure] = self._asked(number, step, pixels[unsure])
        return probabilities

    def _asked(self, number: int, step: Step, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What a cascade's further network answers, calibrated."""
        logits = self.logits(pixels, number)
        probabilities = calibrated(logits, step.temperature)
        unsure = np.flatnonzero(less_sure(probabilities, step.again))
        if len(unsure):
            moved = np.concatenate([_moved(pixels[unsure], *move) for move in MOVES])
            more = self.logits(moved, number).reshape(len(MOVES), len(unsure), -1)
            probabilities[unsure] = calibrated(np.mean([logits[unsure], *more], axis=0), step.temperature)
        return probabilities

    def logits(self, pixels: np.ndarray[Any, Any], number: int = 0) -> np.ndarray[Any, Any]:
        """uint8 (N, *input_shape) in; float32 (N, classes), what the network of that number itself answers, out."""
        _check_pixels(pixels, self.bundle)
        with self._lock:
            return self._networks[number].logits(pixels)


def less_sure(probabilities: np.ndarray[Any, Any], confidence: float) -> np.ndarray[Any, Any]:
    """float32 (N, classes) in; bool (N,), which have less confidence, compared as it is stored: float32, out."""
    less: np.ndarray[Any, Any] = probabilities.max(axis=1) < np.float32(confidence)
    return less


def _moved(pixels: np.ndarray[Any, Any], down: int, right: int) -> np.ndarray[Any, Any]:
    """The pictures moved by a pixel at most; what comes in at the edge is what stood there."""
    moved = np.roll(pixels, (down, right), axis=(1, 2))
    if down:
        moved[:, 0 if down > 0 else -1] = pixels[:, 0 if down > 0 else -1]
    if right:
        moved[:, :, 0 if right > 0 else -1] = pixels[:, :, 0 if right > 0 else -1]
    return moved


class LiteRtEngine(_Answering):
    """LiteRT on one thread."""

    def __init__(self, bundle: Bundle) -> None:
        first, *further = bundle.networks
        rest = [_LiteRtNetwork(bundle, network, FURTHER_ROWS) for network in further]
        super().__init__(bundle, [_LiteRtNetwork(bundle, first, CHUNK_ROWS), *rest])


class _LiteRtNetwork:
    """One LiteRT model, in chunks of `rows` and of 1."""

    def __init__(self, bundle: Bundle, tflite: bytes, rows: int) -> None:
        self._classes, self._rows = len(bundle.labels), rows
        self._chunk = _Interpreter(bundle, tflite, rows)
        self._single = _Interpreter(bundle, tflite, 1)

    def logits(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        logits = np.empty((len(pixels), self._classes), np.float32)
        whole = len(pixels) - len(pixels) % self._rows
        for start in range(0, whole, self._rows):
            self._chunk.run(pixels[start : start + self._rows], logits[start : start + self._rows])
        if len(pixels) - whole > self._rows // 2:  # fewer are quicker one by one than as a padded chunk
            self._chunk.run(pixels[whole:], logits[whole:])
        else:
            for row in range(whole, len(pixels)):
                self._single.run(pixels[row : row + 1], logits[row : row + 1])
        return logits


class _Interpreter:
    """One LiteRT interpreter whose input has a fixed number of rows."""

    def __init__(self, bundle: Bundle, tflite: bytes, rows: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        what = f"the LiteRT model of bundle {bundle.version[:12]}"
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=tflite, num_threads=1)
            self._input = self._interpreter.get_input_details()[0]["index"]
            self._output = self._interpreter.get_output_details()[0]["index"]
            shape = tuple(int(n) for n in self._interpreter.get_input_details()[0]["shape"][1:])
            self._interpreter.resize_tensor_input(self._input, (rows, *shape))
            with quiet_stderr():
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, IndexError) as error:
            raise BundleError(f"{what} cannot be loaded: {error}") from error
        classes = int(self._interpreter.get_output_details()[0]["shape"][-1])
        if int(np.prod(shape)) != int(np.prod(bundle.input_shape)) or classes != len(bundle.labels):
            raise BundleError(
                f"{what} takes {shape} and answers {classes} classes; "
                f"bundle.json says {bundle.input_shape} and {len(bundle.labels)}"
            )
        self._shape = (rows, *shape)
        self._buffer = np.zeros((rows, *bundle.input_shape), np.float32)

    def run(self, pixels: np.ndarray[Any, Any], logits: np.ndarray[Any, Any]) -> None:
        """Fill logits, float32 (n, classes), from pixels, uint8 (n, *input_shape), n up to the fixed number of rows."""
        self._buffer[: len(pixels)] = pixels
        self._interpreter.set_tensor(self._input, self._buffer.reshape(self._shape))
        self._interpreter.invoke()
        logits[:] = self._interpreter.get_tensor(self._output)[: len(pixels)]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """LiteRT announces its delegate on file descriptor 2, from C++ and without a switch; its errors are raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class KerasEngine(_Answering):
    """Keras (TensorFlow): what the bundle was trained with, and the engine for what LiteRT cannot convert."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, [_KerasNetwork(bundle, file) for file in bundle.keras])


class _KerasNetwork:
    """One Keras model, in chunks of CHUNK_ROWS: one shape, since TensorFlow traces each anew."""

    def __init__(self, bundle: Bundle, keras: Path) -> None:
        self._model = _load_keras(keras)
        self._classes = len(bundle.labels)

    def logits(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        logits = np.empty((len(pixels), self._classes), np.float32)
        for start in range(0, len(pixels), CHUNK_ROWS):
            rows = pixels[start : start + CHUNK_ROWS]
            padded = np.zeros((CHUNK_ROWS, *rows.shape[1:]), np.float32)
            padded[: len(rows)] = rows
            answer = self._model(padded.reshape(CHUNK_ROWS, *self._model.input_shape[1:]), training=False)
            logits[start : start + len(rows)] = np.asarray(answer)[: len(rows)]
        return logits


def open_keras_engine(bundle: Bundle) -> Engine:
    """The second engine. Imports TensorFlow here, not before.

    Raises:
        BundleError: the bundle has no Keras file on disk, or it cannot be loaded.
        SetupError: TensorFlow is not installed.
    """
    if not bundle.keras:
        raise BundleError(f"bundle {bundle.version[:12]} has no model.keras on disk; load it from its folder")
    return KerasEngine(bundle)


def calibrated(logits: np.ndarray[Any, Any], temperature: float) -> np.ndarray[Any, Any]:
    """float32 (N, classes) logits in; float32 (N, classes) softmax of logits / temperature out, each row for itself."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: np.ndarray[Any, Any] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32)


def _check_pixels(pixels: np.ndarray[Any, Any], bundle: Bundle) -> None:
    if pixels.dtype != np.uint8 or pixels.shape[1:] != bundle.input_shape:
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}; the model takes uint8 (N, {bundle.input_shape})")


def _load_keras(path: Path) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise SetupError("TensorFlow is not installed; `./submit.sh train` installs it on its first use") from error
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, TypeError) as error:
        raise BundleError(f"{path} cannot be loaded by Keras: {error}") from error
