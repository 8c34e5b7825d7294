from __future__ import annotations

import pytest
from pydantic import SecretStr

from inkstream.errors import SettingError
from inkstream.settings import KafkaSettings, StreamSettings
from inkstream.stream.source import kafka_options, source_options, start_at


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_named_start_is_handed_through(start: str) -> None:
    assert start_at(start) == {"startingOffsets": start}


def test_a_time_becomes_milliseconds() -> None:
    assert start_at("2026-01-31T08:00:00Z")["startingTimestamp"] == "1769846400000"
    assert start_at("2026-01-31T09:00:00+01:00")["startingTimestamp"] == "1769846400000"


def test_a_time_without_a_zone_is_utc() -> None:
    assert start_at("2026-01-31T08:00:00")["startingTimestamp"] == "1769846400000"


def test_a_wrong_start_is_named() -> None:
    with pytest.raises(SettingError, match=r"--from has the value 'yesterday'.*earliest, latest"):
        start_at("yesterday")


def test_lost_offsets_end_the_stream_unless_the_setting_says_otherwise() -> None:
    assert source_options(KafkaSettings(), StreamSettings())["failOnDataLoss"] == "true"
    assert source_options(KafkaSettings(), StreamSettings(on_data_loss="continue"))["failOnDataLoss"] == "false"


def test_a_password_with_quotes_stays_one_value() -> None:
    kafka = KafkaSettings(
        bootstrap_servers="b:9092", security_protocol="SASL_SSL", username="ink", password=SecretStr('a"b\\c')
    )
    assert kafka_options(kafka)["kafka.sasl.jaas.config"].endswith('username="ink" password="a\\"b\\\\c";')
