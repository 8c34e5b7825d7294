"""IDX files (MNIST's format, gzipped or not) in, arrays out."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.errors import SettingError

_UINT8 = 8  # the only type that pictures and labels have
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_DIMENSIONS = 4
_PICTURES = "images-idx3-ubyte"
_LABELS = "labels-idx1-ubyte"
_SPLITS = {"train": "train", "test": "t10k"}

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def read_idx(path: str | Path) -> Bytes:
    """uint8 array of the dimensions that the file states: (N, H, W) for pictures, (N,) for labels.

    Raises:
        SettingError: the file is missing, no IDX file of bytes, or has not as many as it states.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SettingError(f"{path} does not exist; name an IDX file like train-images-idx3-ubyte or its .gz") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read ({error}); fetch it again") from error
    return parse_idx(content, str(path))


def parse_idx(content: bytes, path: str) -> Bytes:
    """The same of a file's bytes, gzipped or not; `path` is for the messages.

    Raises:
        SettingError: they are no IDX file of bytes, or not as many as it states.
    """
    content = _unpacked(content, path)
    if len(content) < 4 or content[:2] != b"\x00\x00" or not 1 <= content[3] <= _MAX_DIMENSIONS:
        raise SettingError(f"{path} is no IDX file; name one like train-images-idx3-ubyte or its .gz")
    if content[2] != _UINT8:
        raise SettingError(
            f"{path} holds IDX type 0x{content[2]:02x}; pictures and labels are type 0x08, unsigned bytes"
        )
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        stated, held = " x ".join(map(str, shape)), max(len(content) - start, 0)
        raise SettingError(f"{path} states {stated} values but holds {held:,}; the file is damaged, fetch it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def pictures_and_labels(folder: str | Path, split: str = "train") -> tuple[Bytes, Bytes]:
    """uint8 (N, H, W) pictures and uint8 (N,) labels of `split` ("train" or "test") in a folder of MNIST's IDX files.

    Raises:
        SettingError: a file is missing or damaged, or there are not as many labels as pictures.
    """
    folder = Path(folder)
    if split not in _SPLITS:
        raise SettingError(f"{split!r} is no part of an IDX set; it is one of {', '.join(_SPLITS)}")
    if not folder.is_dir():
        raise SettingError(f"{folder} is no folder; name one that holds MNIST's four IDX files")
    pictures = read_idx(_find(folder, f"{_SPLITS[split]}-{_PICTURES}"))
    labels = read_idx(_find(folder, f"{_SPLITS[split]}-{_LABELS}"))
    if pictures.ndim != 3 or labels.ndim != 1 or len(pictures) != len(labels):
        raise SettingError(
            f"{folder} has {split} pictures of shape {pictures.shape} and labels of shape {labels.shape}; "
            "they do not belong together"
        )
    return pictures, labels


def _find(folder: Path, name: str) -> Path:
    # some mirrors write a dot before "idx"
    for candidate in (name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise SettingError(f"{folder} has no {name} or {name}.gz; name a folder that holds MNIST's four IDX files")


def _unpacked(content: bytes, path: str) -> bytes:
    try:
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except (OSError, EOFError, zlib.error) as error:
        raise SettingError(f"{path} cannot be read ({error}); fetch it again") from error
