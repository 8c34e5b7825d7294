"""Every figure of the page, and every question of docs/reports.md as it stands there, against pandas over the rows."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.report.counting import BINS, choose_examples, count_facts
from inkstream.report.facts import facts_of
from inkstream.report.figures import CALIBRATION_BINS, Figures, expected_calibration_error, figures_of, read_figures
from inkstream.report.generator import VERSION, generate_rows
from inkstream.report.page import drifts_of, render_page, summaries_of, write_report
from inkstream.report.reference import read_profile
from inkstream.settings import Settings, home, load_settings

Generated = tuple[SparkSession, pd.DataFrame]


@pytest.fixture(scope="module")
def built(generated: Generated) -> tuple[Figures, pd.DataFrame]:
    """The figures, and the rows of the page as pandas sees them."""
    session, rows = generated
    return read_figures(session), rows


def pages(rows: pd.DataFrame) -> pd.DataFrame:
    """One answer a picture: the current version's."""
    return rows[rows.model_version == VERSION]


def known(rows: pd.DataFrame) -> pd.DataFrame:
    return pages(rows)[pages(rows).truth.notna() & pages(rows).label.notna()]


def counted(frame: pd.DataFrame, *names: str) -> dict[Any, int]:
    keys = frame[list(names)].astype(str)
    return dict(zip(map(tuple, keys.to_numpy()), frame.pictures.astype(int), strict=True))


def expected(rows: pd.DataFrame, *names: str) -> dict[Any, int]:
    keys = rows[list(names)].astype(str)
    return {tuple(key) if isinstance(key, tuple) else (key,): n for key, n in keys.value_counts().items()}


def test_volumes_are_those_of_the_rows(built: tuple[Figures, pd.DataFrame]) -> None:
    figures, rows = built
    page = pages(rows)
    assert figures.pictures == len(page) == 3_000
    for outcome in ("recognised", "uncertain", "rejected"):
        by_day = page[page.outcome == outcome].groupby("day").size()
        assert dict(zip(figures["days"].date, figures["days"][outcome], strict=True)) == by_day.to_dict()
    assert counted(figures["hours"], "hour") == expected(page, "hour")
    assert counted(figures["sources"], "source") == expected(page, "source")
    page = page.assign(kind=page.filename.str.rpartition(".")[2])
    assert counted(figures["kinds"], "kind") == expected(page, "kind")
    assert figures["sources"].pictures.is_monotonic_decreasing
    rejected = page.groupby("source").outcome.apply(lambda outcomes: (outcomes == "rejected").mean())
    assert figures["sources"].rejected.tolist() == pytest.approx(rejected[figures["sources"].source].tolist())


def test_answers_and_their_confidence_are_those_of_the_rows(built: tuple[Figures, pd.DataFrame]) -> None:
    figures, rows = built
    page = pages(rows)
    answered = page[page.label.notna()]
    assert counted(figures["labels"], "label") == expected(answered, "label")
    assert figures["labels"].share.sum() == pytest.approx(1)
    bins = np.minimum(np.floor(answered.confidence.astype(float) * BINS), BINS - 1).astype(int)
    assert counted(figures["confidences"], "bin") == expected(answered.assign(bin=bins), "bin")
    ink = np.minimum(np.floor(answered.ink_share.astype(float) * 2 * BINS), BINS - 1).astype(int)
    assert counted(figures["ink"], "bin") == expected(answered.assign(bin=ink), "bin")
    rejected = page[page.outcome == "rejected"]
    found = figures["outcomes"]
    assert counted(found[found.outcome == "rejected"], "reason_code") == expected(rejected, "reason_code")


def test_accuracy_and_calibration_are_those_of_the_rows(built: tuple[Figures, pd.DataFrame]) -> None:
    figures, rows = built
    truth = known(rows)
    for row in figures["accuracy"].itertuples():
        group = truth[truth.corrected.notna() == (row.truth_by == "correction")]
        assert (row.pictures, row.right) == (len(group), group.right.sum())
        assert row.accuracy == pytest.approx(group.right.mean())
    assert len(figures["accuracy"]) == 2
    assert counted(figures["confusion"], "truth", "label") == expected(truth, "truth", "label")
    bins = np.minimum(np.floor(truth.confidence.astype(float) * CALIBRATION_BINS), CALIBRATION_BINS - 1).astype(int)
    groups = truth.assign(bin=bins).groupby("bin")
    assert figures["calibration"].accuracy.tolist() == pytest.approx(groups.right.mean().tolist())
    assert figures["calibration"].confidence.tolist() == pytest.approx(groups.confidence.mean().tolist(), abs=1e-6)
    apart = (groups.confidence.mean() - groups.right.mean()).abs() * groups.size() / len(truth)
    assert expected_calibration_error(figures["calibration"]) == pytest.approx(apart.sum(), abs=1e-6)


