from __future__ import annotations

import zlib
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream import records
from inkstream.settings import home
from inkstream.times import UTC, rfc3339

RECEIVED = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
PLACE = ("images.uploaded", 2, 77, 1_700_000_000_123)


# --- when it was uploaded


@pytest.mark.parametrize(
    ("claimed", "moment"),
    [
        ("2026-02-28T23:59:59Z", datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)),
        ("2026-02-28t23:59:59z", datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)),
        ("2026-02-28 23:59:59Z", datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)),
        ("2026-02-28T23:59:59.5Z", datetime(2026, 2, 28, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("2026-02-28T23:59:59.12Z", datetime(2026, 2, 28, 23, 59, 59, 120_000, tzinfo=UTC)),
        ("2026-02-28T23:59:59.123Z", datetime(2026, 2, 28, 23, 59, 59, 123_000, tzinfo=UTC)),
        ("2026-02-28T23:59:59.1239Z", datetime(2026, 2, 28, 23, 59, 59, 123_000, tzinfo=UTC)),
        ("2026-02-28T23:59:59.123999999Z", datetime(2026, 2, 28, 23, 59, 59, 123_000, tzinfo=UTC)),
        ("2026-03-01T01:00:00+05:30", datetime(2026, 2, 28, 19, 30, tzinfo=UTC)),
        ("2026-02-28T10:00:00.25-08:00", datetime(2026, 2, 28, 18, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-02-28T10:00:00-00:00", datetime(2026, 2, 28, 10, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-03-01T12:04:59Z", datetime(2026, 3, 1, 12, 4, 59, tzinfo=UTC)),
    ],
)
def test_an_rfc_3339_time_is_when_the_picture_was_uploaded(claimed: str, moment: datetime) -> None:
    assert records.uploaded_at(claimed, RECEIVED) == moment


@pytest.mark.parametrize(
    "claimed",
    [
        None,
        "",
        "yesterday",
        "2026-02-28",
        "2026-02-28T10:00Z",
        "2026-02-28T10:00:00",
        "20260228T100000Z",
        "2026-W09-6T10:00:00Z",
        "2026-02-28T10:00:00,5Z",
        "2026-02-28T10:00:00.Z",
        "2026-02-28T10:00:00+0100",
        "2026-02-28T10:00:00+01",
        "2026-02-28T10:00:00+24:00",
        "2026-02-28T10:00:00+01:60",
        "2026-02-30T10:00:00Z",
        "2026-02-28T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.000Z",
        "2026-02-30T10:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "٢٠٢٦-02-28T10:00:00.000Z",
        "2026-02-28T10:00:00Z\n",
        "٢٠٢٦-02-28T10:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "1969-12-31T23:59:59Z",
        "2026-03-01T12:05:01Z",
        "2027-01-01T00:00:00Z",
    ],
)
def test_anything_else_or_the_future_leaves_the_time_of_the_broker(claimed: str | None) -> None:
    assert records.uploaded_at(claimed, RECEIVED) == RECEIVED


def test_the_time_of_the_broker_is_cut_to_milliseconds_too() -> None:
    received = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
    assert records.uploaded_at(None, received).microsecond == 123_000


@given(st.text())
def test_no_header_whatever_raises(claimed: str) -> None:
    assert records.uploaded_at(claimed, RECEIVED).tzinfo is not None


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2026, 2, 1)),
    st.integers(-23 * 60, 23 * 60),
)
def test_what_python_writes_is_read_back(moment: datetime, offset_minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    read = records.uploaded_at(local.isoformat(), RECEIVED)
    assert timedelta(0) <= local - read < timedelta(milliseconds=1)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2026, 2, 1)))
def test_what_is_written_here_is_read_back(moment: datetime) -> None:
    written = rfc3339(moment.replace(tzinfo=UTC))
    assert rfc3339(records.uploaded_at(written, RECEIVED)) == written


# --- identity


@pytest.mark.parametrize("key", [b"a", b"A-z_0.9:x", b"x" * 128, b"kafka", b"xkafka:1"])
def test_a_valid_key_is_the_id(key: bytes) -> None:
    assert records.image_id(key, *PLACE) == key.decode()


