"""Every recipe's network: what it takes, what it answers, how large it is. TensorFlow is real."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.conftest import needs_tensorflow

from inkstream.model.recipes import RECIPES
from inkstream.settings import home


@needs_tensorflow
@pytest.mark.parametrize("name", RECIPES)
def test_a_network_takes_pictures_and_answers_each_class(name: str) -> None:
    model = RECIPES[name].build((28, 28), 4)
    answered = model(np.zeros((2, 28, 28), np.float32), training=False)
    assert (model.name, tuple(answered.shape)) == (name, (2, 4))


@needs_tensorflow
def test_the_page_says_how_large_the_convolutional_ones_are() -> None:
    page = (home() / "docs" / "training.md").read_text()
    told = {
        name: int(size.replace(",", "")) for name, size in re.findall(r"^\| `(\w+)` \|.* ([\d,]+) weights", page, re.M)
    }
    assert set(told) == {"cnn", "tiny", "narrow", "wide"}
    for name, size in told.items():
        assert round(RECIPES[name].build((28, 28), 10).count_params(), -3) == pytest.approx(size, abs=1000), name