def test_models_stages_and_mistakes_are_those_of_the_rows(built: tuple[Figures, pd.DataFrame]) -> None:
    figures, rows = built
    models = figures["models"].set_index("model_version")
    truth = rows[rows.truth.notna() & rows.label.notna()]
    assert models.answers.to_dict() == rows.groupby("model_version").size().to_dict()
    assert models.accuracy.to_dict() == pytest.approx(truth.groupby("model_version").right.mean().to_dict())
    times = pd.DataFrame(pages(rows).stage_times.map(orjson.loads).tolist())
    for row in figures["stages"].itertuples():
        for column, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            exact = times[f"{row.stage}_ms"].quantile(share, interpolation="lower")
            assert getattr(row, column) == pytest.approx(exact, rel=0.02)
    wrong = known(rows)[~known(rows).right].sort_values(["confidence", "image_id"], ascending=[False, True])
    assert figures["mistakes"].image_id.tolist() == wrong.image_id.head(12).tolist()


def test_the_page_stands_alone_and_says_every_figure(built: tuple[Figures, pd.DataFrame], tmp_path: Path) -> None:
    figures, _ = built
    page = write_report(
        tmp_path, figures, read_profile(load_settings(), load_bundle(shipped_bundle()).version), None, load_settings()
    ).read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page.count('role="img"') == 6
    assert all(label for label in re.findall(r'aria-label="([^"]*)"', page))
    for row in figures["sources"].itertuples():
        assert f"<td>{row.source}</td>" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    stored = pd.read_parquet(tmp_path / "tables" / "labels.parquet")
    assert stored.pictures.tolist() == figures["labels"].pictures.tolist()
    assert len(summaries_of(figures["days"])) == 3


def test_a_page_of_no_pictures_says_what_to_do(built: tuple[Figures, pd.DataFrame]) -> None:
    figures, _ = built
    empty = Figures(None, None, {name: frame.head(0) for name, frame in figures.frames.items()})
    assert "./submit.sh send" in render_page(empty, None, None, load_settings())


def test_a_shifted_mix_is_named_and_the_same_mix_is_not(
    built: tuple[Figures, pd.DataFrame], generated: tuple[SparkSession, pd.DataFrame]
) -> None:
    _, rows = built
    answered = pages(rows)[pages(rows).label.notna()]
    ink = np.minimum(np.floor(answered.ink_share.astype(float) * 2 * BINS), BINS - 1).astype(int)
    sure = np.minimum(np.floor(answered.confidence.astype(float) * BINS), BINS - 1).astype(int)
    reference = {
        "labels": answered.label.value_counts().to_dict(),
        "ink": np.bincount(ink, minlength=BINS).tolist(),
        "confidences": np.bincount(sure, minlength=BINS).tolist(),
    }
    day = date(2026, 1, 30)
    session, _ = generated
    same = drifts_of(counted_figures(generate_rows(session, 800, day, seed=5)), reference)
    assert [drift.level for drift in same] == ["none"] * 3

    sevens = [int(digit == 7) for digit in range(10)]
    shifted = counted_figures(generate_rows(session, 800, day, seed=5, mix=sevens, ink=0.5))
    mix, strokes, confidence = drifts_of(shifted, reference)
    assert "the 7s went from" in mix.sentence
    assert "lighter" in strokes.sentence
    assert (mix.level, strokes.level, confidence.level) == ("much", "much", "none")
    page = render_page(shifted, reference, None, load_settings())
    assert mix.sentence in page
    assert strokes.sentence in page


def counted_figures(rows: DataFrame) -> Figures:
    """The figures of rows as in predictions_by_day, without a warehouse between."""
    no_corrections = rows.sparkSession.createDataFrame([], "image_id string, corrected string")
    facts = facts_of(rows, no_corrections, VERSION, "UTC")
    return figures_of(count_facts(facts), choose_examples(facts))


def test_the_profile_that_ships_is_the_shipped_bundles() -> None:
    profile = read_profile(Settings.model_construct(), load_bundle(shipped_bundle()).version)
    assert profile is not None, "make it anew, as CONTRIBUTING.md says"
    assert len(profile["ink"]) == len(profile["confidences"]) == BINS
    assert sum(profile["labels"].values()) == sum(profile["ink"]) > 59_000
    assert read_profile(Settings.model_construct(), "another") is None


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
