from __future__ import annotations

import numpy as np
import pytest

from inkstream.model.calibration import choose_threshold, expected_calibration_error, fit_temperature, log_loss
from inkstream.model.engine import calibrated


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (20_000, 10)).astype(np.float32)
    chances = calibrated(logits, true_temperature)
    labels = (chances.cumsum(axis=1) > rng.random((len(logits), 1))).argmax(axis=1)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(true_temperature, rel=0.05)
    assert expected_calibration_error(calibrated(logits, found), labels) < 0.02
    assert log_loss(calibrated(logits, found), labels) <= log_loss(calibrated(logits, 1.0), labels) + 1e-6


def test_confidence_without_truth_is_an_error_of_calibration() -> None:
    sure = np.tile(np.array([[0.95, 0.05]], np.float32), (100, 1))
    labels = np.arange(100) % 2
    assert expected_calibration_error(sure, labels) == pytest.approx(0.45, abs=1e-6)


def test_the_threshold_catches_mistakes_but_calls_few_pictures_uncertain() -> None:
    confidence = np.linspace(0.5, 1, 1000, dtype=np.float32)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.zeros(1000, int)
    labels[:5] = 1
    threshold = choose_threshold(probabilities, labels)
    assert (confidence[:5] < threshold).all()
    assert (confidence < threshold).mean() <= 0.016
    labels[:400] = 1
    assert (confidence < choose_threshold(probabilities, labels)).mean() == pytest.approx(0.016, abs=0.002)
    assert (confidence < choose_threshold(probabilities, np.zeros(1000, int))).mean() <= 0.019
