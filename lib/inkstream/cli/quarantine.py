"""quarantine: what was rejected, and why; shown, exported, answered again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkstream.errors import FoundError, SettingError

if TYPE_CHECKING:
    from cassandra.cluster import Session
    from rich.table import Table

    from inkstream.settings import Settings
    from inkstream.store.quarantine import Quarantined

COLUMNS = ("image_id", "filename", "uploaded_at", "reason_code", "reason")
TABLE_COLUMNS = 130  # a narrower terminal would break the names letter by letter
PREVIEW = 36  # columns of the picture in the terminal

Reason = Annotated[str | None, typer.Option(help="Only of this reason code.", show_default="all", metavar="CODE")]
Ids = Annotated[list[str] | None, typer.Argument(help="Pictures' ids.", show_default=False, metavar="[ID]...")]
All = Annotated[bool, typer.Option("--all", help="Everything in quarantine.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="Look at rejected pictures, export them, have them answered again.")
    group.command("list", epilog="Examples: `./submit.sh quarantine list`; `... list --reason blank --csv blank.csv`.")(
        list_
    )
    group.command(epilog="Example: `./submit.sh quarantine show 0a1b2c... --save picture.bin`.")(show)
    group.command(
        epilog="Examples: `./submit.sh quarantine replay --reason too_large` after image.max_image_bytes was raised "
        "and the stream started again; `... replay ID ID`; `... replay --all` after another model came."
    )(replay)
    group.command(epilog="Example: `./submit.sh quarantine export rejected/ --reason no_digit`.")(export)
    app.add_typer(group, name="quarantine")


def list_(
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1)] = 50,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write all of them to this file; - for the terminal.", metavar="FILE")
    ] = None,
) -> None:
    """List what was rejected, newest first, and how many of each reason."""
    from inkstream.cli.rows import open_rows

    with _open() as (_, session, version):
        found = _read(session, version, reason)
        if csv is not None:
            with open_rows(COLUMNS, csv_file=csv) as rows:
                for picture in found:
                    rows.write(_row(picture))
            return
        counts: Counter[str] = Counter()
        first: list[Quarantined] = []
        for picture in found:
            counts[picture.reason_code] += 1
            if len(first) < limit:
                first.append(picture)
    _show_list(first, counts)


def show(
    image_id: Annotated[str, typer.Argument(help="The picture's id.")],
    save: Annotated[Path | None, typer.Option(help="Write the file as it was uploaded.", metavar="FILE")] = None,
) -> None:
    """Show one rejected picture: what is known of it, why it was rejected, and the picture itself."""
    from rich.console import Console

    from inkstream.cli.drawing import draw
    from inkstream.cli.rows import printable
    from inkstream.store.quarantine import find_quarantined, upload_of

    console = Console(highlight=False, soft_wrap=True)
    with _open() as (settings, session, version):
        [found] = find_quarantined(session, version, [image_id])
        if isinstance(found, str):
            raise FoundError(f"{found}; `./submit.sh quarantine list` shows what is")
        content, named = upload_of(session, image_id) or (b"", {})
    facts = {"id": image_id, **named, "bytes": f"{len(content):,}", "reason": f"{found.reason_code}: {found.reason}"}
    for name, value in facts.items():
        console.print(f"{name:>13}  {printable(str(value))}", markup=False)
    console.print(draw(content, settings.image, PREVIEW))
    if save:
        _write(save, content)
        console.print(f"The file is in {save}", markup=False)


def replay(ids: Ids = None, reason: Reason = None, every: All = False) -> int:
    """Upload rejected pictures again, from the bytes in Cassandra, so that the stream answers them as it is now.

    Each keeps its id, its names and the time of its upload; the new answer takes the old one's place. With another
    model or another limit: change the setting, start the stream again, then replay.
    """
    from rich.console import Console

    from inkstream.producer.replay import replay as replay_ids

    console = Console(highlight=False, soft_wrap=True)
    with _open() as (settings, session, version):
        chosen = _choose(session, version, ids, reason, every=every)
        with console.status("Sending"):
            sent = replay_ids(session, chosen, settings.kafka, settings.image)
    for failure in sent.failures:
        console.print(f"not sent: {failure.filename}: {failure.reason}", markup=False)
    console.print(f"{sent.acknowledged:,} pictures uploaded again; the stream answers them")
    return 1 if sent.failed else 0


def export(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")], ids: Ids = None, reason: Reason = None
) -> None:
    """Write rejected pictures into a folder, by reason, with an index.csv that names them."""
    from rich.console import Console

    from inkstream.cli.rows import open_rows
    from inkstream.store.pictures import read_bytes

    if folder.exists() and any(folder.iterdir()):
        raise SettingError(f"The folder {folder} is not empty; name a new one")
    count = 0
    with _open() as (_, session, version):
        _make(folder)
        with open_rows((*COLUMNS, "file"), csv_file=str(folder / "index.csv")) as rows:
            for picture in _of(session, version, ids, reason):
                place = Path(picture.reason_code) / f"{picture.image_id}{_suffix(picture.filename)}"
                _make(folder / place.parent)
                _write(folder / place, read_bytes(session, picture.image_id) or b"")
                rows.write({**_row(picture), "file": str(place)})
                count += 1
    Console(highlight=False, soft_wrap=True).print(f"{count:,} pictures are in {folder}", markup=False)


@contextmanager
def _open() -> Iterator[tuple[Settings, Session, str]]:
    from inkstream.settings import load_settings
    from inkstream.store.registry import version_in_use
    from inkstream.store.session import open_session

    settings = load_settings()
    with open_session(settings.cassandra) as session:
        yield settings, session, version_in_use(session, settings)


def _read(session: Session, version: str, reason: str | None) -> Iterator[Quarantined]:
    from inkstream.records import REASON_CODES
    from inkstream.store.quarantine import read_quarantine

    if reason is not None and reason not in REASON_CODES:
        raise SettingError(f"--reason has the value {reason!r}; reason codes are {', '.join(REASON_CODES)}")
    return read_quarantine(session, version, reason)


def _of(session: Session, version: str, ids: list[str] | None, reason: str | None) -> Iterator[Quarantined]:
    """The named ones, else those of the reason, else all. Raises FoundError where an id is not in quarantine."""
    from inkstream.store.quarantine import find_quarantined

    if not ids:
        yield from _read(session, version, reason)
        return
    for found in find_quarantined(session, version, ids):
        if isinstance(found, str):
            raise FoundError(f"{found}; `./submit.sh quarantine list` shows what is")
        yield found


def _choose(session: Session, version: str, ids: list[str] | None, reason: str | None, *, every: bool) -> list[str]:
    if sum(map(bool, (ids, reason, every))) != 1:
        raise SettingError("Say which pictures: ids, --reason CODE, or --all")
    return [picture.image_id for picture in _of(session, version, ids, reason)]


def _row(picture: Quarantined) -> dict[str, Any]:
    from inkstream.times import rfc3339

    return {**{name: getattr(picture, name) for name in COLUMNS}, "uploaded_at": rfc3339(picture.uploaded_at)}


def _show_list(first: list[Quarantined], counts: Counter[str]) -> None:
    from rich.table import Table

    from inkstream.cli.rows import open_console
    from inkstream.records import REASON_CODES

    console = open_console()
    rows = [_printable_row(picture) for picture in first]
    if console.width < TABLE_COLUMNS:
        for row in rows:
            console.print(_item(row), markup=False, soft_wrap=True)
    elif rows:
        console.print(_table(rows))
    if rows:
        console.print()
        summary = Table("reason code", "pictures", "meaning", box=None, pad_edge=False)
        for code, count in counts.most_common():
            summary.add_row(code, f"{count:,}", REASON_CODES.get(code, ""))
        console.print(summary)
    more = sum(counts.values())
    said = f"; the newest {len(first):,} are shown, --csv FILE writes all" if more > len(first) else ""
    console.print(f"{more:,} pictures in quarantine{said}")


def _printable_row(picture: Quarantined) -> dict[str, str]:
    from inkstream.cli.rows import printable

    return {name: printable(str(value or "")) for name, value in _row(picture).items()}


def _item(row: dict[str, str]) -> str:
    """Three lines of a picture: what a narrow terminal shows in the place of a table's row."""
    return f"{row['image_id']}  {row['uploaded_at']}\n  {row['filename']}\n  {row['reason_code']}: {row['reason']}"


def _table(rows: list[dict[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    pictures = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        pictures.add_column(column, overflow="fold", no_wrap=column not in ("filename", "reason"))
    for row in rows:
        pictures.add_row(*map(Text, row.values()))
    return pictures


def _suffix(filename: str | None) -> str:
    suffix = Path(filename or "").suffix
    return suffix if suffix[1:].isalnum() and suffix.isascii() else ".bin"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"The folder {folder} cannot be written ({error.strerror}); name another") from error


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise SettingError(f"{file} cannot be written ({error.strerror}); name another") from error
