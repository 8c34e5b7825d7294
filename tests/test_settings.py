from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inkstream.errors import ServiceError, SettingError, SetupError
from inkstream.settings import SECRETS, Settings, home, load_settings


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file of the test's own, at first the shipped one, and an environment without any setting."""
    _clear(monkeypatch)
    path = tmp_path / "inkstream.toml"
    shutil.copy(home() / "conf" / "inkstream.toml", path)
    monkeypatch.setenv("INKSTREAM_CONF", str(path))
    monkeypatch.setenv("INKSTREAM_LOCAL__FOLDER", str(tmp_path / "var"))
    return path


def _clear(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.upper().startswith("INKSTREAM_") and name != "INKSTREAM_HOME":
            monkeypatch.delenv(name)


def _message(kind: type[Exception] = SettingError) -> str:
    with pytest.raises(kind) as caught:
        load_settings()
    return str(caught.value)


def _endpoints(conf: Path, text: str) -> Path:
    path = conf.parent / "var" / "services.json"
    path.parent.mkdir()
    path.write_text(text)
    return path


def test_the_shipped_file_says_what_the_defaults_say(conf: Path) -> None:
    shipped = load_settings()
    conf.write_text("")
    assert load_settings() == shipped


def test_the_shipped_file_names_every_setting_but_the_secrets(conf: Path) -> None:
    text = conf.read_text()
    for section, field in Settings.model_fields.items():
        named = text.split(f"[{section}]\n")[1].split("\n[")[0]
        keys = [line.partition(" = ")[0] for line in named.splitlines() if " = " in line and not line.startswith("#")]
        assert field.annotation is not None
        assert [*keys] == [key for key in field.annotation.model_fields if key not in SECRETS], section


def test_a_variable_wins_over_the_file(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_text("[kafka]\npartitions = 7\nretention_hours = 5\n")
    monkeypatch.setenv("INKSTREAM_KAFKA__PARTITIONS", "9")
    kafka = load_settings().kafka
    assert (kafka.partitions, kafka.retention_hours) == (9, 5)


def test_an_unknown_key_is_named_with_its_value(conf: Path) -> None:
    conf.write_text("[kafka]\npartition = 7\n")
    assert "kafka.partition is no setting (its value: 7)" in _message()


def test_a_wrong_value_is_named_with_its_key_and_with_what_would_be_right(conf: Path) -> None:
    conf.write_text('[kafka]\nsecurity_protocol = "TLS"\n')
    assert "kafka.security_protocol has the value 'TLS'" in _message()
    assert "SASL_SSL" in _message()


@pytest.mark.parametrize("name", ["INKSTREAM_KAFKA_PARTITIONS", "INKSTREAM_CAFFKA__PARTITIONS", "inkstream_nope__x"])
def test_a_variable_of_no_section_is_named(conf: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "7")
    assert name in _message()


def test_a_variable_for_a_whole_section_must_hold_json(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKSTREAM_KAFKA", "nine")
    assert "must hold JSON" in _message()


def test_broken_toml_names_the_file(conf: Path) -> None:
    conf.write_text("[kafka\n")
    assert str(conf) in _message()


def test_a_file_that_is_not_utf_8_names_the_file(conf: Path) -> None:
    conf.write_bytes(b"\xff")
    assert str(conf) in _message()


def test_a_missing_file_is_named(conf: Path) -> None:
    conf.unlink()
    assert str(conf) in _message()


def test_a_password_is_never_shown(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKSTREAM_KAFKA__PASSWORD", "hush")
    settings = load_settings()
    assert settings.kafka.password.get_secret_value() == "hush"
    assert "hush" not in repr(settings) + str(settings)


@pytest.mark.parametrize("key", ["pasword", "passwd", "Password"])
def test_a_mistyped_password_is_not_shown_either(conf: Path, key: str) -> None:
    conf.write_text(f'[cassandra]\n{key} = "hush"\n')
    assert "hush" not in _message()


def test_a_password_in_the_file_is_refused(conf: Path) -> None:
    conf.write_text('[cassandra]\npassword = "hush"\n')
    message = _message()
    assert "INKSTREAM_CASSANDRA__PASSWORD" in message
    assert "hush" not in message


def test_settings_cannot_be_changed(conf: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().kafka.partitions = 5


def test_blank_addresses_are_those_of_the_embedded_services(conf: Path) -> None:
    cassandra = {"contact_points": "127.0.0.1", "port": 4242}
    _endpoints(conf, json.dumps({"kafka": {"bootstrap_servers": "127.0.0.1:4141"}, "cassandra": cassandra}))
    settings = load_settings()
    assert settings.kafka.servers == "127.0.0.1:4141"
    assert (settings.cassandra.hosts, settings.cassandra.port) == (["127.0.0.1"], 4242)


def test_where_several_of_each_run_there_are_as_many_copies(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = {"bootstrap_servers": "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3", "replication_factor": 3}
    cassandra = {"contact_points": "127.0.0.1,127.0.0.2,127.0.0.3", "port": 4242, "replication_factor": 3}
    _endpoints(conf, json.dumps({"kafka": kafka, "cassandra": cassandra}))
    settings = load_settings()
    assert settings.kafka.addresses == [("127.0.0.1", 1), ("127.0.0.1", 2), ("127.0.0.1", 3)]
    assert settings.cassandra.hosts == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert (settings.kafka.replication_factor, settings.cassandra.replication_factor) == (3, 3)
    monkeypatch.setenv("INKSTREAM_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    assert load_settings().kafka.replication_factor == 1


def test_addresses_that_are_set_stay_whatever_runs_here(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _endpoints(conf, json.dumps({"kafka": {"bootstrap_servers": "127.0.0.1:4141"}}))
    monkeypatch.setenv("INKSTREAM_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    assert load_settings().kafka.servers == "broker:9092"


@pytest.mark.parametrize("text", ["", "[]", '{"kafka": {}}', '{"kafka": 3}', '{"cassandra": {"port": 1}}'])
def test_a_damaged_list_of_the_services_is_named(conf: Path, text: str) -> None:
    path = _endpoints(conf, text)
    assert str(path) in _message(SetupError)


def test_without_an_address_a_service_says_how_to_start_it(conf: Path) -> None:
    settings = load_settings()
    with pytest.raises(ServiceError, match=r"submit\.sh up.*kafka\.bootstrap_servers"):
        _ = settings.kafka.servers
    with pytest.raises(ServiceError, match=r"submit\.sh up.*cassandra\.contact_points"):
        _ = settings.cassandra.hosts


def test_several_contact_points_are_several_hosts(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKSTREAM_CASSANDRA__CONTACT_POINTS", "one, two,three")
    assert load_settings().cassandra.hosts == ["one", "two", "three"]


def test_each_topic_has_the_prefix(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKSTREAM_KAFKA__TOPIC_PREFIX", "mine.")
    kafka = load_settings().kafka
    assert [kafka.uploaded, kafka.predicted, kafka.rejected, kafka.corrected] == [
        "mine.images.uploaded",
        "mine.images.predicted",
        "mine.images.rejected",
        "mine.images.corrected",
    ]


def test_kafka_takes_a_mebibyte_more_than_a_picture_may_have(conf: Path) -> None:
    image = load_settings().image
    assert (image.max_image_bytes, image.max_message_bytes) == (10 << 20, 11 << 20)
    assert image.max_copy_bytes > image.max_message_bytes


def test_rows_that_would_go_before_their_messages_are_refused(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKSTREAM_CASSANDRA__KEEP_DAYS", "7")
    assert "cassandra.keep_days has the value 7" in _message()
    assert "168 hours (kafka.retention_hours)" in _message()
    monkeypatch.setenv("INKSTREAM_CASSANDRA__KEEP_DAYS", "8")
    assert load_settings().cassandra.keep_days == 8
