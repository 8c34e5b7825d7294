"""SQL in; rows on the terminal out."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pyspark.sql import Row, SparkSession

from inkstream.records import shortest_float32

WELCOME = "SQL on the warehouse; end a query with ; and leave with Ctrl-D. SHOW TABLES; and DESCRIBE answers; help.\n"
FILE_WIDTH = 200


def show(spark: SparkSession, query: str, *, as_csv: bool = False, limit: int = 1000) -> None:
    """Print the rows of a query: a table of at most `limit`, or all of them as CSV.

    Rows come a partition at a time, so memory stays bounded. Raises what Spark raises of a wrong query.
    """
    frame = spark.sql(query.strip().rstrip(";"))
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(frame.columns)
        singles = _singles(frame)
        for row in frame.toLocalIterator():
            writer.writerow([_text(value, name in singles) for name, value in row.asDict().items()])
        return
    rows = frame.limit(limit + 1).collect()
    if frame.columns:
        _table(frame.columns, rows[:limit], _singles(frame), more=len(rows) > limit)


def read_queries() -> Iterator[str]:
    """Yield what is typed up to each semicolon, until the end of the input."""
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401  arrows and history at the prompt
        sys.stderr.write(WELCOME)
    lines: list[str] = []
    while True:
        try:
            line = input(("   ... " if lines else "sql> ") if sys.stdin.isatty() else "")
        except EOFError:
            break
        lines.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(lines)
            lines = []
    if "".join(lines).strip():
        yield "\n".join(lines)


def _singles(frame: Any) -> set[str]:
    return {name for name, type_ in frame.dtypes if type_ == "float"}


def _text(value: Any, single: bool = False) -> str:
    if value is None:
        return ""
    if single:
        return str(shortest_float32(value))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    # Names come from strangers: an escape sequence in one would reach the terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _table(columns: list[str], rows: list[Row], singles: set[str], *, more: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    table = Table(box=None, pad_edge=False)
    numbers = {name for name in columns if any(isinstance(row[name], (int, float)) for row in rows)}
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row[name], name in singles)) for name in columns))
    console.print(table)
    counted = "1 row" if len(rows) == 1 else f"{len(rows):,} rows"
    console.print(f"{counted}, and more: --limit N or --csv shows them" if more else counted)
