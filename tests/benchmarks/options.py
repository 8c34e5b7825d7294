"""What every benchmark is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import inkstream


@dataclass(frozen=True)
class Options:
    """quick: few pictures, one round. pictures: what uploads are made of. tell: takes a line of progress."""

    quick: bool
    rounds: int
    pictures: list[Path]
    tell: Callable[[str], None]


def pictures_of(mnist: Path | None) -> list[Path]:
    """MNIST's training pictures where a folder of its IDX files is given, else the 20 of them that ship."""
    if mnist is None:
        return sorted((Path(inkstream.__file__).parent / "samples").glob("clean_*.png"))
    return [path for path in sorted(mnist.iterdir()) if path.name.startswith("train-images")][:1]
