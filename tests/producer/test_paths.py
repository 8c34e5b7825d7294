from __future__ import annotations

import os
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from inkstream.errors import SettingError
from inkstream.producer.paths import count_pictures, read_paths, walk
from inkstream.producer.pictures import Failure, Item, Picture

LIMIT = 1000


def _tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def _names(items: list[Item]) -> list[str]:
    return [item.filename for item in items]


def test_a_folder_is_read_to_its_depth_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "f", "b.png", "a/z.txt", "a/b/c", "c", ".hidden", ".git/x", "a/.b")
    items = list(read_paths([folder], LIMIT))
    assert _names(items) == ["f/a/b/c", "f/a/z.txt", "f/b.png", "f/c"]
    assert items[0] == Picture("f/a/b/c", f"{folder}/a/b/c", b"a/b/c")


def test_a_file_is_called_by_its_name_even_when_it_is_hidden(tmp_path: Path) -> None:
    _tree(tmp_path, "f/.a.png")
    assert list(read_paths([tmp_path / "f/.a.png"], LIMIT)) == [Picture(".a.png", f"{tmp_path}/f/.a.png", b"f/.a.png")]


def test_the_current_folder_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tree(tmp_path, "f/a", "f/g/b")
    monkeypatch.chdir(tmp_path / "f")
    assert _names(list(read_paths([Path()], LIMIT))) == ["f/a", "f/g/b"]
    monkeypatch.chdir(tmp_path / "f" / "g")
    assert _names(list(read_paths([Path("..")], LIMIT))) == ["f/a", "f/g/b"]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "f", "a", "sub/b")
    _tree(tmp_path, "else/c")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "other").symlink_to(tmp_path / "else")
    (folder / "link").symlink_to(tmp_path / "else" / "c")
    (folder / "self").symlink_to(folder / "self")
    items = list(read_paths([folder], LIMIT))
    assert _names([item for item in items if isinstance(item, Picture)]) == ["f/a", "f/link", "f/other/c", "f/sub/b"]
    assert items[3] == Failure(f"{folder}/self", "it is a link to nothing")


def test_a_folder_of_any_depth_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):  # deeper than Python calls functions
        Path("d").mkdir()
        os.chdir("d")
    Path("a").write_bytes(b"deep")
    monkeypatch.chdir(tmp_path)
    try:
        assert [item.content for item in read_paths([Path("d")], LIMIT) if isinstance(item, Picture)] == [b"deep"]
    finally:
        subprocess.run(["rm", "-rf", "d"], check=True)  # shutil.rmtree gives up at such a depth


def test_what_is_no_regular_file_is_left_out(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "f", "a")
    os.mkfifo(folder / "pipe")
    assert _names(list(read_paths([folder], LIMIT))) == ["f/a"]


def test_hidden_files_are_walked_when_asked_for(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "f", ".a", ".g/b")
    (folder / "broken").symlink_to(tmp_path / "nothing")
    assert list(walk(folder, hidden=True)) == [folder / ".a", folder / ".g" / "b"]


def test_a_file_larger_than_the_limit_is_named_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    [failure] = read_paths([path], LIMIT)
    assert failure == Failure("huge.png", "it has 1,099,511,627,776 bytes; 1,000 are taken at most")


def test_archives_and_idx_sets_are_opened_wherever_they_lie(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    with zipfile.ZipFile(folder / "set.zip", "w") as made:
        made.writestr("a.png", b"a")
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 2, 1, 1) + b"ab")
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 2) + b"\x07\x03")
    items = list(read_paths([folder], LIMIT))
    assert _names(items) == ["set.zip/a.png", "train-images#0", "train-images#1"]
    assert [item.label for item in items if isinstance(item, Picture)] == [None, "7", "3"]
    assert count_pictures([folder]) == 3


def test_labels_come_from_the_names_when_asked_for(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "f", "7/a.png", "b_3.png")
    assert [item.label for item in read_paths([folder], LIMIT, labels=True) if isinstance(item, Picture)] == ["7", "3"]
    assert [item.label for item in read_paths([folder], LIMIT) if isinstance(item, Picture)] == [None, None]


def test_a_path_that_does_not_exist_is_named_before_anything_is_read(tmp_path: Path) -> None:
    folder = _tree(tmp_path / "f", "a")
    with pytest.raises(SettingError, match="nowhere does not exist"):
        next(read_paths([folder, tmp_path / "nowhere"], LIMIT))


def test_a_pipe_is_no_path_to_send(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingError, match="neither a file nor a folder"):
        next(read_paths([tmp_path / "pipe"], LIMIT))
