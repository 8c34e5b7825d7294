"""A running training's folder in, a line of figures for each checkpoint out, as the checkpoints come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from inkstream.evaluation.measuring import Figures, measure
from inkstream.model.checkpoints import read_progress
from inkstream.model.examples import Labelled
from inkstream.model.keras_models import import_keras, probabilities_of

POLL_S = 2.0


def watch_checkpoints(
    run: Path, data: Labelled, labels: tuple[str, ...], goes_on: Callable[[], bool]
) -> Iterator[tuple[int, Figures]]:
    """Yield each epoch's number and its figures, those that are there first; while `goes_on()`, wait for more.

    Ends by itself when all planned epochs are there. Not calibrated yet, and no threshold is chosen: 0.

    Raises:
        SetupError: TensorFlow is not installed. BundleError: progress.json is none of ours.
    """
    keras = import_keras()
    seen: set[Path] = set()
    while True:
        for path in sorted((run / "checkpoints").glob("epoch-*.keras")):
            if path not in seen:
                seen.add(path)
                model = keras.saving.load_model(path, compile=False)
                yield (
                    int(path.stem.removeprefix("epoch-")),
                    measure(probabilities_of(model, data.pixels), data.labels, labels, 0.0),
                )
        found = read_progress(run)
        if (found and len(seen) >= int(found[0].get("epochs", 0))) or not goes_on():
            return
        time.sleep(POLL_S)
