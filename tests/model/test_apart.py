"""Limited child processes: what crashes, hangs or bloats costs its own picture, and the others get their answers."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from inkstream.errors import Rejected
from inkstream.model.apart import prepare_apart
from inkstream.settings import ImageSettings

LIMITS = ImageSettings(decode_limit_s=3.0, decode_memory_mb=256)


def prepare(picture: str) -> str:
    if picture == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if picture == "hang":
        time.sleep(60)
    if picture == "bloat":
        return str(np.ones(2**30, np.uint8).sum())
    return picture.upper()


@pytest.mark.parametrize(
    ("poison", "said"),
    [("crash", "SIGKILL"), ("hang", "longer than 3 s"), ("bloat", "exit status 1; it may take 256 MB")],
)
def test_a_poison_picture_costs_no_other(poison: str, said: str) -> None:
    first, failed, *others = prepare_apart(prepare, ["a", poison, "b", "c"], LIMITS)
    assert [first, *others] == ["A", "B", "C"]
    assert isinstance(failed, Rejected)
    assert failed.code == "decode_failed"
    assert said in failed.reason


def test_poison_at_both_ends_and_nothing_at_all() -> None:
    made = list(prepare_apart(prepare, ["crash", "a", "crash"], LIMITS))
    assert [one.code if isinstance(one, Rejected) else one for one in made] == ["decode_failed", "A", "decode_failed"]
    assert list(prepare_apart(prepare, [], LIMITS)) == []


def test_no_child_outlives_the_reading() -> None:
    readings = prepare_apart(lambda _: os.getpid(), ["a", "b"], LIMITS)
    child = next(readings)
    assert child != os.getpid()
    readings.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(child)), 0)
