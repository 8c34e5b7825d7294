from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from inkstream.producer import archive
from inkstream.producer.archive import count_members, is_archive, read_archive
from inkstream.producer.pictures import Failure, Picture

LIMIT = 1000


def _zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def test_members_come_in_the_order_of_their_names_and_are_called_after_the_archive(tmp_path: Path) -> None:
    path = _zip(tmp_path / "set.zip", {"b.png": b"2", "x/a.png": b"3", "a.png": b"1"})
    assert list(read_archive(path, LIMIT)) == [
        Picture("set.zip/a.png", f"{path}/a.png", b"1"),
        Picture("set.zip/b.png", f"{path}/b.png", b"2"),
        Picture("set.zip/x/a.png", f"{path}/x/a.png", b"3"),
    ]


def test_nothing_is_written_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _zip(tmp_path / "set.zip", {"../../evil.png": b"1", "/etc/evil.png": b"2"})
    monkeypatch.chdir(tmp_path)
    assert len(list(read_archive(path, LIMIT))) == 2
    assert [found.name for found in tmp_path.iterdir()] == ["set.zip"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_is_read(tmp_path: Path, compression: int) -> None:
    path = _zip(tmp_path / "set.zip", {"a.png": b"some bytes"}, compression)
    assert [item.content for item in read_archive(path, LIMIT) if isinstance(item, Picture)] == [b"some bytes"]


def test_hidden_members_and_folders_are_left_out(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {".DS_Store": b"", "__MACOSX/a.png": b"", "x/.h/a.png": b"", "x/": b"", "x/a": b""})
    assert [item.filename for item in read_archive(path, LIMIT)] == ["a.zip/x/a"]
    assert count_members(path) == 1


def test_labels_come_from_the_names_of_the_members_when_asked_for(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"7/x.png": b"", "x_3.png": b"", "x.png": b""})
    assert [item.label for item in read_archive(path, LIMIT, labels=True) if isinstance(item, Picture)] == [
        "7",
        None,
        "3",
    ]
    assert {item.label for item in read_archive(path, LIMIT) if isinstance(item, Picture)} == {None}


def test_a_damaged_member_is_named_and_the_others_come(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a": b"first" * 9, "b": b"second" * 9, "c": b"third" * 9}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"second" * 9, b"damage" * 9))
    first, failure, third = read_archive(path, LIMIT)
    assert isinstance(first, Picture)
    assert isinstance(third, Picture)
    assert isinstance(failure, Failure)
    assert failure.filename == "a.zip/b"
    assert "CRC" in failure.reason


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a.png": b"secret"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    [failure] = read_archive(path, LIMIT)
    assert isinstance(failure, Failure)
    assert "with its password" in failure.reason


def test_a_member_larger_than_the_limit_is_not_unpacked(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"large": bytes(LIMIT + 1), "largest": bytes(LIMIT)})
    failure, picture = read_archive(path, LIMIT)
    assert failure == Failure("a.zip/large", "it has 1,001 bytes; 1,000 are taken at most")
    assert isinstance(picture, Picture)


def test_a_member_that_hides_its_size_is_not_unpacked_further_than_it_says(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a": bytes(50_000_000)})
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(content)
    [failure] = read_archive(path, LIMIT)
    assert isinstance(failure, Failure)
    assert failure.filename == "a.zip/a"


def test_a_bomb_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BOMB_BYTES", 100_000)
    path = _zip(tmp_path / "bomb.zip", {str(n): bytes(10_000) for n in range(11)})
    content = path.read_bytes()
    assert len(content) * archive.BOMB_RATIO > 110_000  # many small members: large, but no bomb
    assert len(list(read_archive(path, 10_000))) == 11
    bomb = _zip(tmp_path / "bomb.zip", {"a": bytes(1_000_000)})
    [failure] = read_archive(bomb, 10_000)
    assert isinstance(failure, Failure)
    assert "1,000,000 bytes; not opened" in failure.reason


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_an_archive_that_cannot_be_opened_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    [failure] = read_archive(path, LIMIT)
    assert isinstance(failure, Failure)
    assert failure.filename == "a.zip"
    assert count_members(path) == 0


@pytest.mark.parametrize(("name", "content"), [("inner.ZIP", b"PK"), ("train-images-idx3-ubyte", b"\0\0\x08\x03")])
def test_an_archive_or_an_idx_set_within_an_archive_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    [failure] = read_archive(_zip(tmp_path / "a.zip", {name: content}), LIMIT)
    assert isinstance(failure, Failure)
    assert "unpack" in failure.reason


def test_an_archive_is_told_by_its_suffix() -> None:
    assert [is_archive(Path(name)) for name in ("a.zip", "a.ZIP", "a.docx", "zip")] == [True, True, False, False]
