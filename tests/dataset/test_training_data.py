"""What a training is given of a folder of IDX files, however small it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.model.drawings import golden, write_idx

from inkstream.dataset.training_data import open_training_data
from inkstream.errors import SettingError


def test_of_a_small_folder_every_label_that_can_spare_a_picture_has_one_held_back(tmp_path: Path) -> None:
    pixels, labels = golden()
    write_idx(tmp_path / "idx", "train", pixels, labels)
    write_idx(tmp_path / "idx", "t10k", pixels, labels)
    data, names = open_training_data(str(tmp_path / "idx"))
    assert names == list("0123456789")
    assert np.unique(data.held.labels).tolist() == np.flatnonzero(np.bincount(labels) > 1).tolist()
    assert len(data.train) + len(data.held) == len(data.test) == len(labels)


def test_a_folder_that_can_spare_no_picture_is_named(tmp_path: Path) -> None:
    pixels, labels = golden()
    first = np.unique(labels, return_index=True)[1]
    for name in ("train", "t10k"):
        write_idx(tmp_path / "idx", name, pixels[first], labels[first])
    with pytest.raises(SettingError, match=r"idx has no label with two training pictures, one of them to be held back"):
        open_training_data(str(tmp_path / "idx"))
