"""The short form of `./submit.sh chaos`: one strike at a real stream under load."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import SettingsFactory

from inkstream.chaos.rounds import Outcome, Round, kind_of, run_rounds
from inkstream.chaos.strikes import STRIKES
from inkstream.chaos.victim import Flight, Victim
from inkstream.cli.chaos import _table
from inkstream.settings import Settings
from inkstream.store.schema import apply_schema
from inkstream.store.topics import create_topics


@pytest.mark.services
def test_a_driver_killed_under_load_loses_and_doubles_nothing(services: SettingsFactory, folder: Path) -> None:
    settings = services()
    create_topics(settings)
    apply_schema(settings)
    local = settings.local.model_copy(update={"folder": str(folder)})
    outcome = run_rounds(
        settings.model_copy(update={"local": local}),
        folder,
        brokers=(),
        nodes=(),
        rounds=1,
        rate=10,
        seed=1,
        kinds=("driver killed",),
    )
    assert outcome.passed
    [struck, final] = outcome.rounds
    assert struck.uncommitted > 0
    assert struck.restarted
    assert final.kind == "at the end"
    assert outcome.acknowledged > 0


def test_each_kind_comes_once_before_any_comes_again() -> None:
    kinds = tuple(STRIKES)
    for seed in (1, 2):
        for turn in range(3):
            order = [kind_of(kinds, turn * len(kinds) + place + 1, seed) for place in range(len(kinds))]
            assert sorted(order) == sorted(kinds)
    assert [kind_of(kinds, n, 1) for n in range(1, 9)] == [kind_of(kinds, n, 1) for n in range(1, 9)]


def test_what_is_under_way_is_read_from_the_checkpoint(folder: Path) -> None:
    victim = Victim(Settings(), folder)
    assert victim.flight() is None
    for name in ("offsets", "commits"):
        (victim.checkpoint / name).mkdir(parents=True)
    (victim.checkpoint / "offsets" / "0").write_text('v1\n{}\n{"t":{"0":5,"1":2}}\n')
    assert victim.flight() == Flight(0, {0: (0, 5), 1: (0, 2)})
    (victim.checkpoint / "commits" / "0").write_text("v1\n{}\n")
    assert victim.flight() is None
    assert victim.done_until() == {0: 5, 1: 2}
    (victim.checkpoint / "offsets" / "1").write_text('v1\n{}\n{"t":{"0":9,"1":2}}\n')
    flight = victim.flight()
    assert flight == Flight(1, {0: (5, 9)})
    assert flight.uncommitted == 4


def test_a_report_fails_where_anything_is_missing() -> None:
    fine = Round(1, "driver killed", 3, 100)
    bad = Round(2, "driver killed", 4, 100, found={"lost": 1, "doubled": 0, "orphan": 0, "wrong": 0})
    assert Outcome(1, [fine], 10, 10, []).passed
    assert not Outcome(1, [fine], 10, 10, ["chaos-1"]).passed
    assert not Outcome(1, [fine, bad], 10, 10, []).passed
    assert _table(Outcome(1, [fine, bad], 10, 10, [])).row_count == 2
