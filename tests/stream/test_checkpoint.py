from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.stream.conftest import Pipeline

import inkstream
from inkstream.errors import SettingError, SetupError
from inkstream.settings import Settings
from inkstream.stream.checkpoint import hold_checkpoint, prepare_checkpoint

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()


def test_a_spark_path_is_handed_through() -> None:
    assert prepare_checkpoint(Settings(), "hdfs://name/folder", "") == "hdfs://name/folder"


def test_a_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert prepare_checkpoint(Settings(), str(folder), "earliest") == folder.as_uri()
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_a_start_is_refused_where_the_checkpoint_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "offsets").mkdir()
    (tmp_path / "offsets" / "0").touch()
    with pytest.raises(SettingError, match=r"--from has the value 'latest'.*has its place"):
        prepare_checkpoint(Settings(), str(tmp_path), "latest")
    assert prepare_checkpoint(Settings(), str(tmp_path), "") == tmp_path.as_uri()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"checkpoint folder .*file.* cannot be written"):
        prepare_checkpoint(Settings(), str(tmp_path / "file" / "below"), "")


def test_two_streams_cannot_share_a_checkpoint(tmp_path: Path) -> None:
    place = prepare_checkpoint(Settings(), str(tmp_path / "with space" / "checkpoint"), "")
    with hold_checkpoint(place), pytest.raises(SetupError, match="Another stream is running"), hold_checkpoint(place):
        pass
    with hold_checkpoint(place):
        pass


@pytest.mark.services
def test_sparks_own_log_starts_no_process_and_stays_as_it_was(pipeline: Pipeline) -> None:
    pipeline.send([(b"one", SEVEN, {})])
    pipeline.drain()
    jvm: Any = pipeline.spark._jvm
    place = jvm.org.apache.hadoop.fs.Path((pipeline.folder / "checkpoint").as_uri())
    files = place.getFileSystem(pipeline.spark._jsparkSession.sessionState().newHadoopConf())
    assert files.getRawFileSystem().getClass().getSimpleName() == "NakedLocalFileSystem"

    written = [
        pipeline.folder / "checkpoint" / kind / name for kind in ("offsets", "commits") for name in ("0", ".0.crc")
    ]
    umask = os.umask(0)
    os.umask(umask)
    assert [stat.S_IMODE(file.stat().st_mode) for file in written] == [0o644 & ~umask] * 4
    pipeline.send([(b"two", SEVEN, {})])
    pipeline.drain()
    assert len(pipeline.answers()) == 2
