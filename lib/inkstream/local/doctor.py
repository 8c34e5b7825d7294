"""Settings in, findings about this installation out; each says what to do. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from inkstream.errors import InkstreamError
from inkstream.settings import Settings

State = Literal["fine", "warning", "wrong"]
FINE: State = "fine"
WARNING: State = "warning"
WRONG: State = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. advice: what to do about it; blank where nothing is to be done."""

    check: str
    state: State
    about: str
    advice: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def checks() -> dict[str, Check]:
    """Every check by its name, in the order in which they are shown: the machine, the files, then the services."""
    from inkstream.local import file_checks, machine_checks, service_checks

    return {**machine_checks.CHECKS, **file_checks.CHECKS, **service_checks.CHECKS}


def examine(settings: Settings, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Finding]:
    """Yield the findings of each check; one that cannot be made is itself a finding."""
    for name, check in checks().items():
        if not wanted(name):
            continue
        try:
            yield from check(settings)
        except InkstreamError as error:
            yield Finding(name, WRONG, str(error), "see the sentence itself")
        except Exception as error:
            yield Finding(name, WRONG, f"the check itself failed: {type(error).__name__}: {error}", "report it")
