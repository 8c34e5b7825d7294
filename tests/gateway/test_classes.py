from __future__ import annotations

from inkstream.gateway.classes import (
    LESSON_S,
    Pupil,
    link_holds,
    new_pupil,
    pupil_of,
    read_pupil,
    sign_link,
    sign_pupil,
)

SECRET = b"of the server"
OTTER = Pupil("3b", "brave-otter-4f")


def test_a_link_lets_into_its_own_class_for_a_school_day() -> None:
    key = sign_link(SECRET, "3b", now=1000)
    assert link_holds(SECRET, "3b", key, now=1000 + LESSON_S - 1)
    assert not link_holds(SECRET, "3b", key, now=1000 + LESSON_S)
    assert not link_holds(SECRET, "4a", key, now=1000)
    assert not link_holds(b"of another server", "3b", key, now=1000)


def test_a_link_that_was_made_up_lets_nobody_in() -> None:
    until, _, signature = sign_link(SECRET, "3b", now=1000).partition(".")
    later = f"{int(until) + 1}.{signature}"
    for key in ("", ".", "x", f"{until}.", signature, later, f"{until}.ä", f"²{until}.{signature}", "9" * 5000):
        assert not link_holds(SECRET, "3b", key, now=1000), key


def test_a_cookie_brings_its_pupil_back_until_it_is_too_old() -> None:
    cookie = sign_pupil(SECRET, OTTER, now=1000)
    assert read_pupil(SECRET, cookie, now=1000) == OTTER
    assert read_pupil(SECRET, cookie, now=1000 + LESSON_S) is None
    assert read_pupil(b"of another server", cookie, now=1000) is None


def test_nobody_becomes_another_pupil_by_writing_their_own_cookie() -> None:
    name, pupil, until, signature = sign_pupil(SECRET, OTTER, now=1000).split(".")
    for cookie in (
        None,
        "",
        "....",
        f"4a.{pupil}.{until}.{signature}",
        f"{name}.calm-cat-00.{until}.{signature}",
        f"{name}.{pupil}.{int(until) + 1}.{signature}",
        f"{name}.{pupil}.{until}.",
        f"{name}.{pupil}.{until}.ä",
        f"{name}.{pupil}.{'9' * 5000}.{signature}",
        sign_link(SECRET, "3b", now=1000),
    ):
        assert read_pupil(SECRET, cookie, now=1000) is None, cookie


def test_a_source_tells_the_pupil_to_its_own_class_only() -> None:
    assert pupil_of(OTTER.source, "3b") == "brave-otter-4f"
    assert pupil_of(OTTER.source, "3") is None
    assert pupil_of("demo", "3b") is None
    assert pupil_of(None, "3b") is None


def test_pupils_of_a_class_have_different_names() -> None:
    assert len({new_pupil("3b").name for _ in range(40)}) == 40
