"""Spark's Python daemon, started warm: every worker it forks has numpy, Arrow, LiteRT and the decoders loaded.

Set as `spark.python.daemon.module`. Two costs of PySpark 3.5's own daemon, measured on two cores, go away:

* each task calls importlib.invalidate_caches(), and Python 3.11 and later then read pyspark.zip's directory again
  (CPython issue 103200): with the zip off the path a drain rose from 15,900 to 20,700 images/s;
* each task ends with gc.collect() over all that was imported, 31 ms: frozen objects are not looked at.

It leans on the inside of pyspark.daemon of the pinned version; tests/stream/test_daemon.py holds it there.
"""

from __future__ import annotations

import gc
import importlib.util
import sys


def drop_zips() -> None:
    """Take zip archives off sys.path where the packages in them can be imported without."""
    kept = [entry for entry in sys.path if not entry.endswith(".zip")]
    before = sys.path[:]
    sys.path[:] = kept
    if not all(importlib.util.find_spec(name) for name in ("pyspark", "py4j")):
        sys.path[:] = before


def warm_up() -> None:
    """Import what every task needs, then leave it out of garbage collection."""
    import ai_edge_litert.interpreter
    import cv2
    import pandas
    import pyarrow

    import inkstream.stream.predict  # noqa: F401

    cv2.setNumThreads(1)  # one task, one core; Spark runs as many tasks as there are cores
    del ai_edge_litert, pandas, pyarrow
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    drop_zips()
    warm_up()
    from pyspark import daemon

    daemon.manager()
