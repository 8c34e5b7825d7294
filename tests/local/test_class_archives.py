"""Archives of classes: a JVM starts from the one that fits, and without it where there is none."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest
from tests.conftest import in_section

from inkstream.local import class_archives
from inkstream.local.class_archives import archive_options, classes_file, ensure_archives
from inkstream.local.jars import class_path, jars_folder
from inkstream.local.java import java_command
from inkstream.settings import Settings, load_settings

MAINS = {
    "cassandra": "org.apache.cassandra.service.CassandraDaemon",  # ends at once, without a configuration
    "kafka": "kafka.tools.StorageTool",
    "spark": "org.apache.spark.deploy.SparkSubmit",
}
JDK_CLASSES = "java/lang/Object\njava/lang/String\njava/util/HashMap\n"
FROM_ARCHIVE = "shared objects file"


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a folder of their own, in which Kafka's jars are two and its list of classes is short."""
    (tmp_path / "kafka.classes.gz").write_bytes(gzip.compress(JDK_CLASSES.encode()))
    monkeypatch.setattr(class_archives, "classes_file", lambda group: tmp_path / f"{group}.classes.gz")
    monkeypatch.setattr("inkstream.local.jars.missing_jars", lambda settings, group: [])
    plain = load_settings()
    settings = plain.model_copy(update={"local": plain.local.model_copy(update={"folder": str(tmp_path / "var")})})
    jars = jars_folder(settings, "kafka")
    jars.mkdir(parents=True)
    for jar in sorted(jars_folder(plain, "kafka").glob("log4j-*.jar"))[:2]:
        (jars / jar.name).write_bytes(jar.read_bytes())
    return settings


def archives(settings: Settings) -> list[str]:
    return sorted(path.name for path in (settings.local.path / "jars" / "archives").glob("*.jsa"))


@pytest.mark.parametrize("group", MAINS)
def test_a_list_names_classes_and_no_file_of_a_machine(group: str) -> None:
    lines = gzip.decompress(classes_file(group).read_bytes()).decode().splitlines()
    assert len(lines) > 5000
    assert len(set(lines)) == len(lines)
    assert [line for line in lines if "source:" in line or line.startswith("/")] == []


@pytest.mark.parametrize("group", MAINS)
def test_a_jvm_takes_its_classes_from_the_archive(group: str, tmp_path: Path) -> None:
    settings, loaded = load_settings(), tmp_path / "loaded.txt"
    ensure_archives(settings, group)
    options = archive_options(settings, group)
    assert len(options) == 1
    # What stands behind the archive's own class path does not matter.
    line = ["-cp", os.pathsep.join([class_path(settings, group), class_path(settings, "report")]), MAINS[group]]
    log = f"-Xlog:class+load:file={loaded}"
    said = subprocess.run([java_command(), *options, log, *line], capture_output=True, text=True, check=False)
    assert "warning" not in said.stdout + said.stderr
    classes = loaded.read_text().splitlines()
    assert len(classes) > 400
    assert sum(FROM_ARCHIVE in name for name in classes) > 0.9 * len(classes)


def test_an_archive_is_made_once_and_anew_for_other_jars(few: Settings) -> None:
    assert archive_options(few, "kafka") == []
    ensure_archives(few, "kafka")
    first = archives(few)
    (option,) = archive_options(few, "kafka")
    made = Path(option.partition("=")[2]).stat().st_mtime_ns
    ensure_archives(few, "kafka")
    assert Path(option.partition("=")[2]).stat().st_mtime_ns == made
    jar = next(jars_folder(few, "kafka").iterdir())
    os.utime(jar, (1, 1))  # the JVM itself would refuse the archive now
    assert archive_options(few, "kafka") == []
    ensure_archives(few, "kafka")
    assert len(archives(few)) == 1
    assert archives(few) != first


def test_an_archive_outlives_a_link_to_the_jars(few: Settings, tmp_path: Path) -> None:
    """Services of a test or a benchmark have a folder of their own, and a link to the jars."""
    link = tmp_path / "another" / "jars"
    link.parent.mkdir()
    link.symlink_to(few.local.path / "jars")
    another = in_section(few, "local", folder=str(link.parent))
    assert class_path(another, "kafka") == class_path(few, "kafka")


def test_what_a_fetch_has_under_way_is_no_part_of_an_archive(few: Settings) -> None:
    ensure_archives(few, "kafka")
    options = archive_options(few, "kafka")
    scratch = jars_folder(few, "kafka") / ".fetch-by-another-command"
    scratch.symlink_to("gone-before-anyone-looks")
    assert options
    assert archive_options(few, "kafka") == options


def test_a_java_that_makes_none_is_asked_once(
    few: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'Unrecognized option: -Xshare:dump' >&2\nexit 1\n")
    java.chmod(0o755)
    (tmp_path / "java" / "release").write_text('JAVA_VERSION="17.0.9"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    ensure_archives(few, "kafka")
    assert "the classes of kafka could not be archived: Unrecognized option" in caplog.text
    assert archive_options(few, "kafka") == []
    caplog.clear()
    ensure_archives(few, "kafka")
    assert caplog.text == ""


def test_a_folder_that_cannot_be_written_stops_nothing(few: Settings, caplog: pytest.LogCaptureFixture) -> None:
    (few.local.path / "jars" / "archives").write_text("a file where the folder should be")
    ensure_archives(few, "kafka")
    assert "could not be archived" in caplog.text
    assert archive_options(few, "kafka") == []


def test_a_group_without_a_list_has_no_archive(few: Settings) -> None:
    ensure_archives(few, "cassandra")
    assert archives(few) == []
