"""Sources grouped into kinds: three that were made, found again by real Spark."""

from __future__ import annotations

from datetime import datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from inkstream.records import RECOGNISED, REJECTED
from inkstream.report.profiles import FEWEST_PICTURES, Kind, describe, find_kinds, profile_sources

LABELS = [str(digit) for digit in range(10)]
SCHEMA = "source string, outcome string, label string, confidence float, uploaded_at timestamp"


@pytest.fixture(scope="module")
def answers(spark: SparkSession) -> DataFrame:
    """Six schools that send every digit at nine, four scanners that send sevens at night, half of them rejected."""
    rows = []
    for school in range(6):
        for number in range(40):
            rows.append((f"school {school}", RECOGNISED, str(number % 10), 0.99, datetime(2026, 1, 5, 9, number)))
    for scanner in range(4):
        for number in range(20):
            at = datetime(2026, 1, 5, 23, number)
            rejected = number % 2 == 0
            answer = (REJECTED, None, None) if rejected else (RECOGNISED, "7", 0.6)
            rows.append((f"scanner {scanner}", *answer, at))
    rows += [("once", RECOGNISED, "1", 0.9, datetime(2026, 1, 5, 12))] * (FEWEST_PICTURES - 1)
    rows += [(None, RECOGNISED, "1", 0.9, datetime(2026, 1, 5, 12))] * 50
    return spark.createDataFrame(rows, SCHEMA)


def test_a_profile_holds_the_sources_shares(answers: DataFrame) -> None:
    profiles = {row["source"]: row for row in profile_sources(answers, LABELS).collect()}
    assert set(profiles) == {*(f"school {n}" for n in range(6)), *(f"scanner {n}" for n in range(4))}
    scanner = profiles["scanner 2"]
    labels, hours = scanner["profile"][:10], scanner["profile"][10:34]
    confidence, rejected, uncertain = scanner["profile"][34:]
    assert labels == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    assert hours[23] == 1
    assert (round(confidence, 5), rejected, uncertain, scanner["pictures"]) == (0.6, 0.5, 0, 20)
    assert profiles["school 0"]["profile"][:10] == pytest.approx([0.1] * 10)


def test_the_kinds_that_were_made_are_found(answers: DataFrame) -> None:
    kinds = find_kinds(profile_sources(answers, LABELS), LABELS)
    assert [(kind.sources, kind.pictures) for kind in kinds] == [(6, 240), (4, 80)]
    schools, scanners = kinds
    assert schools.hours[9] == pytest.approx(1)
    assert scanners.labels["7"] == pytest.approx(1)
    assert scanners.largest.startswith("scanner")
    assert describe(scanners).startswith("mostly 7 (100%), 100% between ")
    assert "50% rejected" in describe(scanners)


def test_few_sources_are_no_kinds(answers: DataFrame) -> None:
    assert find_kinds(profile_sources(answers.filter("source = 'school 1'"), LABELS), LABELS) == []


def test_a_kind_without_a_habit_is_told_so() -> None:
    kind = Kind(1, 10, dict.fromkeys(LABELS, 0.1), [1 / 24] * 24, 0.9, 0.02, 0.01, "a")
    assert describe(kind) == "all labels, at all hours, 2% rejected, 1% uncertain"
