"""Two bundles of the same classes in, a cascade out: its second network answers where the first is unsure."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import BundleError
from inkstream.model.bundle import Bundle, Golden, write_bundle
from inkstream.model.calibration import choose_threshold, fit_temperature
from inkstream.model.engine import open_draft, open_engine
from inkstream.model.examples import TrainingData
from inkstream.model.manifest import Cascade
from inkstream.model.training import golden_pixels, quality

ASKED = 0.03  # the share of the held-back pictures that the second network is asked about; more mended nothing more

Array = np.ndarray[Any, Any]


def join_bundles(first: Bundle, second: Bundle, data: TrainingData, out: Path) -> Bundle:
    """A small network's bundle, a large one's and the data of both in; the cascade that was written to `out`, out.

    When the second is asked, and what is uncertain, follow from the held-back pictures.

    Raises:
        BundleError: the two answer or take other things, one is a cascade itself, or `out` cannot be written.
    """
    _check_fit(first, second, data)
    parts = {"held": data.held, "test": data.test}
    alone = open_engine(first)
    sure = {name: alone.predict(part.pixels).max(axis=1) for name, part in parts.items()}
    below = round(float(np.quantile(sure["held"], ASKED)), 4)
    draft = first.facts.model_copy(
        update={
            "recipe": {"name": "cascade", "first": _told(first), "second": _told(second)},
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "cascade": Cascade(below=below, temperature=second.temperature),
        }
    )
    logits = open_draft(draft, first.tflite, second.tflite).second_logits(data.held.pixels)
    cascade = Cascade(below=below, temperature=fit_temperature(logits, data.held.labels))
    draft = draft.model_copy(update={"cascade": cascade})
    engine = open_draft(draft, first.tflite, second.tflite)
    answers = {name: engine.predict(part.pixels) for name, part in parts.items()}
    threshold = choose_threshold(answers["held"], data.held.labels)
    metrics = {name: quality(answers[name], part.labels, threshold) for name, part in parts.items()}
    for name, confidence in sure.items():
        metrics[name]["asked_share"] = round(float((confidence < np.float32(cascade.below)).mean()), 5)
    pixels = golden_pixels(data)
    return write_bundle(
        out,
        draft.model_copy(update={"threshold": threshold, "metrics": metrics}),
        tflite=first.tflite,
        second=second.tflite,
        keras=first.keras.read_bytes() if first.keras else None,
        second_keras=second.keras.read_bytes() if second.keras else None,
        golden=Golden(pixels, engine.predict(pixels)),
    )


def _told(bundle: Bundle) -> dict[str, Any]:
    return {"version": bundle.version, **bundle.recipe}


def _check_fit(first: Bundle, second: Bundle, data: TrainingData) -> None:
    shape = data.held.pixels.shape[1:]
    for bundle in (first, second):
        if bundle.cascade:
            raise BundleError(f"bundle {bundle.version[:12]} is a cascade already; join two that are none")
        if bundle.input_shape != shape:
            raise BundleError(f"bundle {bundle.version[:12]} takes {bundle.input_shape}, the data has {shape}")
    for name in ("labels", "preprocess"):
        one, other = getattr(first, name), getattr(second, name)
        if one != other:
            raise BundleError(f"{name} of the two bundles differ: {one} and {other}; train both on the same data")
