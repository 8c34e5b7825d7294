"""What is no digit must not be believed to be one: rejected by the normaliser's rules, or uncertain by the model."""

from __future__ import annotations

import numpy as np
import pytest
from tests.model.not_digits import LETTERS, WORDS, empty_page, library_pictures, printed, side_by_side

from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.records import RECOGNISED
from inkstream.settings import ImageSettings


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_bundle(shipped_bundle()), ImageSettings())


def believed(reader: Reader, pictures: list[bytes]) -> float:
    return float(np.mean([reading.outcome == RECOGNISED for reading in reader.read(pictures)]))


def test_letters_in_unknown_fonts_are_not_believed(reader: Reader) -> None:
    assert believed(reader, [printed(letter, n) for n, letter in enumerate(LETTERS * 3)]) <= 0.16


def test_words_are_not_believed(reader: Reader) -> None:
    assert believed(reader, [printed(word, 500 + n) for n, word in enumerate(WORDS * 3)]) <= 0.02


def test_pictures_of_anything_else_are_not_believed(reader: Reader) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed (the test extra)")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (the test extra)")
    assert believed(reader, library_pictures()) <= 0.12


@pytest.mark.parametrize("ruled", [False, True])
def test_empty_pages_are_not_believed(reader: Reader, ruled: bool) -> None:
    pages = [empty_page(9000 + n, ruled=ruled, beside_a_table=False) for n in range(15)]
    assert believed(reader, pages) == 0


def test_most_empty_pages_beside_a_table_are_not_believed(reader: Reader) -> None:
    pages = [empty_page(9200 + n, ruled=n % 2 == 1, beside_a_table=True) for n in range(40)]
    assert believed(reader, pages) <= 0.2


def test_digits_side_by_side_are_not_believed(reader: Reader) -> None:
    golden = load_bundle(shipped_bundle()).golden
    assert golden is not None
    assert believed(reader, [side_by_side(golden.pixels[:48], 400 + n) for n in range(30)]) <= 0.04
