"""The demo as a terminal shows it: steps, a row for every answer as it comes, sums; plain lines where none looks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from inkstream.demo.cards import REFUSED, RIGHT, UNCERTAIN, VERDICTS, WRONG, Card, Summary
from inkstream.records import REASON_CODES

PLAIN_WIDTH = 120  # where no terminal says how wide it is
WIDE = 90  # columns from which the kind has one of its own; the name tells it as well
STYLES = {RIGHT: "green", UNCERTAIN: "yellow", WRONG: "red", REFUSED: "cyan"}
UNEXPECTED = "red"


class Screen:
    """Prints what the demo does; `answered` and `watch` are called while it follows the answers."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = PLAIN_WIDTH
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """A line for people; markup allowed."""
        self.console.print(text, soft_wrap=True)

    def done(self, text: str, seconds: float | None = None) -> None:
        """A step that is over."""
        took = "" if seconds is None else f" [dim]({seconds:.1f} s)[/]"
        self.say(f"[green]✓[/] {escape(text)}{took}")

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Show what is being done while the block runs, and how long it took when it ends well."""
        began = time.monotonic()
        with self.console.status(f"{doing} ..."):
            yield
        self.done(done, time.monotonic() - began)

    @contextmanager
    def following(self, total: int) -> Iterator[None]:
        """While inside, a line below the answers says how far it is."""
        columns = (
            SpinnerColumn(),
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("[bold]{task.description}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            self._progress = progress
            self._task = progress.add_task("", total=total)
            yield
        self._progress = None

    def watch(self, doing: str, answered: int) -> None:
        """Say how far it is."""
        if self._progress:
            self._progress.update(self._task, description=doing, completed=answered)

    def answered(self, card: Card, *, first: bool) -> None:
        """A row for an answered card; the first one brings the names of the columns."""
        if first:
            self.say(f"[dim]The first answer came {self.seconds:.1f} s after the start of the demo.[/]")
        table = self._row_table(header=first)
        style = STYLES[card.verdict] if card.as_expected or card.verdict == UNCERTAIN else UNEXPECTED
        answer = card.answer or {}
        remark = answer["reason_code"] if card.verdict == REFUSED else card.verdict
        cells = [Text(printable(card.sample.name)), Text(card.sample.kind), Text(card.sample.truth or "-")]
        cells += [Text(printable(answer["label"] or "-"), style="bold"), Text(percent(answer["confidence"]))]
        cells += [Text(f"{card.seconds or 0:.2f} s"), Text(printable(remark), style)]
        table.add_row(*(cells if self._wide else [cells[0], *cells[2:]]))
        self.console.print(table)

    @property
    def _wide(self) -> bool:
        return self.console.width >= WIDE

    def _row_table(self, *, header: bool = False) -> Table:
        """A table of fixed columns, so that rows printed one by one stand below each other."""
        columns = [
            Column("picture", width=29, no_wrap=True),
            Column("kind", width=6, no_wrap=True),
            Column("truth", width=5),
            Column("answer", width=6),
            Column("sure", width=7, justify="right"),
            Column("time", width=7, justify="right"),
            Column("", no_wrap=True),
        ]
        if not self._wide:
            del columns[1]
        return Table(*columns, box=None, padding=(0, 1, 0, 0), show_header=header, pad_edge=False, header_style="bold")

    def sums(self, summary: Summary) -> None:
        """What came of each kind, and why pictures were rejected."""
        kinds = Table("kind", *(Column(name, justify="right") for name in ("pictures", *VERDICTS)), show_footer=False)
        for kind, counts in summary.kinds.items():
            kinds.add_row(kind, str(sum(counts.values())), *(_count(counts[name]) for name in VERDICTS))
        kinds.add_section()
        totals = [summary.total(name) for name in VERDICTS]
        kinds.add_row("all", str(sum(totals)), *(_count(total) for total in totals), style="bold")
        self.console.print(kinds)
        if not summary.reasons:
            return
        reasons = Table("rejected as", Column("pictures", justify="right"), "what they were told")
        for code, sentences in summary.reasons.items():
            count = sum(len(names) for names in sentences.values())
            told = "\n".join(f"{sentence} ({', '.join(names)})" for sentence, names in sentences.items())
            reasons.add_row(Text(f"{code}\n{REASON_CODES.get(code, '')}"), str(count), Text(printable(told)))
            reasons.add_section()
        self.console.print(reasons)

    def checked(self, gaps: Sequence[str], summary: Summary) -> None:
        """What is missing, or that nothing is."""
        for gap in gaps:
            self.console.print(Text(f"✗ {printable(gap)}", style="red"), soft_wrap=True)
        if gaps:
            return
        total = sum(summary.total(name) for name in VERDICTS)
        self.done(
            f"{total} pictures sent, {total} answered: each has its row in images, predictions and predictions_by_day, "
            f"and the {summary.total(REFUSED)} rejected ones their copy in images.rejected"
        )


def percent(confidence: float | None) -> str:
    """99.9 % is not rounded up to 100; nothing for a rejected picture."""
    if confidence is None:
        return "-"
    return f"{int(confidence * 1000) / 10:.1f} %"


def printable(text: str) -> str:
    """Without escape sequences, which names and reasons that come from strangers could carry to the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def _count(number: int) -> str:
    return str(number) if number else "·"
