"""The shipped bundle evaluated by a real Spark on a few pictures, some of them labelled wrongly on purpose."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs.evaluate_model import run
from PIL import Image
from pyspark.sql import SparkSession
from rich.console import Console

from inkstream.dataset.sources import open_source
from inkstream.errors import SettingError
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.settings import ImageSettings


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_wrong_labels_become_the_worst_mistakes_and_the_page_shows_them(spark: SparkSession, tmp_path: Path) -> None:
    bundle = load_bundle(shipped_bundle())
    assert bundle.golden is not None
    pixels, probabilities = bundle.golden.pixels[:20], bundle.golden.probabilities[:20]
    answers = probabilities.argmax(axis=1)
    for place in range(20):
        label = (answers[place] + (place < 3)) % 10  # three are said to be another digit
        folder = tmp_path / "set" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place}.png").write_bytes(png(pixels[place]))
    (tmp_path / "set" / "1").mkdir(exist_ok=True)
    (tmp_path / "set" / "1" / "broken.png").write_bytes(b"no picture")
    source = open_source(spark, str(tmp_path / "set"))
    console = Console(quiet=True)
    figures = run(spark, source, bundle, ImageSettings(), ["set"], str(tmp_path / "out"), console)
    assert (figures.pictures, figures.wrong) == (20, 3)
    found = json.loads((tmp_path / "out" / "evaluation.json").read_bytes())
    assert found["model_version"] == bundle.version
    assert found["rejected"] == [{"source": "set", "reason_code": "unsupported_format", "pictures": 1}]
    mistakes = found["worst_mistakes"]
    assert {one["name"].rpartition("/")[2] for one in mistakes} == {"0.png", "1.png", "2.png"}
    assert [one["confidence"] for one in mistakes] == sorted((one["confidence"] for one in mistakes), reverse=True)
    expected = {f"{place}.png": float(probabilities[place].max()) for place in range(3)}
    for one in mistakes:
        assert one["confidence"] == pytest.approx(expected[one["name"].rpartition("/")[2]], abs=1e-4)
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert page.count("<img") == 3
    assert "85.00\u00a0% right" in page
    assert re.findall(r'(?:src|href)="https?:', page) == []


def test_nothing_that_can_be_answered_is_an_error_that_says_why(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "set" / "1").mkdir(parents=True)
    (tmp_path / "set" / "1" / "broken.png").write_bytes(b"no picture")
    source = open_source(spark, str(tmp_path / "set"))
    bundle, console = load_bundle(shipped_bundle()), Console(quiet=True)
    with pytest.raises(SettingError, match="unsupported_format: 1"):
        run(spark, source, bundle, ImageSettings(), ["set"], str(tmp_path / "out"), console)
