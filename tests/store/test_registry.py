from __future__ import annotations

from collections.abc import Iterator

import pytest
from cassandra.cluster import Session

from inkstream.errors import FoundError
from inkstream.settings import Settings
from inkstream.store.registry import promote, read_state, rollback, set_shadow
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session

pytestmark = pytest.mark.services

SHIPPED, SECOND, THIRD = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    apply_schema(settings)
    with open_session(settings.cassandra) as session:
        yield session


def test_a_registry_is_empty_until_something_is_promoted_and_goes_back_step_by_step(session: Session) -> None:
    assert read_state(session).current is None

    promote(session, SECOND, "ada", SHIPPED)
    promote(session, THIRD, "bob", SHIPPED)
    assert read_state(session).current == THIRD
    assert [change.version for change in read_state(session).history] == [SHIPPED, SECOND, THIRD]

    assert rollback(session, "ada").current == SECOND
    assert rollback(session, "ada").current == SHIPPED
    with pytest.raises(FoundError, match="No version was current before"):
        rollback(session, "ada")
    assert read_state(session).current == SHIPPED
    assert read_state(session).revision == 4


def test_what_is_promoted_after_a_rollback_goes_back_to_where_that_went(session: Session) -> None:
    promote(session, SECOND, "", SHIPPED)
    rollback(session, "")
    promote(session, THIRD, "", SHIPPED)
    assert rollback(session, "").current == SHIPPED


def test_a_shadow_that_is_promoted_no_longer_shadows(session: Session) -> None:
    set_shadow(session, SECOND, "", SHIPPED)
    assert (read_state(session).current, read_state(session).shadow) == (None, SECOND)
    promote(session, SECOND, "", SHIPPED)
    assert (read_state(session).current, read_state(session).shadow) == (SECOND, None)
    with pytest.raises(FoundError, match="cannot shadow itself"):
        set_shadow(session, SECOND, "", SHIPPED)


def test_of_two_changes_at_once_one_is_told(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_state(session)
    promote(session, SECOND, "first", SHIPPED)
    monkeypatch.setattr("inkstream.store.registry.read_state", lambda _: before)  # what the second one read, earlier
    with pytest.raises(FoundError, match="Somebody else"):
        promote(session, THIRD, "second", SHIPPED)
    monkeypatch.undo()
    assert read_state(session).current == SECOND
