"""Pictures with labels in, a calibrated bundle out: train, calibrate, convert to LiteRT, hold both engines together."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from inkstream.errors import BundleError, SetupError
from inkstream.image.normalise import PREPROCESS
from inkstream.model.augment import augment
from inkstream.model.bundle import Bundle, Facts, Golden, write_bundle
from inkstream.model.calibration import choose_threshold, expected_calibration_error, fit_temperature, log_loss
from inkstream.model.engine import calibrated, open_engine
from inkstream.model.recipes import recipe_named

log = logging.getLogger(__name__)

Array = np.ndarray[Any, Any]
HELD_BACK = 5000  # pictures of the training set that only calibrate
GOLDEN_PICTURES = 48
ENGINES_APART = 1e-4  # what LiteRT's probabilities may differ from Keras's
EMA_MOMENTUM, EMA_SPAN = 0.998, 0.1  # the weights' moving average, over a tenth of the steps at most
UNTOUCHED, UNTOUCHED_IMITATIONS = 0.2, 0.5  # shares that are not augmented: the model is to know MNIST itself too
WARM_UP = 0.08  # of all steps


@dataclass(frozen=True, slots=True)
class Labelled:
    """pixels: uint8 (N, 28, 28), 0..255, prepared. labels: int64 (N,), 0..classes-1."""

    pixels: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, rows: Array) -> Labelled:
        return Labelled(self.pixels[rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class TrainingData:
    """train is learnt from, held calibrates, test only measures. extra: prepared imitations, learnt from too."""

    train: Labelled
    held: Labelled
    test: Labelled
    extra: Labelled | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. `batch`: pictures a step; 0: as many as the recipe says."""

    recipe: str = "cnn"
    epochs: int = 20
    seed: int = 1
    augmented: bool = True
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """Where a training stands; accuracy and loss are this epoch's so far, `held_accuracy` the epoch's end's."""

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    held_accuracy: float | None = None


