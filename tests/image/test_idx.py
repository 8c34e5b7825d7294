"""IDX files, gzipped or not, are read; wrong ones are refused in a sentence."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from inkstream.errors import SettingError
from inkstream.image.idx import pictures_and_labels, read_idx


def idx(values: np.ndarray, type_: int = 8) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, type_, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


PICTURES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("packed", [False, True])
def test_values_come_in_the_stated_shape(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "set"
    path.write_bytes(gzip.compress(idx(PICTURES)) if packed else idx(PICTURES))
    assert read_idx(path).dtype == np.uint8
    assert np.array_equal(read_idx(path), PICTURES)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no IDX file"),
        (b"\x89PNG\r\n\x1a\n", "is no IDX file"),
        (idx(PICTURES, type_=0x0D), "holds IDX type 0x0d"),
        (idx(PICTURES)[:-1], "states 2 x 3 x 4 values but holds 23"),
        (idx(PICTURES) + b"x", "states 2 x 3 x 4 values but holds 25"),
        (idx(PICTURES)[:10], "but holds 0"),
        (gzip.compress(idx(PICTURES), mtime=0)[:-9], "cannot be read"),
        (gzip.compress(idx(PICTURES), mtime=0)[:12] + b"\xff" * 40, "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "set"
    path.write_bytes(content)
    with pytest.raises(SettingError, match=sentence) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="does not exist"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(SettingError, match="cannot be read"):
        read_idx(tmp_path)


@pytest.mark.parametrize("names", ["{}-images-idx3-ubyte", "{}-images-idx3-ubyte.gz", "{}-images.idx3-ubyte"])
def test_both_parts_of_a_folder_are_found(tmp_path: Path, names: str) -> None:
    for split, offset in (("train", 0), ("t10k", 100)):
        images = tmp_path / names.format(split)
        for path, content in (
            (images, idx(PICTURES + offset)),
            (images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1")), idx(np.array([4, 2]))),
        ):
            path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    pictures, labels = pictures_and_labels(tmp_path)
    assert np.array_equal(pictures, PICTURES)
    assert labels.tolist() == [4, 2]
    assert np.array_equal(pictures_and_labels(tmp_path, "test")[0], PICTURES + 100)


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="has no train-images-idx3-ubyte"):
        pictures_and_labels(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(PICTURES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.array([1, 2, 3])))
    with pytest.raises(SettingError, match="do not belong together"):
        pictures_and_labels(tmp_path)
    with pytest.raises(SettingError, match="'dev' is no part"):
        pictures_and_labels(tmp_path, "dev")
    with pytest.raises(SettingError, match="is no folder"):
        pictures_and_labels(tmp_path / "nothing")
