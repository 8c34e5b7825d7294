"""forget: pictures, and all that came of them, out for good."""

from __future__ import annotations

import sys
from datetime import date, datetime, timezone
from typing import Annotated

import typer

from inkstream.errors import SettingError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh forget 0a1b2c...`; `./submit.sh forget --source classroom-3 --yes`; "
        "`./submit.sh forget --before 2026-01-01`. What forgetting does and does not reach: docs/guarantees.md."
    )(forget)


def forget(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Pictures' ids.", show_default=False, metavar="[ID]...")
    ] = None,
    source: Annotated[str | None, typer.Option(help="All pictures of this source.", show_default=False)] = None,
    before: Annotated[
        str | None, typer.Option(help="All pictures of UTC days before this one.", metavar="DAY", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take pictures and all that came of them out of every table, for good.

    A mark stays, so that neither a replay nor a re-score brings them back. This cannot be undone.
    """
    from rich.console import Console

    from inkstream.settings import load_settings
    from inkstream.store import forgotten
    from inkstream.store.session import open_session

    if bool(ids) == (source is not None or before is not None):
        raise SettingError("Say which pictures: ids, or --source, --before or both")
    day = _parse_day(before)
    console = Console(highlight=False, soft_wrap=True)
    with open_session(load_settings().cassandra) as session:
        with console.status("Looking for them"):
            chosen = list(dict.fromkeys(ids or forgotten.find_ids(session, source=source, before=day)))
        if not chosen:
            console.print("No such picture is stored; nothing was changed")
            return
        if not yes:
            _ask(len(chosen))
        why = "by id" if ids else " ".join(f"{k} {v}" for k, v in (("source", source), ("before", before)) if v)
        with console.status("Forgetting"):
            done = forgotten.forget(session, chosen, why, datetime.now(timezone.utc))
    console.print(f"{done.stored:,} pictures forgotten; {done.marked:,} ids will not be stored again")
    if done.stored < done.marked:
        console.print(f"{done.marked - done.stored:,} of the ids had no picture stored")
    console.print("Reports and data sets made before still hold them: make them again")


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise SettingError(f"{count:,} pictures would be forgotten for good; give --yes where nobody can be asked")
    typer.confirm(f"Forget {count:,} pictures for good?", abort=True)


def _parse_day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise SettingError(f"--before has the value {text!r}; give a day as YYYY-MM-DD") from error
