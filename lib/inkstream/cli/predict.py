"""predict: pictures on the disk to answers, without any service."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from inkstream.errors import FoundError, SettingError

if TYPE_CHECKING:
    from inkstream.model.reading import Reader
    from inkstream.records import Reading
    from inkstream.settings import Settings

COLUMNS = ("file", "label", "confidence", "outcome", "reason")
CHUNK_FILES = 256
CHUNK_BYTES = 32 << 20  # read at once; a single picture may be larger
PROGRESS_FROM = 50  # files; fewer are done before a bar is seen


class Found(NamedTuple):
    """A file to read, as the user would write it, and why it could not be listed, if so."""

    path: Path
    shown: str
    problem: str | None = None


class Answer(NamedTuple):
    """What one file says. `opened` is False where its bytes could not even be read."""

    shown: str
    reading: Reading
    opened: bool


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh predict seven.jpg`; `./submit.sh predict pictures/ --csv answers.csv`; "
        "`./submit.sh predict seven.jpg --json --why`."
    )(predict)


def predict(
    paths: Annotated[list[str], typer.Argument(help="Files and folders.", show_default=False)],
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write CSV to this file; - for the terminal.", metavar="FILE")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to the terminal.")] = False,
    why: Annotated[bool, typer.Option("--why", help="With what the normaliser did to each picture.")] = False,
    model: Annotated[
        Path | None, typer.Option("--model", help="A bundle's folder.", show_default="the settings', else the shipped")
    ] = None,
) -> int:
    """Read pictures without any service: a row for every file, whatever its name.

    Folders are read recursively. Ends with 0 when every file got an answer or a rejection.
    """
    from inkstream.cli.rows import open_rows
    from inkstream.settings import load_settings

    settings = load_settings()
    if csv is not None and json:
        raise SettingError("--csv and --json cannot both be given; choose one")
    reader = _open_reader(settings, model)
    found = list(_find(paths, except_for=csv))
    columns = [*COLUMNS, *(["why"] if why else [])]
    unopened = 0
    with open_rows(columns, csv_file=csv, as_json=json) as rows:
        for answer in _with_progress(_read_all(reader, found, settings.image.max_image_bytes), len(found)):
            unopened += not answer.opened
            rows.write(_row(answer, why))
    if unopened:
        raise FoundError(f"{unopened:,} of {len(found):,} files could not be opened; their rows say why")
    return 0


def _open_reader(settings: Settings, model: Path | None) -> Reader:
    from inkstream.model.bundle import load_bundle, shipped_bundle
    from inkstream.model.reading import Reader

    if model is not None and not model.is_dir():
        raise SettingError(f"--model has the value {model}: there is no such folder")
    bundle = load_bundle(model or settings.model.bundle or shipped_bundle())
    threshold = settings.model.threshold
    return Reader(bundle, settings.image, threshold if threshold >= 0 else None)


def _find(arguments: list[str], except_for: str | None) -> Iterator[Found]:
    """Yield every regular file at and below the arguments, but for the one that is about to be written."""
    from inkstream.producer.paths import check_paths, walk
    from inkstream.producer.pictures import Failure, place_of

    check_paths([Path(argument) for argument in arguments])
    output = place_of(Path(except_for)) if except_for not in (None, "-") else None
    for argument in arguments:
        start = Path(argument)
        for found in walk(start, hidden=True):
            if isinstance(found, Failure):
                yield Found(start, found.filename, found.reason)
            elif found == start:
                yield Found(found, argument)
            elif place_of(found) != output:
                yield Found(found, os.path.join(argument, found.relative_to(start)))  # noqa: PTH118 - keeps "./"


def _read_all(reader: Reader, found: Iterable[Found], max_bytes: int) -> Iterator[Answer]:
    """Yield the answers in order, reading so many files at once that memory stays bounded."""
    chunk: list[tuple[str, bytes | int]] = []
    held = 0
    for file in found:
        data = file.problem or _read(file.path, max_bytes)
        if isinstance(data, str):
            yield from _answers(reader, chunk)
            chunk, held = [], 0
            yield Answer(file.shown, _unreadable(data), opened=False)
            continue
        chunk.append((file.shown, data))
        held += 0 if isinstance(data, int) else len(data)
        if len(chunk) >= CHUNK_FILES or held >= CHUNK_BYTES:
            yield from _answers(reader, chunk)
            chunk, held = [], 0
    yield from _answers(reader, chunk)


def _read(path: Path, max_bytes: int) -> bytes | int | str:
    """The file's bytes; its size alone where that is over the limit; the reason where it cannot be opened."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return size if size > max_bytes else file.read()
    except OSError as error:
        return f"The file cannot be opened: {error.strerror}."


def _unreadable(reason: str) -> Reading:
    from inkstream.records import REJECTED, Reading

    return Reading(REJECTED, reason_code="unreadable", reason=reason)


def _answers(reader: Reader, chunk: list[tuple[str, bytes | int]]) -> Iterator[Answer]:
    readings = reader.read([data for _, data in chunk])
    for (shown, _), reading in zip(chunk, readings, strict=True):
        yield Answer(shown, reading, opened=True)


def _row(answer: Answer, why: bool) -> dict[str, object]:
    from inkstream.cli.rows import reason_text

    reading = answer.reading
    row: dict[str, object] = {
        "file": answer.shown,
        "label": reading.label,
        "confidence": reading.confidence,
        "outcome": reading.outcome,
        "reason": reason_text(reading.reason_code, reading.reason),
    }
    return row | {"why": reading.why} if why else row


def _with_progress(answers: Iterable[Answer], total: int) -> Iterable[Answer]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal or total < PROGRESS_FROM:
        return answers
    return track(answers, "reading", total, console=console, transient=True)
