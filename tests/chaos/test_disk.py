"""A small disk that is filled to the last byte, and freed."""

from __future__ import annotations

from pathlib import Path

import pytest

from inkstream.chaos.disk import MIB_OF_DISK, small_disk
from inkstream.settings import MIB


def test_a_full_disk_takes_no_byte_until_it_is_freed(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as disk:
        if disk is None:
            pytest.skip("this user may not mount a disk")
        (disk.folder / "kept").write_bytes(b"here")
        disk.fill()
        with pytest.raises(OSError, match="No space left on device"):
            (disk.folder / "more").write_bytes(b"x")
        disk.free()
        (disk.folder / "more").write_bytes(bytes(MIB_OF_DISK * MIB // 2))
        assert (disk.folder / "kept").read_bytes() == b"here"
    assert list((tmp_path / "small").iterdir()) == []
