"""Rows in; CSV, JSON or a table for people out, one row at a time."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol

from inkstream.errors import SettingError

if TYPE_CHECKING:
    from rich.console import Console

TABLE_ROWS = 200  # a longer table is not read by anybody: the rest is counted
TERMINAL = "-"
FILE_WIDTH = 200  # of the table where no terminal says how wide it is
FOLDED = {"file", "filename", "reason", "why"}
SHORTENED = {"model_version": 12}  # letters, in the table only
STYLES = {"recognised": "green", "uncertain": "yellow", "rejected": "red"}


class Rows(Protocol):
    """What takes rows: column -> value, None for nothing."""

    def write(self, row: dict[str, Any]) -> None: ...


def reason_text(code: str | None, reason: str | None) -> str | None:
    """`code: sentence`, for programs and for people; None where there is no code."""
    return f"{code}: {reason}" if code and reason else code


@contextmanager
def open_rows(columns: Sequence[str], *, csv_file: str | None = None, as_json: bool = False) -> Iterator[Rows]:
    """Yield what takes the rows: CSV into a file (`-`: the terminal), a JSON array, or else a table.

    Raises:
        SettingError: the file cannot be written.
    """
    if as_json:
        yield from _json_rows(sys.stdout)
    elif csv_file == TERMINAL:
        yield _CsvRows(sys.stdout, columns)
    elif csv_file is not None:
        try:
            # Names on Linux need not be UTF-8; surrogateescape gives back the bytes that they are.
            with open(csv_file, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:  # noqa: PTH123
                yield _CsvRows(file, columns)
        except OSError as error:
            raise SettingError(f"--csv has the value {csv_file}: it cannot be written ({error.strerror})") from error
    else:
        table = _TableRows(columns)
        yield table
        table.show()


class _CsvRows:
    def __init__(self, file: IO[str], columns: Sequence[str]) -> None:
        self._writer = csv.DictWriter(file, columns, lineterminator="\n")
        self._writer.writeheader()

    def write(self, row: dict[str, Any]) -> None:
        self._writer.writerow({name: _csv_value(value) for name, value in row.items()})


def _csv_value(value: Any) -> Any:
    return _to_json(value) if isinstance(value, dict) else value


def _json_rows(file: IO[str]) -> Iterator[Rows]:
    rows = _JsonRows(file)
    file.write("[")
    yield rows
    file.write("\n]\n")


class _JsonRows:
    """A JSON array, an object a line, written as the rows come."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._before = "\n"

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(self._before + _to_json(row))
        self._before = ",\n"


def _to_json(value: dict[str, Any]) -> str:
    return json.dumps(value, default=lambda number: number.tolist())  # numpy's numbers and arrays


class _TableRows:
    """A table of the first rows, and how many there were of each outcome."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._rows: list[dict[str, Any]] = []
        self._count = 0
        self._outcomes: Counter[str] = Counter()

    def write(self, row: dict[str, Any]) -> None:
        self._count += 1
        self._outcomes[row["outcome"]] += 1
        if len(self._rows) < TABLE_ROWS:
            self._rows.append(row)

    def show(self) -> None:
        from rich.table import Table
        from rich.text import Text

        console = open_console()
        table = Table(box=None, pad_edge=False)
        for column in self._columns:
            table.add_column(column, overflow="fold", no_wrap=column not in FOLDED)
        for row in self._rows:
            style = STYLES.get(row["outcome"], "")
            table.add_row(
                *(
                    Text(_cell(row.get(name))[: SHORTENED.get(name)], style if name == "outcome" else "")
                    for name in self._columns
                )
            )
        if self._rows:
            console.print(table)
        if self._count > len(self._rows):
            console.print(f"... and {self._count - len(self._rows):,} more; --csv FILE writes them all")
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(self._outcomes.items()))
        pictures = "1 picture" if self._count == 1 else f"{self._count:,} pictures"
        console.print(pictures + (f": {counts}" if counts else ""))


def open_console() -> Console:
    """The terminal, as wide as it is; else a wide page, as what goes into a file or a pipe."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    return console


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = _to_json(value) if isinstance(value, dict) else str(value)
    return printable(text)


def printable(text: str) -> str:
    """The text as a terminal may have it: names come from strangers, an escape sequence in one would reach it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
