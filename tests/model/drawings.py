"""Digits drawn from strokes, for trainings that take seconds; the shipped bundle's golden ones; IDX files of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from inkstream.image.normalise import normalise
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.drawn import draw
from inkstream.model.examples import Labelled


def drawings(count: int, seed: int) -> Labelled:
    """Prepared pictures of 0, 1 and 2."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return Labelled(np.stack([normalise(draw(int(label), rng)).pixels for label in labels]), labels)


def golden() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The shipped bundle's golden pictures, and the digits that it reads in them."""
    kept = load_bundle(shipped_bundle()).golden
    assert kept is not None
    return kept.pixels, kept.probabilities.argmax(axis=1)


def write_idx(folder: Path, name: str, pixels: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
    """uint8 (N, 28, 28) and their labels, as MNIST's files have them; name: train or t10k."""
    folder.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">4BIII", 0, 0, 8, 3, *pixels.shape)
    (folder / f"{name}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    header = struct.pack(">4BI", 0, 0, 8, 1, len(labels))
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())
