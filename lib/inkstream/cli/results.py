"""results: the answers that are stored."""

from __future__ import annotations

from datetime import date, datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from inkstream.errors import SettingError

if TYPE_CHECKING:
    from inkstream.store.results import Result

COLUMNS = ("image_id", "filename", "uploaded_at", "label", "confidence", "outcome", "reason", "model_version")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh results --limit 20`; `./submit.sh results --day today --csv today.csv`."
    )(results)


def results(
    day: Annotated[
        str | None, typer.Option(help="A UTC day, YYYY-MM-DD, or today.", show_default="every day", metavar="DAY")
    ] = None,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write CSV to this file; - for the terminal.", metavar="FILE")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The newest so many.", min=1, show_default="all")] = None,
) -> int:
    """Show what is stored, newest first: one row per picture, rejected ones too.

    Where several models answered a picture, it is the current one's answer, else the newest.
    """
    from inkstream.cli.rows import open_rows
    from inkstream.settings import load_settings
    from inkstream.store.registry import version_in_use
    from inkstream.store.results import read_days, read_results
    from inkstream.store.session import open_session

    wanted = parse_day(day)
    settings = load_settings()
    with open_session(settings.cassandra) as session, open_rows(COLUMNS, csv_file=csv) as rows:
        version = version_in_use(session, settings)
        days = [wanted] if wanted else read_days(session)
        for result in islice(read_results(session, days, version), limit):
            rows.write(_row(result))
    return 0


def parse_day(text: str | None) -> date | None:
    """--day in, the day out; None where it is not given. Raises SettingError."""
    if text is None:
        return None
    if text == "today":
        return datetime.now(timezone.utc).date()
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise SettingError(f"--day has the value {text!r}; give a day as YYYY-MM-DD, or today") from error


def _row(result: Result) -> dict[str, object]:
    from inkstream.cli.rows import reason_text
    from inkstream.records import shortest_float32
    from inkstream.times import rfc3339

    return {
        "image_id": result.image_id,
        "filename": result.filename,
        "uploaded_at": rfc3339(result.uploaded_at),
        "label": result.label,
        "confidence": shortest_float32(result.confidence or 0.0),
        "outcome": result.outcome,
        "reason": reason_text(result.reason_code, result.reason),
        "model_version": result.model_version,
    }