@pytest.mark.parametrize("key", [None, b"", b"x" * 129, b"a b", b"a/b", b"a\n", b"kafka:1", "é".encode(), b"\xff"])
def test_without_a_valid_key_the_id_is_the_place_in_kafka(key: bytes | None) -> None:
    assert records.image_id(key, *PLACE) == "kafka:images.uploaded:2:77:1700000000123"


def test_a_later_offset_within_a_millisecond_and_a_later_millisecond_both_win() -> None:
    assert records.write_time_us(1_700_000_000_123, 41) == 1_700_000_000_123_041
    assert records.write_time_us(5, 41) < records.write_time_us(5, 42) < records.write_time_us(6, 0)
    assert records.write_time_us(5, 999) < records.write_time_us(6, 1000)


def test_day_and_bucket_are_those_of_utc() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert records.day_of(late) == "2026-03-02"
    assert records.bucket_of(late, "some id") == 4 * 16 + zlib.crc32(b"some id") % 16


@given(st.datetimes(timezones=st.just(UTC)), st.text(min_size=1))
def test_a_bucket_is_one_of_those_of_its_hour(moment: datetime, id_: str) -> None:
    assert records.bucket_of(moment, id_) // 16 == moment.hour
    assert 0 <= records.bucket_of(moment, id_) < records.BUCKETS_A_DAY == 384


# --- numbers and answers


@given(st.floats(0, 1, width=32))
def test_a_confidence_is_printed_as_the_shortest_text_that_reads_back(value: float) -> None:
    printed = repr(records.shortest_float32(value))
    assert np.float32(printed) == np.float32(value)
    assert len(printed) <= len(repr(value))


def test_a_confidence_has_no_tail_of_a_double() -> None:
    assert str(records.shortest_float32(float(np.float32(0.98)))) == "0.98"


def test_probabilities_keep_the_order_of_the_labels() -> None:
    values = np.array([[0.1, 0.7, 0.2], [1.0, 0.0, 0.0]], np.float32)
    first, second = records.top_probabilities(["c", "a", "b"], values)
    assert list(first.items()) == [("c", 0.1), ("a", 0.7), ("b", 0.2)]
    assert second == {"c": 1.0, "a": 0.0, "b": 0.0}


def test_of_many_probabilities_the_ten_largest_are_kept_in_the_order_of_the_labels() -> None:
    values = np.array([[0.0, 0.3, *[0.05] * 9, 0.25], [0.9, *[0.01] * 10, 0.0]], np.float32)
    first, second = records.top_probabilities([str(n) for n in range(12)], values)
    assert first == {"1": 0.3, **{str(n): 0.05 for n in range(2, 10)}, "11": 0.25}
    assert list(second) == [str(n) for n in range(10)]


def test_an_answer_is_read_back_as_it_was_written() -> None:
    answer = {"id": "a", "label": "7", "confidence": 0.98, "probabilities": {"7": 0.98}, "why": None}
    assert records.decode_answer(records.encode_answer(answer)) == answer


def test_numpy_numbers_in_an_answer_become_json_numbers() -> None:
    written = records.encode_answer({"confidence": np.float32(0.98), "width": np.int64(3)})
    assert written == b'{"confidence":0.98,"width":3}'


# --- tables


def test_the_schema_has_the_columns_of_the_records_in_their_order() -> None:
    from inkstream.store.schema import read_migrations

    migrations = read_migrations((home() / "conf" / "schema.cql").read_text())
    assert _tables([statement for _, statements in migrations for statement in statements]) == {
        name: list(columns.items()) for name, columns in records.TABLES.items()
    }


def _tables(statements: list[str]) -> dict[str, list[tuple[str, str]]]:
    """CREATE TABLE statements to table -> [(column, type)]."""
    tables = {}
    for statement in statements:
        head, _, rest = statement.partition("(\n")
        body = rest[: rest.index("\n)")]
        lines = [line.strip().rstrip(",") for line in body.splitlines()]
        columns = [line.removesuffix(" PRIMARY KEY").partition(" ") for line in lines if not line.startswith("PRIMARY")]
        tables[head.split()[-1]] = [(name.strip('"'), type_) for name, _, type_ in columns]
    return tables


def test_the_share_of_ink_is_the_mean_of_what_the_model_saw() -> None:
    prepared = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    assert records.ink_shares(prepared) == [float(one.mean()) / 255.0 for one in prepared]
    assert records.ink_shares(np.full((1, 28, 28), 255, np.uint8)) == [1.0]
