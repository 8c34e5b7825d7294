"""Table `models` in and out: which version answers, which one shadows it, and how it came to that.

One row, changed by Cassandra's compare-and-set alone: of two who promote at once, one wins and the other is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal

import orjson
from cassandra.cluster import Session

from inkstream.errors import FoundError, ServiceError
from inkstream.model.shelf import Shelf
from inkstream.settings import Settings
from inkstream.store.session import CASSANDRA_ERRORS, await_on_disk

REGISTRY = "digits"
Action = Literal["promote", "rollback", "shadow", "unshadow"]


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the history. version: what answered (or shadowed) from then on; empty where nothing did."""

    action: str
    version: str
    at: str
    by: str


@dataclass(frozen=True, slots=True)
class State:
    """What the row says. revision 0: there is none yet. history: oldest first."""

    revision: int = 0
    current: str | None = None
    shadow: str | None = None
    history: tuple[Change, ...] = ()

    @property
    def earlier(self) -> list[str]:
        """Versions that were current before the present one, as `rollback` goes back through them; latest last."""
        stack: list[str] = []
        for change in self.history:
            if change.action == "promote":
                stack.append(change.version)
            elif change.action == "rollback" and stack:
                stack.pop()
        return stack[:-1]


def read_state(session: Session) -> State:
    """The row as it stands. Raises ServiceError."""
    try:
        row = session.execute(
            "SELECT revision, current, shadow, history FROM models WHERE registry = %s", (REGISTRY,)
        ).one()
    except CASSANDRA_ERRORS as error:
        raise _failed(error) from error
    if row is None or row.revision is None:
        return State()
    history = tuple(Change(**change) for change in orjson.loads(row.history or "[]"))
    return State(row.revision, row.current, row.shadow, history)


def version_in_use(session: Session, settings: Settings) -> str:
    """The version that answers at present: the registry's, else that of model.bundle, else the shipped one.

    Raises:
        ServiceError: Cassandra does not answer.
    """
    return read_state(session).current or Shelf(settings).default.version


def promote(session: Session, version: str, by: str, default: str) -> State:
    """Let a version answer; a shadow that is promoted stops shadowing. Raises FoundError where it does already.

    default: what answers while nothing was ever promoted; the history begins with it, so that a rollback finds it.
    """

    def change(state: State) -> State:
        if state.current == version:
            raise FoundError(f"Version {version[:12]} is current already; nothing was changed")
        if state.current is None and version != default:
            state = _with(state, "promote", default, "")
        shadow = None if state.shadow == version else state.shadow
        return replace(_with(state, "promote", version, by), current=version, shadow=shadow)

    return _change(session, change)


def rollback(session: Session, by: str) -> State:
    """Let the version answer that did before the current one was promoted. Raises FoundError where there is none."""

    def change(state: State) -> State:
        if not state.earlier:
            raise FoundError("No version was current before this one; promote one (`./submit.sh models list`)")
        version = state.earlier[-1]
        shadow = None if state.shadow == version else state.shadow
        return replace(_with(state, "rollback", version, by), current=version, shadow=shadow)

    return _change(session, change)


def set_shadow(session: Session, version: str | None, by: str, default: str) -> State:
    """Let a version answer beside the current one, or none. Raises FoundError where it is the current one."""

    def change(state: State) -> State:
        if version is not None and version == (state.current or default):
            raise FoundError(f"Version {version[:12]} is the current one; it cannot shadow itself")
        if version == state.shadow:
            raise FoundError("That is so already; nothing was changed")
        return replace(_with(state, "shadow" if version else "unshadow", version or "", by), shadow=version)

    return _change(session, change)


def _with(state: State, action: Action, version: str, by: str) -> State:
    at = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return replace(state, history=(*state.history, Change(action, version, at, by)))


def _change(session: Session, change: Callable[[State], State]) -> State:
    before = read_state(session)
    after = replace(change(before), revision=before.revision + 1)
    history = orjson.dumps(list(after.history)).decode()
    values: tuple[Any, ...] = (after.revision, after.current, after.shadow, history, REGISTRY)
    statement = "UPDATE models SET revision = %s, current = %s, shadow = %s, history = %s WHERE registry = %s "
    try:
        # An UPDATE with `IF revision = null` creates the row, and only where nobody else has.
        applied = session.execute(statement + "IF revision = %s", (*values, before.revision or None)).was_applied
    except CASSANDRA_ERRORS as error:
        raise _failed(error) from error
    await_on_disk(session)
    if not applied:
        raise FoundError("Somebody else changed the registry at this moment; look (`models list`) and try again")
    return after


def _failed(error: Exception) -> ServiceError:
    return ServiceError(
        f"Cassandra does not take the registry's statement ({type(error).__name__}: {error}); try again, "
        "and see `models list` first: the change may have been made"
    )
