from __future__ import annotations

import pytest

from inkstream.gateway.pages.words import REASON_WORDS, describe, percent
from inkstream.records import REASON_CODES


def test_a_recognised_digit_is_said_plainly() -> None:
    words = describe("recognised", "8", 0.9996)
    assert (words.headline, words.detail) == ("It is an 8.", "The model is 99.9 % sure.")


def test_an_uncertain_digit_names_the_other_that_it_could_be() -> None:
    words = describe("uncertain", "4", 0.6, {"4": 0.6, "9": 0.31, "7": 0.09})
    assert words.headline == "Perhaps a 4: please look."
    assert words.detail == "The model is only 60.0 % sure. It could also be a 9 (31.0 %)."
    assert words.short.split(" ") == ["unsure,", "60.0\u00a0%"]  # a narrow tile breaks it there alone
    assert "also" not in describe("uncertain", "4", 0.6, {"4": 0.6, "9": 0.09}).detail


@pytest.mark.parametrize("code", REASON_CODES)
def test_every_reason_has_a_headline_and_something_to_do(code: str) -> None:
    words = describe("rejected", None, None, None, code, "What the worker said.")
    assert (words.headline, words.tip) == REASON_WORDS[code]
    assert words.detail == "What the worker said."


def test_a_sheet_with_many_digits_gets_a_plain_answer_why_not() -> None:
    words = describe(
        "rejected", None, None, None, "several_digits", "There are 12 digits or more; upload them one by one."
    )
    assert words.headline == "There is more than one digit."
    assert "one digit per picture" in words.tip


def test_a_reason_of_another_version_is_no_error() -> None:
    assert describe("rejected", None, None, None, "from_the_future", None).headline == "This picture could not be read."


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100.0 %"), (0.99996, "99.9 %"), (0.29, "29.0 %"), (0.0004, "< 0.1 %"), (0.0, "0.0 %")]
)
def test_a_share_is_never_rounded_to_more_than_it_is(share: float, text: str) -> None:
    assert percent(share) == text
