from __future__ import annotations

import numpy as np
import pytest

from inkstream.report.drift import compare, ink_sentence, stability_index

DIGITS = [f"the {digit}s" for digit in range(10)]
TRAINING = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_the_index_is_that_of_its_definition() -> None:
    then, now = np.array([50.0, 30.0, 20.0]), np.array([20.0, 30.0, 50.0])
    expected = sum((a - b) * np.log(a / b) for b, a in ((0.5, 0.2), (0.3, 0.3), (0.2, 0.5)))
    assert stability_index(then, now) == pytest.approx(expected)
    assert stability_index(then, then * 7) == pytest.approx(0)


@pytest.mark.parametrize("pictures", [60, 600, 60_000])
def test_pictures_drawn_from_the_same_mix_have_not_moved(pictures: int) -> None:
    random = np.random.default_rng(7)
    shares = np.array(TRAINING) / sum(TRAINING)
    drifts = [compare("mix of digits", DIGITS, TRAINING, random.multinomial(pictures, shares)) for _ in range(50)]
    assert not any(drift.has_moved for drift in drifts)
    assert drifts[0].sentence == "The mix of digits is that of the training data."


def test_only_sevens_are_named() -> None:
    drift = compare("mix of digits", DIGITS, TRAINING, [0] * 7 + [400] + [0] * 2)
    assert (drift.has_moved, drift.level) == (True, "much")
    assert "the 7s went from 10.4% to 100.0%" in drift.sentence


def test_a_handful_of_pictures_says_nothing() -> None:
    drift = compare("mix of digits", DIGITS, TRAINING, [0, 2, 0, 1, 0, 1, 0, 0, 1, 0])
    assert drift.index > 0.1
    assert not drift.has_moved


def test_no_answers_are_no_drift() -> None:
    drift = compare("mix of digits", DIGITS, TRAINING, [0] * 10)
    assert not drift.has_moved
    assert "no answers" in drift.sentence


def test_lighter_strokes_are_called_lighter() -> None:
    assert ink_sentence([0, 10, 0, 0], [10, 0, 0, 0]) == "The strokes are lighter (-67% of ink)."
    assert "darker" in ink_sentence([10, 0, 0, 0], [0, 10, 0, 0])
    assert "as much ink" in ink_sentence([0, 10, 0, 10, 0], [10, 0, 0, 0, 10])
