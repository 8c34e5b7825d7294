from __future__ import annotations

import gzip
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from inkstream.producer.idx import count_idx, idx_magic, labels_file_of, read_idx, set_name
from inkstream.producer.pictures import Failure, Item, Picture

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def _images(pixels: np.ndarray) -> bytes:
    return struct.pack(">IIII", 0x803, *pixels.shape) + pixels.tobytes()


def _labels(labels: list[int]) -> bytes:
    return struct.pack(">II", 0x801, len(labels)) + bytes(labels)


def _pictures(items: list[Item]) -> list[Picture]:
    return [item for item in items if isinstance(item, Picture)]


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte"])
def test_each_picture_is_a_png_of_its_own_pixels_with_its_number(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / name, _images(PIXELS))
    pictures = _pictures(list(read_idx(path)))
    assert [picture.filename for picture in pictures] == [f"train-images#{n}" for n in range(5)]
    assert [picture.path for picture in pictures] == [f"{path}#{n}" for n in range(5)]
    assert [picture.label for picture in pictures] == [None] * 5
    decoded = [cv2.imdecode(np.frombuffer(p.content, np.uint8), cv2.IMREAD_UNCHANGED) for p in pictures]
    assert np.array_equal(decoded, PIXELS)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_labels_beside_it_are_the_claimed_ones(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path / "t10k-images-idx3-ubyte", _images(PIXELS))
    _write(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", _labels([7, 0, 9, 1, 1]))
    assert [picture.label for picture in _pictures(list(read_idx(path)))] == ["7", "0", "9", "1", "1"]


@pytest.mark.parametrize("labels", [_labels([7, 0]), _labels([1, 2, 3, 4, 5, 6]), _labels([1, 2, 3, 4, 5])[:-1]])
def test_another_number_of_labels_is_a_failure_and_nothing_is_guessed(tmp_path: Path, labels: bytes) -> None:
    path = _write(tmp_path / "t10k-images-idx3-ubyte", _images(PIXELS))
    _write(tmp_path / "t10k-labels-idx1-ubyte", labels)
    [failure] = read_idx(path)
    assert isinstance(failure, Failure)
    assert "t10k-labels-idx1-ubyte" in failure.reason


@pytest.mark.parametrize("packed", [False, True])
def test_of_a_file_that_is_cut_short_the_whole_pictures_come_and_then_a_failure(tmp_path: Path, packed: bool) -> None:
    path = _write(tmp_path / ("a-images.idx" + (".gz" if packed else "")), _images(PIXELS)[:-1])
    *pictures, failure = read_idx(path)
    assert len(_pictures(pictures)) == 4
    assert failure == Failure("a-images#4", "the IDX file is damaged: it ends after 4 of 5 pictures")


def test_a_damaged_gz_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(_images(np.zeros((999, 28, 28), np.uint8)))[:-20])
    assert isinstance(list(read_idx(path))[-1], Failure)


def test_bytes_after_the_last_picture_are_a_failure(tmp_path: Path) -> None:
    *pictures, failure = read_idx(_write(tmp_path / "a", _images(PIXELS) + b"x"))
    assert len(pictures) == 5
    assert isinstance(failure, Failure)


@pytest.mark.parametrize("shape", [(3, 0, 4), (3, 4, 0), (1, 2**31, 4), (2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_a_lying_header_is_a_failure_and_takes_no_memory(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    [failure] = read_idx(_write(tmp_path / "a", struct.pack(">IIII", 0x803, *shape) + b"x"))
    assert isinstance(failure, Failure)


def test_a_header_that_is_cut_short_is_a_failure(tmp_path: Path) -> None:
    [failure] = read_idx(_write(tmp_path / "a", _images(PIXELS)[:9]))
    assert failure == Failure("a", "the IDX file is damaged: its header has 9 of 16 bytes")


def test_the_kind_is_told_by_the_first_bytes_packed_or_not(tmp_path: Path) -> None:
    assert idx_magic(_write(tmp_path / "a.bin", _images(PIXELS))) == b"\0\0\x08\x03"
    assert idx_magic(_write(tmp_path / "b.gz", _labels([1]))) == b"\0\0\x08\x01"
    assert idx_magic(_write(tmp_path / "c.gz", b"a text")) is None
    assert idx_magic(_write(tmp_path / "d.png", b"\x1f\x8b, and no gzip")) is None
    assert idx_magic(_write(tmp_path / "e", b"")) is None


def test_labels_are_looked_for_only_beside_a_file_called_images(tmp_path: Path) -> None:
    _write(tmp_path / "digits", _images(PIXELS))
    assert labels_file_of(tmp_path / "digits") is None


def test_the_set_is_called_by_the_file_without_its_endings() -> None:
    names = ["train-images-idx3-ubyte.gz", "emnist-digits-test-images.idx3-ubyte", "a.idx", "digits"]
    assert [set_name(Path(name)) for name in names] == ["train-images", "emnist-digits-test-images", "a", "digits"]


def test_the_count_is_read_from_the_header(tmp_path: Path) -> None:
    assert count_idx(_write(tmp_path / "a.gz", _images(PIXELS))) == 5
    assert count_idx(_write(tmp_path / "b", b"short")) == 0
