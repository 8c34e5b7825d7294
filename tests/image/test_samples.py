"""The samples that ship are complete, small and what their names say; they are made again from any MNIST folder."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from inkstream.errors import Rejected
from inkstream.image.broken import BROKEN
from inkstream.image.decode import decode
from inkstream.image.imitate import KINDS
from inkstream.image.samples import FOLDER, build_samples, label_of, main, sample_files
from inkstream.settings import ImageSettings

LIMITS = ImageSettings()


def test_the_samples_are_of_every_kind_label_and_format_and_small() -> None:
    files = sample_files()
    assert {path.name.split("_")[0] for path in files} == {*KINDS, "broken"}
    assert {label_of(path) for path in files} == {*"0123456789", None}
    formats = {decode(path.read_bytes(), LIMITS).format for path in files if label_of(path)}
    assert formats == {"png", "jpeg", "webp", "gif", "bmp", "tiff", "heic", "avif"}
    assert 60 <= len(files) <= 100
    assert sum(path.stat().st_size for path in files) < 2_500_000


def test_broken_samples_get_the_verdict_they_promise() -> None:
    files = [path for path in sample_files() if label_of(path) is None]
    assert len(files) >= 10
    for path in files:
        expected = BROKEN[path.stem.removeprefix("broken_")].reason_code
        if expected == "blank":
            assert decode(path.read_bytes(), LIMITS).pixels.size
        else:
            with pytest.raises(Rejected) as caught:
                decode(path.read_bytes(), LIMITS)
            assert caught.value.code == expected, path.name


def test_the_samples_say_whose_digits_they_are() -> None:
    document = (FOLDER / "README.md").read_text()
    for word in ("MNIST", "LeCun", "Cortes", "Burges", "CC BY-SA 3.0"):
        assert word in document


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A folder with a test set of 100 scribbles."""
    pictures = np.zeros((100, 28, 28), np.uint8)
    pictures[:, 5:23, 12:15] = 255
    labels = np.arange(100, dtype=np.uint8) % 10
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / "t10k-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 100, 28, 28) + pictures.tobytes())
    (folder / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 100) + labels.tobytes())
    return folder


def test_any_digits_give_files_of_the_shipped_names_that_can_be_read(mnist: Path, tmp_path: Path) -> None:
    written = build_samples(mnist, tmp_path / "out")
    assert sorted(path.name for path in written) == [path.name for path in sample_files()]
    for path in written:
        if label_of(path):
            assert decode(path.read_bytes(), LIMITS).pixels.std() > 2, path.name


def test_wrong_folders_are_said_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "two folders are needed" in said
    assert "has no t10k-images-idx3-ubyte" in said


def test_a_place_that_cannot_be_written_is_named(
    mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    assert main([str(mnist), str(tmp_path / "taken")]) == 2
    assert "cannot be written" in capsys.readouterr().err.replace("\n", " ")
