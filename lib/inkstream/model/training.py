"""Pictures with labels in, a calibrated bundle out: train, convert to LiteRT, hold both engines together, calibrate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import BundleError
from inkstream.image.normalise import PREPROCESS
from inkstream.model.bundle import Bundle, Golden, write_bundle
from inkstream.model.calibration import choose_threshold, expected_calibration_error, fit_temperature, log_loss
from inkstream.model.checkpoints import RunFolder, best_of
from inkstream.model.engine import calibrated, less_sure, open_draft
from inkstream.model.examples import NO_DIGIT, TrainingData
from inkstream.model.fitting import Plan, Step, fit
from inkstream.model.keras_models import keras_bytes, litert_bytes, logits_of
from inkstream.model.learning_curve import LEARNING_CURVE, draw_learning_curve
from inkstream.model.manifest import Facts
from inkstream.model.recipes import recipe_named
from inkstream.model.teaching import Teacher

Array = np.ndarray[Any, Any]
GOLDEN_PICTURES = 48
ENGINES_APART = 1e-4  # what LiteRT's probabilities may differ from Keras's
QUANTISED_APART = 1e-2  # and those of 8-bit weights, on average over pictures and classes; a good network's: 0.0001


def run_folder(out: Path) -> Path:
    """Where the training of the bundle `out` keeps its checkpoints."""
    return out.with_name(f"{out.name}.run")


def train_bundle(
    data: TrainingData,
    labels: list[str],
    plan: Plan,
    out: Path,
    on_step: Callable[[Step], None],
    *,
    fresh: bool = False,
    taught_by: Sequence[Bundle] = (),
) -> Bundle:
    """Data and plan in; the bundle that was written to `out`, and is checked, out.

    Goes on where the same training was killed, from the checkpoints beside `out`; `fresh` begins anew. taught_by:
    bundles whose mean answer is learnt beside the labels.

    Raises:
        SettingError: there is no such recipe, or another training's checkpoints lie beside `out`.
        SetupError: TensorFlow is not installed.
        BundleError: `out` cannot be written, LiteRT and Keras disagree, the network answers what is no number, or a
            teacher answers other labels.
    """
    if out.exists():
        raise BundleError(f"{out} is there already and bundles are immutable; name a new folder, or remove it first")
    plan = plan.settled()
    teacher = Teacher(taught_by, labels, data.train.pixels.shape[1:]) if taught_by else None
    recorded = recorded_recipe(data, plan)
    if taught_by:
        recorded["teachers"] = [bundle.version for bundle in taught_by]
    run = RunFolder(run_folder(out), recorded)
    run.open(fresh=fresh)
    model = fit(data, len(labels), plan, run, on_step, teacher)
    best = best_of(run.history)
    draw_learning_curve(run.history, f"{plan.recipe}: {len(data.train):,} pictures", run.path / LEARNING_CURVE)
    logits = logits_of(model, data.held.pixels)
    if not np.isfinite(logits).all():
        raise BundleError(
            "the training diverged: its network answers what is no number; "
            f"try a learning rate under {plan.learning_rate:g}"
        )
    facts = Facts(
        labels=tuple(labels),
        preprocess=PREPROCESS,
        input_shape=data.train.pixels.shape[1:],
        temperature=1.0,
        threshold=0.5,
        metrics={
            "epochs": len(run.history),
            "best_epoch": best.epoch,
            "training_s": round(sum(end.seconds for end in run.history), 1),
        },
        recipe=recorded,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    tflite, apart = _converted(model, facts, data.held.pixels, logits, quantised=recipe_named(plan.recipe).quantised)
    return _calibrated_bundle(data, facts, tflite, keras_bytes(model), apart, out)


def _converted(
    model: Any, draft: Facts, pixels: Array, logits: Array, *, quantised: bool
) -> tuple[bytes, dict[str, float]]:
    """The LiteRT file whose answers to the pictures were held to Keras's logits, and how far they lie apart."""
    tflite = litert_bytes(model)
    expected = calibrated(logits, 1.0)
    apart = float(np.abs(open_draft(draft, tflite).predict(pixels) - expected).max())
    if not apart <= ENGINES_APART:
        raise BundleError(f"LiteRT's answers differ from Keras's by {apart:.2g} (allowed: {ENGINES_APART:g})")
    found = {"litert_keras_apart": apart}
    if quantised:
        tflite = litert_bytes(model, quantised=True)
        moved = float(np.abs(open_draft(draft, tflite).predict(pixels) - expected).mean())
        if not moved <= QUANTISED_APART:
            raise BundleError(
                f"with 8-bit weights LiteRT's answers differ from Keras's by {moved:.2g} on average "
                f"(allowed: {QUANTISED_APART:g})"
            )
        found["quantised_apart"] = moved
    return tflite, found


def _calibrated_bundle(
    data: TrainingData, draft: Facts, tflite: bytes, keras_file: bytes, apart: dict[str, float], out: Path
) -> Bundle:
    """Calibrated by what LiteRT answers to the held-back pictures, since that is what will be served."""
    held = data.held.labels
    logits = open_draft(draft, tflite).logits(data.held.pixels)
    temperature = fit_temperature(logits, held)
    probabilities = calibrated(logits, temperature)
    threshold = choose_threshold(probabilities, held)
    facts = draft.model_copy(update={"temperature": temperature, "threshold": threshold})
    engine = open_draft(facts, tflite)
    metrics: dict[str, Any] = {
        **facts.metrics,
        "uncalibrated_held_log_loss": round(log_loss(calibrated(logits, 1.0), held), 5),
        "held": quality(probabilities, held, threshold),
        "test": quality(engine.predict(data.test.pixels), data.test.labels, threshold),
        **apart,
    }
    pixels = golden_pixels(data)
    return write_bundle(
        out,
        facts.model_copy(update={"metrics": metrics}),
        networks=[tflite],
        keras=[keras_file],
        golden=Golden(pixels, engine.predict(pixels)),
    )


def quality(probabilities: Array, labels: Array, threshold: float) -> dict[str, Any]:
    """float32 (N, classes), int (N,) in; a bundle's metrics of these pictures out."""
    wrong = probabilities.argmax(axis=1) != labels
    uncertain = less_sure(probabilities, threshold)
    return {
        "pictures": len(labels),
        "wrong": int(wrong.sum()),
        "accuracy": round(1 - float(wrong.mean()), 5),
        "ece": round(expected_calibration_error(probabilities, labels), 5),
        "log_loss": round(log_loss(probabilities, labels), 5),
        "uncertain_share": round(float(uncertain.mean()), 5),
        "wrong_among_uncertain": int((wrong & uncertain).sum()),
    }


def golden_pixels(data: TrainingData) -> Array:
    """uint8 (at most 48, *input_shape), 0..255: pictures that were not learnt from, spread over the test set."""
    rows = np.linspace(0, len(data.test) - 1, min(GOLDEN_PICTURES, len(data.test))).astype(int)
    return data.test.at(rows).pixels


def recorded_recipe(data: TrainingData, plan: Plan) -> dict[str, Any]:
    """What a bundle says of how it was made; the same plan and data give the same."""
    made = data.extra.labels if data.extra else np.empty(0)
    return {
        "name": plan.recipe,
        "epochs": plan.epochs,
        "seed": plan.seed,
        "augmented": plan.augmented,
        "batch": plan.batch,
        "learning_rate": plan.learning_rate,
        "patience": plan.patience,
        "pictures": len(data.train),
        "imitations": int(np.sum(made != NO_DIGIT)),
        "strangers": int(np.sum(made == NO_DIGIT)),
        "data": data.source,
        "data_sha256": data.digest(),
    }
