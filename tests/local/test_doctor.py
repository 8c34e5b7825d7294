"""Each check is seen to pass, and then to name what the test has broken."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from tests.conftest import in_section

from inkstream.cli.main import main
from inkstream.local import file_checks, java, machine_checks, service_checks
from inkstream.local.doctor import FINE, WARNING, WRONG, Finding, State, checks, examine
from inkstream.local.jars import ensure_jars, jars_folder
from inkstream.model.bundle import shipped_bundle
from inkstream.settings import Settings, load_settings
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics, open_admin


def findings(settings: Settings, check: str) -> dict[State, list[Finding]]:
    found = list(examine(settings, lambda name: name == check))
    return {state: [finding for finding in found if finding.state == state] for state in (FINE, WARNING, WRONG)}


def the_fault(settings: Settings, check: str, state: State = WRONG) -> str:
    """What the one finding of that state says; it comes with advice."""
    [finding] = findings(settings, check)[state]
    assert finding.advice
    return finding.about


@pytest.fixture
def local(folder: Path) -> Settings:
    return in_section(load_settings(), "local", folder=str(folder))


@pytest.mark.parametrize("check", ["python", "java", "packages", "disk", "ports", "model", "checkpoint", "secrets"])
def test_a_sound_machine_is_fine(local: Settings, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "LEAST_DISK", 0)
    monkeypatch.setattr(machine_checks, "SCARCE_DISK", 0)
    found = findings(local, check)
    assert (found[WRONG], found[WARNING]) == ([], [])
    assert found[FINE]


def test_another_python_is_named(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks.sys, "version_info", (3, 13, 1))
    assert "Python 3.13.1" in the_fault(local, "python")


def test_a_java_that_is_none_is_named(local: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(java, "_wheel_home", lambda: None)
    assert "Java 17" in the_fault(local, "java")


def test_a_package_of_another_version_is_named(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    version = machine_checks.version
    monkeypatch.setattr(machine_checks, "version", lambda name: "0.1" if name == "numpy" else version(name))
    assert "numpy is 0.1, locked is " in the_fault(local, "packages")


def test_too_little_memory_is_named(local: Settings) -> None:
    assert " needed" in the_fault(in_section(local, "spark", driver_memory="99t"), "memory", WARNING)
    roomy = in_section(local, "spark", driver_memory="1k")
    assert not findings(roomy, "memory")[WRONG]


def test_a_disk_that_is_nearly_full_is_named(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "SCARCE_DISK", 1 << 80)
    assert str(local.local.path) in the_fault(local, "disk", WARNING)
    monkeypatch.setattr(machine_checks, "LEAST_DISK", 1 << 80)
    assert "GiB free" in the_fault(local, "disk")


def test_a_port_that_another_program_has_is_named(local: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} (local.kafka_port)" in the_fault(in_section(local, "local", kafka_port=port), "ports")


def test_a_damaged_jar_is_named(local: Settings) -> None:
    jars = local.local.path / "jars"
    jars.unlink()
    ensure_jars(load_settings(), "spark")
    source = jars_folder(load_settings(), "spark")
    kept = sorted(source.glob("*.jar"), key=lambda path: path.stat().st_size)[0]
    (jars / "spark").mkdir(parents=True)
    damaged = jars / "spark" / kept.name
    damaged.write_bytes(kept.read_bytes() + b"!")
    found = findings(local, "jars")
    assert [damaged.name in finding.about for finding in found[WRONG]] == [True]
    shutil.copy(kept, damaged)
    found = findings(local, "jars")
    assert found[WRONG] == []
    assert all("not fetched yet" in finding.about for finding in found[WARNING])


def test_a_damaged_model_is_named(local: Settings, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shipped_bundle(), tmp_path / "copy"))
    content = bytearray((copy / "model.tflite").read_bytes())
    content[1000] ^= 1
    (copy / "model.tflite").write_bytes(content)
    assert "model.tflite is damaged" in the_fault(in_section(local, "model", bundle=str(copy)), "model")


BATCH = 'v1\n{"batchWatermarkMs":0}\n{"images.uploaded":{"0":3}}\n'


@pytest.fixture
def checkpoint(local: Settings) -> Path:
    place = local.local.path / "checkpoints" / "predict_stream"
    for name, count in (("offsets", 5), ("commits", 4)):
        (place / name).mkdir(parents=True)
        for number in range(count):
            (place / name / str(number)).write_text(BATCH)
    (place / "metadata").write_text('{"id":"x"}')
    return place


def test_a_sound_checkpoint_is_fine(local: Settings, checkpoint: Path) -> None:
    assert "batches 0-4, without a gap" in findings(local, "checkpoint")[FINE][0].about


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda place: (place / "offsets" / "2").unlink(), "offsets lacks batch 2"),
        (lambda place: (place / "commits" / "1").unlink(), "commits lacks batch 1"),
        (lambda place: (place / "commits" / "3").unlink(), "batches from 3 to 4 were begun"),
        (lambda place: (place / "offsets" / "4").write_text(""), "does not begin with v1"),
        (lambda place: (place / "offsets" / "4").write_text(BATCH[:40]), "offsets/4 is broken"),
        (lambda place: (place / "offsets" / "4").write_text("v1\n"), "cut short"),
        (lambda place: (place / "metadata").write_text("{"), "metadata is broken"),
        (lambda place: shutil.copy(place / "commits" / "1", place / "commits" / "5"), "commits lacks batch 4"),
    ],
)
def test_a_checkpoint_that_spark_could_not_go_on_from_is_named(
    local: Settings, checkpoint: Path, damage: Any, said: str
) -> None:
    damage(checkpoint)
    assert said in the_fault(local, "checkpoint")


def test_a_secret_that_others_can_read_is_named(local: Settings) -> None:
    secret = local.local.path / "secrets" / "kafka.key"
    secret.parent.mkdir()
    secret.write_text("secret")
    secret.chmod(0o644)
    assert str(secret) in the_fault(local, "secrets")
    secret.chmod(0o600)
    assert findings(local, "secrets")[WRONG] == []
    assert "/no/ca.pem" in the_fault(in_section(local, "kafka", ca_file="/no/ca.pem"), "secrets")


@pytest.mark.services
def test_services_that_do_not_answer_are_named(settings: Settings) -> None:
    assert "127.0.0.1:9" in the_fault(in_section(settings, "cassandra", port=9), "cassandra")
    assert "127.0.0.1:9" in the_fault(in_section(settings, "kafka", bootstrap_servers="127.0.0.1:9"), "kafka")


@pytest.mark.services
def test_topics_that_are_not_as_the_settings_want_them_are_named(settings: Settings) -> None:
    assert f"topic {settings.kafka.uploaded} does not exist" in the_fault(settings, "kafka")
    create_topics(settings)
    for _ in range(100):  # a broker learns of new topics a moment after the controller has acknowledged them
        if not findings(settings, "kafka")[WRONG]:
            break
        time.sleep(0.1)
    assert findings(settings, "kafka")[WRONG] == []
    assert "has 4 partitions, kafka.partitions is 9" in the_fault(in_section(settings, "kafka", partitions=9), "kafka")
    with open_admin(settings.kafka) as admin:
        small = {"max.message.bytes": "1000"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.kafka.uploaded, configs=small)])
    for _ in range(100):
        if findings(settings, "kafka")[WRONG]:
            break
        time.sleep(0.1)
    assert "max.message.bytes is 1000" in the_fault(settings, "kafka")
    thrice = in_section(settings, "kafka", replication_factor=3)
    assert "has 1 copies, kafka.replication_factor is 3" in the_fault(thrice, "kafka")


@pytest.mark.services
def test_tables_copies_and_clocks_that_do_not_fit_are_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no keyspace" in the_fault(settings, "cassandra")
    apply_schema(settings)
    assert findings(settings, "cassandra")[WRONG] == []
    thrice = in_section(settings, "cassandra", replication_factor=3)
    assert "has 1 copies, cassandra.replication_factor is 3" in the_fault(thrice, "cassandra")
    two = in_section(settings, "cassandra", consistency="TWO")
    assert "consistency TWO needs 2 copies, there are 1" in the_fault(two, "cassandra")
    month = in_section(settings, "cassandra", keep_days=30)
    assert "keep_days is 30, but rows go after other days (0: never): images 0" in the_fault(month, "cassandra")
    with open_session(settings.cassandra) as session:
        session.execute("ALTER TABLE predictions DROP why")
    assert "predictions.why is missing" in the_fault(settings, "cassandra")
    with open_session(settings.cassandra) as session:
        session.execute("ALTER TABLE predictions ADD why text")
    monkeypatch.setattr(service_checks, "SKEW_S", -1.0)
    assert "clock" in the_fault(settings, "cassandra")


def test_the_command_shows_every_check_and_ends_with_one_where_something_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INKSTREAM_LOCAL__FOLDER", str(folder))
    monkeypatch.setenv("INKSTREAM_CASSANDRA__CONTACT_POINTS", "127.0.0.1")
    monkeypatch.setenv("INKSTREAM_CASSANDRA__PORT", "9")
    monkeypatch.setenv("INKSTREAM_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setattr(file_checks, "damaged_jars", lambda *_: [])
    assert main(["doctor", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert {finding["check"] for finding in shown} == set(checks())
    assert main(["doctor"]) == 1
    assert "2 wrong" in capsys.readouterr().out
