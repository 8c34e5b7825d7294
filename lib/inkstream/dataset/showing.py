"""A running Spark job in, a progress bar of its tasks out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

POLL_S = 0.3


@contextmanager
def shown(spark: SparkSession, console: Console, doing: str) -> Iterator[None]:
    """While inside, show how many tasks of the running stages are done; without a terminal, a line at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    done = threading.Event()
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        bar = progress.add_task(doing, total=None)

        def poll() -> None:
            tracker = spark.sparkContext.statusTracker()
            while not done.wait(POLL_S):
                infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
                running = [info for info in infos if info is not None]
                if running:
                    total = sum(info.numTasks for info in running)
                    progress.update(bar, total=total, completed=sum(info.numCompletedTasks for info in running))

        thread = threading.Thread(target=poll, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        progress.update(bar, total=1, completed=1)
    if not console.is_terminal:
        console.print(f"{doing}: done")
