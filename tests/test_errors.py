from __future__ import annotations

import re

from inkstream import errors


def kinds() -> list[type[errors.InkstreamError]]:
    """The tree's own classes, whatever else a test of this run has imported."""
    return [error for error in errors.InkstreamError.__subclasses__() if error.__module__ == errors.__name__]


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    told = {name: int(status) for name, status in re.findall(r"- (\w+Error) +(\d)", errors.__doc__ or "")}
    assert told == {error.__name__: error.exit_status for error in kinds()}


def test_only_a_service_is_worth_another_try() -> None:
    retriable = {error for error in kinds() if error.retriable}
    assert retriable == {errors.ServiceError}


def test_a_rejection_has_a_code_and_a_sentence_and_is_no_error_of_ours() -> None:
    rejected = errors.Rejected("blank", "nothing is drawn on it")
    assert (rejected.code, rejected.reason, str(rejected)) == ("blank", "nothing is drawn on it", rejected.reason)
    assert not isinstance(rejected, errors.InkstreamError)
