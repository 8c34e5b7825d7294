"""The training data's profile: label mix, ink share and confidence of pictures that a bundle answered.

    python -m inkstream.report.reference MNIST_FOLDER OUT.json [BUNDLE]

makes one from a folder of IDX files, by the same reader that the stream runs. The one of the shipped model ships;
`report.reference` names that of another.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import SettingError
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.records import Reading
from inkstream.report.counting import BINS
from inkstream.settings import Settings

SHIPPED = Path(__file__).parent / "profile.json"
BATCH = 1_000
PARTS = ("labels", "ink", "confidences")


def profile_of(readings: Iterable[Reading], labels: list[str], version: str) -> dict[str, Any]:
    """Counts by label (in the bundle's order), and by BINS bins of the share of ink (0..0.5) and the confidence."""
    by_label: Counter[str] = Counter()
    ink, confidences = np.zeros(BINS, int), np.zeros(BINS, int)
    for reading in readings:
        share = reading.ink_share
        if reading.label is None or share is None:
            continue
        by_label[reading.label] += 1
        ink[min(int(share * 2 * BINS), BINS - 1)] += 1
        confidences[min(int(reading.confidence * BINS), BINS - 1)] += 1
    return {
        "model_version": version,
        "labels": {label: by_label[label] for label in labels},
        "ink": ink.tolist(),
        "confidences": confidences.tolist(),
    }


def read_profile(settings: Settings, model_version: str) -> dict[str, Any] | None:
    """The settings' profile, else the one that ships where it is that model's; None: there is none.

    Raises:
        SettingError: report.reference names no profile.
    """
    if settings.report.reference:
        return _checked(Path(settings.report.reference))
    shipped = _checked(SHIPPED)
    return shipped if shipped["model_version"] == model_version else None


def _checked(path: Path) -> dict[str, Any]:
    try:
        profile: dict[str, Any] = json.loads(path.read_text())
        fits = len(profile["ink"]) == len(profile["confidences"]) == BINS and bool(profile["labels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"report.reference has the value {path}: it is no profile ({error!r})") from error
    if not fits:
        raise SettingError(f"report.reference has the value {path}: its histograms need {BINS} bins; make it anew")
    return profile


def main(argv: list[str] | None = None) -> None:
    """Read a folder of IDX files with a bundle, write the profile."""
    import cv2

    from inkstream.image.idx import pictures_and_labels
    from inkstream.model.reading import Reader
    from inkstream.settings import ImageSettings

    data, out, *named = sys.argv[1:] if argv is None else argv
    bundle = load_bundle(named[0] if named else shipped_bundle())
    reader = Reader(bundle, ImageSettings(), None)
    pictures, _ = pictures_and_labels(data)

    def png(pixels: np.ndarray[Any, Any]) -> bytes:
        return bytes(cv2.imencode(".png", pixels)[1])

    readings = (
        reading
        for start in range(0, len(pictures), BATCH)
        for reading in reader.read([png(picture) for picture in pictures[start : start + BATCH]])
    )
    profile = profile_of(readings, list(bundle.labels), bundle.version)
    Path(out).write_text(json.dumps(profile, indent=1) + "\n")


if __name__ == "__main__":
    main()
