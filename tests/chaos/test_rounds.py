"""The short form of `./submit.sh chaos`: one strike at a real stream under load."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest
from tests.stream.conftest import Pipeline

from inkstream.chaos.rounds import Outcome, Round, kind_of, last_flight, run_rounds
from inkstream.chaos.strikes import POISONED, STRIKES, Arena, possible_kinds
from inkstream.chaos.victim import Flight, Victim
from inkstream.cli.chaos import _table
from inkstream.local.services import RunningServices
from inkstream.settings import Settings
from inkstream.stream.verify import verify


@pytest.mark.services
def test_a_driver_killed_under_load_loses_and_doubles_nothing(pipeline: Pipeline, folder: Path) -> None:
    local = pipeline.settings.local.model_copy(update={"folder": str(folder)})
    settings = pipeline.settings.model_copy(update={"local": local})
    arena = Arena(Victim(settings, folder), RunningServices(settings), random.Random(1))
    check = partial(verify, pipeline.spark, pipeline.session, settings, 10)
    outcome = run_rounds(arena, check, rounds=1, rate=10, seed=1, kinds=("driver killed",))
    assert outcome.passed
    [struck, final] = outcome.rounds
    assert struck.restarted
    assert struck.again == struck.uncommitted > 0
    assert final.kind == "at the end"
    assert outcome.acknowledged > 0


def test_each_kind_comes_once_before_any_comes_again() -> None:
    kinds = tuple(STRIKES)
    for seed in (1, 2):
        for turn in range(3):
            order = [kind_of(kinds, turn * len(kinds) + place + 1, seed) for place in range(len(kinds))]
            assert sorted(order) == sorted(kinds)
    assert [kind_of(kinds, n, 1) for n in range(1, 9)] == [kind_of(kinds, n, 1) for n in range(1, 9)]


def test_what_is_not_there_is_not_struck(folder: Path) -> None:
    settings = Settings()
    bare = Arena(Victim(settings, folder), RunningServices(settings), random.Random(1))
    always = ["driver killed", "driver frozen", "Python worker killed", "offset log cut", "commit lost"]
    assert possible_kinds(bare) == always
    bare.victim.settings = settings.model_copy(update={"image": POISONED})
    assert possible_kinds(bare) == [*always, "poison picture"]
    assert all(STRIKES[name].without for name in set(STRIKES) - set(always))


def test_a_task_that_was_tried_again_is_read_from_the_streams_log(folder: Path) -> None:
    victim = Victim(Settings(), folder)
    victim.log_file.parent.mkdir()
    victim.log_file.write_text("12:00:00 WARN TaskSetManager: Lost task 0.0 in stage 1.0\n")
    assert victim.tried_again(0)
    assert not victim.tried_again(victim.log_file.stat().st_size)


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
    assert last_flight(victim, Flight(0, {0: (0, 5)})) == flight
    (victim.checkpoint / "offsets" / "1").write_text('v1\n{}\n{"t":{"0"')
    assert last_flight(victim, flight) == flight


def test_a_report_fails_where_anything_is_missing() -> None:
    fine = Round(1, "driver killed", 3, 100)
    bad = Round(2, "driver killed", 4, 100, found={"lost": 1, "doubled": 0, "orphan": 0, "wrong": 0})
    assert Outcome(1, [fine], 10, 10, []).passed
    assert not Outcome(1, [fine], 10, 10, ["chaos-1"]).passed
    assert not Outcome(1, [fine, bad], 10, 10, []).passed
    assert _table(Outcome(1, [fine, bad], 10, 10, [])).row_count == 2
