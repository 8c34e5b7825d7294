"""Rows between Spark and Python as Arrow, and what becomes of pandas, which is left out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from inkstream.arrow import map_in_arrow


def doubled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_arrays([pc.multiply(batch.column("id"), 2), batch.column("name")], ["twice", "name"])


def said(code: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.services
def test_rows_are_mapped_as_spark_itself_maps_them(spark: SparkSession) -> None:
    rows = spark.range(7).selectExpr("id", "string(id) AS name")
    expected = rows.mapInArrow(doubled, "twice bigint, name string")
    found = map_in_arrow(rows, doubled, "twice bigint, name string")
    assert found.schema == expected.schema
    assert sorted(found.collect()) == sorted(expected.collect())


def test_arrow_makes_arrays_without_pandas() -> None:
    code = (
        "import sys, pyarrow; from inkstream.arrow import defer_pandas; defer_pandas()\n"
        "print(pyarrow.array(['a', None]).null_count, pyarrow.array([1]).to_pylist(), 'pandas' in sys.modules)"
    )
    assert said(code) == "1 [1] False"


def test_who_imports_pandas_afterwards_finds_arrow_aware_of_it() -> None:
    """Unaware, it would take a missing number for a number, and a mask for none."""
    code = (
        "import sys, pyarrow; from inkstream.arrow import defer_pandas; defer_pandas()\n"
        "import pandas; numbers = pandas.Series([1.0, None, 3.0])\n"
        "masked = pyarrow.Array.from_pandas(numbers, mask=numbers > 2)\n"
        "print(pyarrow.array(numbers).null_count, masked.to_pylist())\n"
        "print([finder for finder in sys.meta_path if type(finder).__module__ == 'inkstream.arrow'])"
    )
    assert said(code) == "1 [1.0, nan, None]\n[]"


def test_pandas_that_is_there_already_stays() -> None:
    code = (
        "import pandas, pyarrow; from inkstream.arrow import defer_pandas; defer_pandas()\n"
        "print(pyarrow.array(pandas.Series([1.0, None])).null_count)"
    )
    assert said(code) == "1"
