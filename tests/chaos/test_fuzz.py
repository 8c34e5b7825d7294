"""The short form of `./submit.sh fuzz`; that it tells what breaks; and what it once found."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from inkstream.chaos.fuzz import fuzz, read_originals
from inkstream.chaos.hostile import DAMAGE, LARGE, hostile
from inkstream.cli.fuzz import _table
from inkstream.image.parts import Part, _is_frame, find_parts, without_frames
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.records import Reading
from inkstream.settings import MIB, ImageSettings

LIMITS = ImageSettings()
LARGE_COMES_TO = {
    "10 MiB of pixels": "blank",
    "50 million pixels": None,
    "bomb": "blank",
    "at the limit": "unreadable",
    "scans": "blank",
}


class Fragile(Reader):
    """Dies of one file, as with a decoder that crashes."""

    deadly = b""

    def _prepare(self, data: bytes | int) -> Any:
        if data == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._prepare(data)


def test_hostile_files_break_nothing(tmp_path: Path) -> None:
    done: list[int] = []
    reader = Reader(load_bundle(shipped_bundle()), LIMITS)
    found = fuzz(reader, LIMITS.max_image_bytes, files=600, seed=5, keep=tmp_path / "kept", tell=done.append)
    assert found.broke == []
    assert found.outcomes.total() == 600
    assert {kind for kind, _ in found.outcomes} == set(DAMAGE)
    assert 0 < found.peak_memory < 1536 * MIB
    assert done == [250, 500, 600]
    assert not (tmp_path / "kept").exists()
    assert _table(found).row_count == len(DAMAGE)


@pytest.mark.parametrize("kind", LARGE)
def test_files_as_large_as_they_come_are_read_or_rejected(kind: str) -> None:
    made = LARGE[kind](random.Random(1), LIMITS.max_image_bytes)
    [reading] = Reader(load_bundle(shipped_bundle()), LIMITS).read([made], apart=True)
    assert reading.reason_code == LARGE_COMES_TO[kind]


class Hesitant(Reader):
    """Takes its time for one file when it is asked first, as on a machine that is busy."""

    slow, asked = b"", 0

    def read(self, pictures: Iterable[bytes | int], *, apart: bool = False) -> list[Reading]:
        self.asked += 1
        return super().read(pictures, apart=apart)

    def _prepare(self, data: bytes | int) -> Any:
        if data == self.slow and self.asked == 1:
            time.sleep(3)
        return super()._prepare(data)


def test_a_file_that_is_slow_only_beside_others_breaks_nothing(tmp_path: Path) -> None:
    limits = LIMITS.model_copy(update={"decode_limit_s": 1.5})
    reader = Hesitant(load_bundle(shipped_bundle()), limits)
    _, reader.slow = hostile(2, 3, read_originals(), LIMITS.max_image_bytes)
    found = fuzz(reader, LIMITS.max_image_bytes, files=5, seed=3, keep=tmp_path)
    assert (found.broke, found.slow_once, found.outcomes.total()) == ([], 1, 5)


def test_a_file_that_breaks_its_reader_is_named_and_kept(tmp_path: Path) -> None:
    reader = Fragile(load_bundle(shipped_bundle()), LIMITS)
    kind, reader.deadly = hostile(2, 3, read_originals(), LIMITS.max_image_bytes)
    found = fuzz(reader, LIMITS.max_image_bytes, files=5, seed=3, keep=tmp_path)
    assert found.broke == [(2, kind, "Reading this picture ended its process (SIGKILL).")]
    assert (tmp_path / "3-2").read_bytes() == reader.deadly


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.2, 0.4]))
def test_frames_are_found_as_if_each_part_were_compared_with_each(seed: int, density: float) -> None:
    """Comparing all pairs is the definition; of a page of specks it took minutes."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((60, 60)) < density).astype(np.uint8) * 255
    for corner in (2, 32):
        side, at = int(rng.integers(10, 22)), corner + int(rng.integers(4))
        mask[at - 1 : at + side + 1, at - 1 : at + side + 1] = 0
        mask[[at, at + side - 1], at : at + side] = mask[at : at + side, [at, at + side - 1]] = 255
        mask[at + 3 : at + 3 + int(rng.integers(1, side - 6)), at + 4] = 255

    def inside(inner: Part, outer: Part) -> bool:
        return (
            inner is not outer
            and outer.x < inner.x
            and outer.y < inner.y
            and inner.x + inner.width < outer.x + outer.width
            and inner.y + inner.height < outer.y + outer.height
            and inner.longer > 0.2 * outer.longer
        )

    labels, parts = find_parts(mask)
    frames = [part for part in parts if any(inside(other, part) for other in parts) and _is_frame(labels, part)]
    event(f"{len(frames)} frames")
    assert without_frames(labels, parts) == [part for part in parts if part not in frames]
