"""Rows between Spark and Python as Arrow; without pandas, which takes a second to import and has no part in it."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa
from pyspark.rdd import PythonEvalType
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType
from pyspark.sql.udf import UserDefinedFunction


class _Deferred(importlib.abc.MetaPathFinder):
    """Finds no pandas as long as `hidden`; afterwards finds it once, and has Arrow know of it."""

    hidden = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As importlib asks for it. Raises ModuleNotFoundError for pandas while that is hidden."""
        if fullname != "pandas":
            return None
        if self.hidden:
            raise ModuleNotFoundError(fullname)
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _ = pa.lib._pandas_api.pd  # looks again

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def defer_pandas() -> None:
    """Have Arrow do without pandas until somebody imports it.

    The first time that Arrow is given a list, it imports pandas, to tell pandas' own from others, and remembers whether
    it could.
    """
    if "pandas" in sys.modules:
        return
    finder = _Deferred()
    sys.meta_path.insert(0, finder)
    pa.array([0])
    finder.hidden = False


BatchFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class ArrowMap:
    """A function of batches that Spark is told of once, for any number of frames with the same columns.

    DataFrame.mapInArrow tells Spark anew at each call, which takes its time: the function is pickled, the schema read,
    Spark's classes are looked for in every jar. In PySpark 3.5 it also imports pandas, to look at its version.
    """

    def __init__(self, function: BatchFunction, schema: StructType | str, columns: Sequence[str]) -> None:
        udf = UserDefinedFunction(function, schema, evalType=PythonEvalType.SQL_MAP_ARROW_ITER_UDF)
        self._call = udf(*columns)._jc.expr()

    def __call__(self, frame: DataFrame) -> DataFrame:
        """The frame's rows through the function."""
        return DataFrame(frame._jdf.pythonMapInArrow(self._call, False), frame.sparkSession)


def map_in_arrow(frame: DataFrame, function: BatchFunction, schema: StructType | str) -> DataFrame:
    """What DataFrame.mapInArrow is, for a frame that comes once."""
    return ArrowMap(function, schema, frame.columns)(frame)


def collect_batches(rows: DataFrame) -> list[pa.RecordBatch]:
    """The rows, on the driver; times are aware, in UTC."""
    # What toPandas begins with, without pandas' own texts, times and missing numbers; in Spark 4 it is toArrow.
    batches: list[pa.RecordBatch] = rows._collect_as_arrow()
    return batches
