"""A sample's name carries the truth; a verdict is what its answer is worth; the sums count every answered card once."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from inkstream.demo.cards import FIRST_KIND, Card, Sample, build_cards, sample_of, summarise, verdict_on, warm_up
from inkstream.image.samples import sample_files


def answer(
    outcome: str, label: str | None = None, code: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    return {"outcome": outcome, "label": label, "reason_code": code, "reason": reason, "confidence": 0.5}


def card(name: str, truth: str | None, answered: dict[str, Any] | None, seconds: float = 0.0) -> Card:
    sample = Sample(name, name.partition("_")[0], truth, b"bytes")
    sent = datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    at = sent.timestamp() + seconds if answered else None
    return Card(sample, sample.image_id, uploaded_at=sent, answered_at=at, answer=answered)


@pytest.mark.parametrize(
    ("name", "kind", "truth"),
    [("photo_06_0.jpg", "photo", "0"), ("clean_10_9.png", "clean", "9"), ("broken_zip_named_png.png", "broken", None)],
)
def test_the_name_tells_kind_and_truth(tmp_path: Path, name: str, kind: str, truth: str | None) -> None:
    (tmp_path / name).write_bytes(b"x")
    sample = sample_of(tmp_path / name)
    assert (sample.name, sample.kind, sample.truth, sample.content) == (name, kind, truth, b"x")


@pytest.mark.parametrize(
    ("truth", "answered", "verdict", "expected"),
    [
        ("7", answer("recognised", "7"), "right", True),
        ("7", answer("recognised", "1"), "wrong", False),
        ("7", answer("uncertain", "7"), "uncertain", False),
        ("7", answer("rejected", code="blank"), "rejected", False),
        (None, answer("rejected", code="blank"), "rejected", True),
        (None, answer("recognised", "7"), "wrong", False),
        (None, answer("uncertain", "7"), "uncertain", False),
    ],
)
def test_a_verdict_holds_the_answer_against_the_truth(
    truth: str | None, answered: dict[str, Any], verdict: str, expected: bool
) -> None:
    assert verdict_on(truth, answered) == verdict
    assert card("clean_01_7.png", truth, answered).as_expected is expected


def test_every_sample_has_a_card_and_the_kinds_take_turns() -> None:
    cards = build_cards()
    assert sorted(card.sample.name for card in cards) == sorted(path.name for path in sample_files())
    assert cards[0].sample.kind == FIRST_KIND
    kinds = {card.sample.kind for card in cards}
    assert sorted(card.sample.kind for card in warm_up(cards)) == sorted(kinds)
    assert len(warm_up(cards[:3])) == 3


def test_the_ids_are_those_of_the_package_wherever_it_lies(tmp_path: Path) -> None:
    elsewhere = []
    for path in sample_files():
        (tmp_path / path.name).write_bytes(path.read_bytes())
        elsewhere.append(tmp_path / path.name)
    ids = [card.image_id for card in build_cards()]
    assert [card.image_id for card in build_cards(elsewhere)] == ids
    assert len(set(ids)) == len(ids)


def test_the_sums_count_kinds_and_reasons_and_leave_the_times_of_the_warm_up_out() -> None:
    blank = answer("rejected", code="blank", reason="Nothing is drawn on it.")
    summary = summarise(
        [
            card("clean_01_7.png", "7", answer("recognised", "7"), 9.0),
            card("clean_02_1.png", "1", answer("recognised", "7"), 0.2),
            card("photo_01_5.jpg", "5", answer("uncertain", "5"), 0.4),
            card("broken_a.png", None, blank, 0.6),
            card("broken_b.png", None, blank, 0.4),
            card("broken_c.png", None, answer("rejected", code="unreadable"), 0.1),
            card("photo_02_5.jpg", "5", None),
        ]
    )
    assert summary.kinds == {
        "broken": {"right": 0, "uncertain": 0, "wrong": 0, "rejected": 3},
        "clean": {"right": 1, "uncertain": 0, "wrong": 1, "rejected": 0},
        "photo": {"right": 0, "uncertain": 1, "wrong": 0, "rejected": 0},
    }
    assert summary.reasons == {
        "blank": {"Nothing is drawn on it.": ["broken_a.png", "broken_b.png"]},
        "unreadable": {"the file is damaged, cut short or empty": ["broken_c.png"]},
    }
    assert summary.usual_seconds == pytest.approx(0.4, abs=1e-6)
    assert [summary.total(name) for name in ("right", "uncertain", "wrong", "rejected")] == [1, 1, 1, 3]
