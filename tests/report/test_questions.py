"""The questions of docs/reports.md, as they stand there, against pandas over the same rows."""

from __future__ import annotations

import re

import numpy as np
import orjson
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from inkstream.report.generator import VERSION
from inkstream.settings import home

Generated = tuple[SparkSession, pd.DataFrame]


def questions() -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```$", (home() / "docs" / "reports.md").read_text(), re.DOTALL | re.MULTILINE)


def ask(generated: Generated, words: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The answer to the question with those words, and the rows that count for the pictures."""
    [query] = [query for query in questions() if words in query]
    session, rows = generated
    return session.sql(query).toPandas(), rows[rows.model_version == VERSION]


def test_there_are_six_questions() -> None:
    assert len(questions()) == 6


def test_volume_and_share_by_digit_source_and_hour(generated: Generated) -> None:
    answer, page = ask(generated, "add_months")
    names = ["label", "source", "hour"]
    expected = page[page.label.notna()].groupby(names).size()
    assert answer.set_index(names).pictures.to_dict() == expected.to_dict()
    assert answer.share.tolist() == pytest.approx((answer.pictures / expected.sum()).tolist())


def test_accuracy_where_the_truth_is_known(generated: Generated) -> None:
    answer, page = ask(generated, "is_right IS NOT NULL")
    known = page[page.truth.notna() & page.label.notna()]
    known = known.assign(truth_by=np.where(known.corrected.notna(), "correction", "claim"))
    groups = known.groupby(["truth_by", "label"]).right
    assert answer.pictures.tolist() == groups.size().tolist()
    assert answer.accuracy.tolist() == pytest.approx(groups.mean().tolist())


def test_reasons_of_rejections(generated: Generated) -> None:
    answer, page = ask(generated, "outcome = 'rejected'")
    expected = page[page.outcome == "rejected"].groupby("reason_code").size()
    assert answer.set_index("reason_code").pictures.to_dict() == expected.to_dict()


def test_share_of_the_uncertain(generated: Generated) -> None:
    answer, page = ask(generated, "outcome = 'uncertain'")
    expected = page.groupby("source").outcome.apply(lambda outcomes: (outcomes == "uncertain").mean())
    assert answer.set_index("source").uncertain.to_dict() == pytest.approx(expected.to_dict())


def test_percentiles_of_the_stages(generated: Generated) -> None:
    answer, page = ask(generated, "percentile(")
    times = pd.DataFrame(page.stage_times.map(orjson.loads).tolist())
    for stage in ("queued", "decode", "normalise", "predict"):
        expected = times[f"{stage}_ms"].quantile([0.5, 0.9, 0.99]).tolist()
        assert list(answer[stage][0]) == pytest.approx(expected, rel=1e-5)


def test_model_against_model(generated: Generated) -> None:
    answer, _ = ask(generated, "JOIN")
    rows = generated[1][generated[1].label.notna()]
    one, other = (rows[rows.model_version == version] for version in (VERSION, "second"))
    both = one.merge(other, on="image_id")
    [row] = answer.to_dict("records")
    assert (row["one"], row["other"], row["pictures"]) == (VERSION, "second", len(both))
    assert row["agree"] == pytest.approx((both.label_x == both.label_y).mean())
    known = both[both.truth_x.notna()]
    assert (row["one_right"], row["other_right"]) == pytest.approx((known.right_x.mean(), known.right_y.mean()))
