"""send, collect: pictures into Kafka."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from inkstream.errors import FoundError, InkstreamError, SettingError

if TYPE_CHECKING:
    from inkstream.producer.pictures import Items
    from inkstream.producer.send import Pace, Sent
    from inkstream.settings import Settings

DEFAULT_SOURCE = "send"
INTERRUPTED = 130
REDRAW_S = 0.1


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh send pictures/ set.zip`; `./submit.sh send train-images-idx3-ubyte --limit 60`; "
        "`./submit.sh send pictures/ --rate 20 --label-from-name --source scanner`."
    )(send)
    app.command(
        epilog="Examples: `./submit.sh collect https://example.org/digits.html`; "
        "`./submit.sh collect page.html --limit 10 --source notes`."
    )(collect)


def send(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders, zip archives, IDX sets.", show_default=False)],
    rate: Annotated[float | None, typer.Option(help="Messages a second.", show_default="as fast as it goes")] = None,
    limit: Annotated[int | None, typer.Option(help="Messages in all.", min=1, show_default="all")] = None,
    repeat: Annotated[int, typer.Option(help="Copies of each picture, each with an id of its own.", min=1)] = 1,
    label_from_name: Annotated[
        bool, typer.Option("--label-from-name", help="Claim the digit that a name holds: scan_7.png or 7/scan.png.")
    ] = False,
    source: Annotated[str, typer.Option(help="Where the pictures come from; a part of their ids.")] = DEFAULT_SOURCE,
) -> int:
    """Send pictures to Kafka; at the end, how many it has acknowledged.

    Folders are read recursively, every file in them but hidden ones. Sending the same again changes nothing:
    a picture's id is made of its source, its path and its bytes.
    """
    from inkstream.producer.paths import check_paths, count_pictures, read_paths
    from inkstream.producer.send import Pace, max_picture_bytes
    from inkstream.settings import load_settings

    if rate is not None and not rate > 0:
        raise SettingError(f"--rate has the value {rate}; it must be more than 0")
    settings = load_settings()
    check_paths(paths)
    items = read_paths(paths, max_picture_bytes(settings.image), labels=label_from_name)

    def total() -> int:
        return min(count_pictures(paths) * repeat, limit or 1 << 62)

    return _send(items, settings, source, Pace(rate, limit, repeat), total)


def collect(
    page: Annotated[str, typer.Argument(help="A page's http(s):// or file:// address, or its path.")],
    limit: Annotated[int | None, typer.Option(help="Pictures in all.", min=1, show_default="all")] = None,
    source: Annotated[str | None, typer.Option(help="Where they come from.", show_default="the page's host")] = None,
) -> int:
    """Send the pictures that a web page links to, each once.

    robots.txt is respected; what is too large, or is no picture by its bytes, is named and not sent.
    """
    from inkstream.producer.collect import collect as collect_pictures
    from inkstream.producer.collect import linked_pictures, open_page, page_address, source_of
    from inkstream.producer.fetch import Fetcher
    from inkstream.producer.send import Pace, max_picture_bytes
    from inkstream.settings import load_settings

    settings = load_settings()
    address = page_address(page)
    max_bytes = max_picture_bytes(settings.image)
    with Fetcher() as fetcher:
        opened = open_page(fetcher, address, max_bytes)
        linked = linked_pictures(opened)
        items = collect_pictures(fetcher, opened, linked, max_bytes)
        pace = Pace(limit=limit)
        return _send(
            items, settings, source or source_of(opened.address), pace, lambda: min(len(linked), limit or 1 << 62)
        )


def _send(items: Items, settings: Settings, source: str, pace: Pace, total: Callable[[], int]) -> int:
    from inkstream.producer.send import Sent, send_pictures

    so_far = Sent()
    console = Console(stderr=True)
    try:
        with _stop_on_signal() as stop, _progress(console, total) as show:

            def on_progress(sent: Sent) -> None:
                nonlocal so_far
                so_far = sent
                show(sent)

            result = send_pictures(
                items,
                settings.kafka,
                settings.image,
                source=source,
                pace=pace,
                on_progress=on_progress,
                is_stopped=stop.is_set,
            )
    except InkstreamError:
        if so_far.sent:
            _show(so_far)
        raise
    if result.sent + result.failed == 0 and not result.stopped:
        raise SettingError("There is nothing to send: no picture was found")
    _show(result)
    if result.stopped:
        return INTERRUPTED
    if result.failed:
        raise FoundError(f"{result.failed:,} of {result.sent + result.failed:,} pictures were not sent, see above")
    return 0


class _Stop:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True


@contextmanager
def _stop_on_signal() -> Iterator[_Stop]:
    """The first Ctrl-C, or SIGTERM, ends the reading and lets what is in flight arrive; the second one interrupts."""
    stop = _Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(console: Console, total: Callable[[], int]) -> Iterator[Callable[[Sent], None]]:
    """A bar with count, rate and megabytes while the block runs, where there is a terminal to see it."""
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s  {task.fields[megabytes]:,.1f} MB"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    drawn = started
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total(), rate=0.0, megabytes=0.0)

        def show(sent: Sent) -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn < REDRAW_S:
                return
            drawn = now
            rate = sent.acknowledged / (now - started)
            bar.update(task, completed=sent.sent + sent.failed, rate=rate, megabytes=sent.bytes / 1e6)

        yield show


def _show(sent: Sent) -> None:
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    table = Table("sent", "acknowledged", "failed", "MB")
    table.add_row(f"{sent.sent:,}", f"{sent.acknowledged:,}", f"{sent.failed:,}", f"{sent.bytes / 1e6:,.1f}")
    console.print(table)
    for failure in sent.failures:
        console.print(Text(_printable(f"failed: {failure.filename}: {failure.reason}")))
    if sent.failed > len(sent.failures):
        console.print(f"... and {sent.failed - len(sent.failures):,} more failed")


def _printable(text: str) -> str:
    # Names come from strangers' archives and pages: an escape sequence in one would reach the terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in text)
