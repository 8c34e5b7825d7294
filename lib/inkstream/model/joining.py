"""Bundles of the same classes in, a cascade out: each network answers where those before it are unsure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import BundleError
from inkstream.model.bundle import Bundle, Golden, write_bundle
from inkstream.model.calibration import choose_threshold
from inkstream.model.engine import less_sure, open_draft
from inkstream.model.examples import TrainingData
from inkstream.model.manifest import NETWORKS, Step
from inkstream.model.training import golden_pixels, quality

ASKED = (0.08, 0.03)  # the share of the held-back pictures that the last but one and the last are asked about
AGAIN = 0.8  # confidence under which the last one looks again

Array = np.ndarray[Any, Any]


def join_bundles(bundles: Sequence[Bundle], data: TrainingData, out: Path) -> Bundle:
    """Two or three networks' bundles, the quickest first, and the data of all in; the cascade, written to `out`, out.

    When each is asked, and what is uncertain, follow from the held-back pictures.

    Raises:
        BundleError: they are too few or too many, they answer or take other things, one is a cascade itself, or `out`
            cannot be written.
    """
    _check_fit(bundles, data)
    parts = {"held": data.held, "test": data.test}
    networks = [bundle.networks[0] for bundle in bundles]
    recipe = {"name": "cascade", "networks": [{"version": bundle.version, **bundle.recipe} for bundle in bundles]}
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    draft = bundles[0].facts.model_copy(update={"recipe": recipe, "created": created})
    engine = open_draft(draft, networks[0])
    answers = {name: engine.predict(part.pixels) for name, part in parts.items()}
    asked: dict[str, dict[str, float]] = {name: {} for name in parts}
    for number, share in enumerate(ASKED[1 - len(bundles) :], 1):
        below = round(float(np.quantile(answers["held"].max(axis=1), share)), 4)
        for name, probabilities in answers.items():
            share_asked = float(less_sure(probabilities, below).mean())
            asked[name][f"asked_{NETWORKS[number]}_share"] = round(share_asked, 5)
        again = AGAIN if number == len(bundles) - 1 else 0
        step = Step(below=below, temperature=bundles[number].temperature, again=again)
        draft = draft.model_copy(update={"cascade": (*draft.cascade, step)})
        engine = open_draft(draft, *networks[: number + 1])
        answers = {name: engine.predict(part.pixels) for name, part in parts.items()}
    threshold = choose_threshold(answers["held"], data.held.labels)
    metrics = {name: {**quality(answers[name], part.labels, threshold), **asked[name]} for name, part in parts.items()}
    pixels = golden_pixels(data)
    files = [file for bundle in bundles for file in bundle.keras]
    return write_bundle(
        out,
        draft.model_copy(update={"threshold": threshold, "metrics": metrics}),
        networks=networks,
        keras=[file.read_bytes() for file in files] if len(files) == len(bundles) else (),
        golden=Golden(pixels, engine.predict(pixels)),
    )


def _check_fit(bundles: Sequence[Bundle], data: TrainingData) -> None:
    if not 2 <= len(bundles) <= len(NETWORKS):
        raise BundleError(f"{len(bundles)} bundles make no cascade; name two or three")
    first, *further = bundles
    shape = data.held.pixels.shape[1:]
    for bundle in bundles:
        if bundle.cascade:
            raise BundleError(f"bundle {bundle.version[:12]} is a cascade already; join bundles that are none")
        if bundle.input_shape != shape:
            raise BundleError(f"bundle {bundle.version[:12]} takes {bundle.input_shape}, the data has {shape}")
    for bundle in further:
        for name in ("labels", "preprocess"):
            one, other = getattr(first, name), getattr(bundle, name)
            if one != other:
                raise BundleError(f"{name} of the bundles differ: {one} and {other}; train all on the same data")