def split_held(everything: Labelled, seed: int) -> tuple[Labelled, Labelled]:
    """All training pictures in; those to learn from and the held-back ones (at most a tenth) out."""
    order = np.random.default_rng(seed).permutation(len(everything))
    held = min(HELD_BACK, len(everything) // 10)
    return everything.at(order[held:]), everything.at(order[:held])


def train_bundle(
    data: TrainingData, labels: list[str], plan: Plan, out: Path, on_step: Callable[[Step], None]
) -> Bundle:
    """Data and plan in; the bundle that was written to `out`, and is checked, out.

    Raises:
        SetupError: TensorFlow is not installed.
        BundleError: `out` cannot be written, or LiteRT and Keras disagree.
    """
    if out.exists():
        raise BundleError(f"{out} is there already and bundles are immutable; name a new folder, or remove it first")
    started = perf_counter()
    model = _fit(data, len(labels), plan, on_step)
    seconds = perf_counter() - started
    keras_file = _saved(model)
    logits = model.predict(_floats(data.held.pixels), batch_size=512, verbose=0)
    temperature = fit_temperature(logits, data.held.labels)
    probabilities = calibrated(logits, temperature)
    facts = Facts(
        labels=tuple(labels),
        preprocess=PREPROCESS,
        input_shape=data.train.pixels.shape[1:],
        temperature=temperature,
        threshold=choose_threshold(probabilities, data.held.labels),
        metrics={},
        recipe=_recorded(data, plan),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    tflite = _converted(model)
    return _measured_bundle(data, facts, tflite, keras_file, (probabilities, logits, seconds), out)


def _measured_bundle(
    data: TrainingData,
    facts: Facts,
    tflite: bytes,
    keras_file: bytes,
    held: tuple[Array, Array, float],
    out: Path,
) -> Bundle:
    probabilities, logits, seconds = held
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(write_bundle(Path(folder) / "draft", facts, tflite=tflite))
    apart = float(np.abs(engine.predict(data.held.pixels) - probabilities).max())
    if not apart <= ENGINES_APART:
        raise BundleError(f"LiteRT's answers differ from Keras's by {apart:.2g} (allowed: {ENGINES_APART:g})")
    metrics: dict[str, Any] = {
        "held": _quality(probabilities, data.held.labels, facts.threshold),
        "test": _quality(engine.predict(data.test.pixels), data.test.labels, facts.threshold),
        "uncalibrated_held_log_loss": round(log_loss(calibrated(logits, 1.0), data.held.labels), 5),
        "litert_keras_apart": apart,
        "training_s": round(seconds, 1),
    }
    golden_pixels = _golden_pixels(data)
    return write_bundle(
        out,
        facts.model_copy(update={"metrics": metrics}),
        tflite=tflite,
        keras=keras_file,
        golden=Golden(golden_pixels, engine.predict(golden_pixels)),
    )


def _quality(probabilities: Array, labels: Array, threshold: float) -> dict[str, Any]:
    wrong = probabilities.argmax(axis=1) != labels
    uncertain = probabilities.max(axis=1) < np.float32(threshold)
    return {
        "pictures": len(labels),
        "wrong": int(wrong.sum()),
        "accuracy": round(1 - float(wrong.mean()), 5),
        "ece": round(expected_calibration_error(probabilities, labels), 5),
        "log_loss": round(log_loss(probabilities, labels), 5),
        "uncertain_share": round(float(uncertain.mean()), 5),
        "wrong_among_uncertain": int((wrong & uncertain).sum()),
    }


def _fit(data: TrainingData, classes: int, plan: Plan, on_step: Callable[[Step], None]) -> Any:
    keras = _import_keras()
    recipe = recipe_named(plan.recipe)
    keras.utils.set_random_seed(plan.seed)
    model = recipe.build(data.train.pixels.shape[1:], classes)
    batches = _batches(keras, data, classes, plan, plan.batch or recipe.batch)
    steps = plan.epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20, steps, 1e-3, warmup_target=recipe.learning_rate, warmup_steps=int(WARM_UP * steps)
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(
            rate,
            weight_decay=recipe.weight_decay,
            use_ema=True,
            ema_momentum=min(EMA_MOMENTUM, 1 - 1 / (EMA_SPAN * steps)),
        ),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=plan.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[_reporter(keras, len(batches), data.held, on_step)],
    )
    return model


def _batches(keras: Any, data: TrainingData, classes: int, plan: Plan, size: int) -> Any:
    """A keras.utils.PyDataset: each epoch all pictures in a new order, augmented anew; the same for the same seed."""
    extra = data.extra or data.train.at(np.arange(0))
    pixels = np.concatenate([data.train.pixels, extra.pixels])
    labels = np.concatenate([data.train.labels, extra.labels])
    drawn = len(data.train)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(workers=1)
            self.epoch = 0
            self._shuffle()

        def __len__(self) -> int:
            return len(labels) // size

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            rows = self._order[index * size : (index + 1) * size]
            chosen = pixels[rows].copy()
            if plan.augmented:
                rng = np.random.default_rng((plan.seed, self.epoch, index))
                as_they_are = np.where(rows < drawn, UNTOUCHED, UNTOUCHED_IMITATIONS)
                others = np.flatnonzero(rng.random(len(rows)) >= as_they_are)
                chosen[others] = augment(chosen[others], rng)
            return _floats(chosen), np.eye(classes, dtype=np.float32)[labels[rows]]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self._shuffle()

        def _shuffle(self) -> None:
            self._order = np.random.default_rng((plan.seed, self.epoch)).permutation(len(labels))

    return Batches()


def _reporter(keras: Any, batches: int, held: Labelled, on_step: Callable[[Step], None]) -> Any:
    class Reporter(keras.callbacks.Callback):  # type: ignore[misc]
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            found = logs or {}
            on_step(Step(self.epoch, batch + 1, batches, found.get("loss", 0.0), found.get("accuracy", 0.0)))

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            found = logs or {}
            answers = self.model.predict(_floats(held.pixels), batch_size=512, verbose=0).argmax(axis=1)
            right = float((answers == held.labels).mean())
            on_step(Step(epoch, batches, batches, found.get("loss", 0.0), found.get("accuracy", 0.0), right))
            log.info("epoch %d: loss %.4f, held-back accuracy %.4f", epoch + 1, found.get("loss", 0.0), right)

    return Reporter()


def _saved(model: Any) -> bytes:
    """The .keras file, without the optimizer's state, which is two thirds of it."""
    keras = _import_keras()
    with tempfile.TemporaryDirectory() as folder:
        keras.Model(model.input, model.output, name=model.name).save(Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()


def _converted(model: Any) -> bytes:
    import tensorflow as tf

    converted: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return converted


def _import_keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        import keras
    except ImportError as error:
        raise SetupError("TensorFlow is not installed; `./submit.sh train` installs it on its first use") from error
    keras.utils.disable_interactive_logging()  # the conversion prints every tensor's name
    return keras


def _floats(pixels: Array) -> Array:
    floats: Array = pixels.astype(np.float32)
    return floats


def _golden_pixels(data: TrainingData) -> Array:
    """Pictures that were not learnt from, spread over the test set."""
    rows = np.linspace(0, len(data.test) - 1, min(GOLDEN_PICTURES, len(data.test))).astype(int)
    return data.test.at(rows).pixels


def _recorded(data: TrainingData, plan: Plan) -> dict[str, Any]:
    digest = hashlib.sha256()
    for part in (data.train, data.held, data.test, *([data.extra] if data.extra else [])):
        digest.update(np.ascontiguousarray(part.pixels).tobytes())
        digest.update(part.labels.astype("<i8").tobytes())
    return {
        "name": plan.recipe,
        "epochs": plan.epochs,
        "seed": plan.seed,
        "augmented": plan.augmented,
        "batch": plan.batch or recipe_named(plan.recipe).batch,
        "pictures": len(data.train),
        "imitations": len(data.extra) if data.extra else 0,
        "data_sha256": digest.hexdigest(),
    }
