"""Figures of answers that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from inkstream.evaluation.measuring import measure, wilson_interval
from inkstream.evaluation.summary import figures_tables, watch_line

LABELS = ("a", "b", "c")
PROBABILITIES = np.array(
    [[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.2, 0.8, 0.0], [0.1, 0.55, 0.35], [0.0, 0.4, 0.6]], np.float32
)
TRUTHS = np.array([0, 0, 1, 0, 2])


def test_accuracy_classes_and_confusions_are_those_of_a_sheet_of_paper() -> None:
    figures = measure(PROBABILITIES, TRUTHS, LABELS, 0.58)
    assert (figures.pictures, figures.wrong, figures.accuracy) == (5, 1, 0.8)
    assert figures.confusion == ((2, 1, 0), (0, 1, 0), (0, 0, 1))
    a, b, _ = figures.classes
    assert (a.pictures, a.answered, a.right, a.precision) == (3, 2, 2, 1.0)
    assert a.recall == pytest.approx(2 / 3)
    assert b.precision == 0.5
    assert b.f1 == pytest.approx(2 / 3)
    assert figures.log_loss == pytest.approx(-np.log([0.9, 0.6, 0.8, 0.1, 0.6]).mean(), rel=1e-6)


def test_the_threshold_says_how_many_mistakes_are_uncertain() -> None:
    figures = measure(PROBABILITIES, TRUTHS, LABELS, 0.58)
    assert figures.threshold.uncertain == pytest.approx(0.2)
    assert figures.threshold.mistakes_caught == 1.0
    assert figures.threshold.accuracy_of_the_rest == 1.0
    assert [step.threshold for step in figures.thresholds] == sorted(step.threshold for step in figures.thresholds)
    assert measure(PROBABILITIES, TRUTHS, LABELS, 0.5).threshold.mistakes_caught == 0.0


def test_bins_hold_every_picture_and_what_was_never_seen_has_no_recall() -> None:
    figures = measure(PROBABILITIES[:2], TRUTHS[:2], LABELS, 0.5)
    assert sum(one.pictures for one in figures.bins) == 2
    assert figures.classes[2].recall is None
    assert figures.classes[2].precision is None
    assert len(figures_tables(figures)) == 2
    assert "accuracy 100.00%" in watch_line(3, figures)


def test_the_interval_is_wilsons() -> None:
    assert wilson_interval(80, 100) == pytest.approx((0.71117, 0.86663), abs=1e-4)
    low, high = wilson_interval(10, 10)
    assert high == pytest.approx(1.0)
    assert low == pytest.approx(0.7225, abs=1e-3)
