"""Ink in, the mask of the digit out: ruled lines, frames, specks and what hangs in from the edge are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

SURE, POSSIBLE = 0.5, 0.3  # of full ink: strokes begin at the first and go on down to the second
SPECK = 0.012  # of the main part's longer side squared: smaller ones are dirt
NEAR = 0.35  # of the main part's longer side: how far a broken stroke's pieces lie apart
LINE_SPAN = 0.9  # of the picture's side: what runs so far straight on is ruled paper
LINE_BEND = 0.06  # of the other side: how far it may leave its level, tilted or bent
FAINT_LINE = 0.75  # of full ink: a single line is taken out only where it is fainter than the digit
FRAME_COVER = 0.75  # of a side: what covers that of three sides is a frame

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One connected piece of ink: its label, box (x, y, width, height), area, and whether it touches the edge."""

    label: int
    x: int
    y: int
    width: int
    height: int
    area: int
    at_edge: bool

    @property
    def longer(self) -> int:
        return max(self.width, self.height)


def stroke_mask(ink: Array, level: float, noise: float) -> Array:
    """uint8 (H, W) ink in, uint8 (H, W) of 0 and 255 out: hysteresis between two shares of full ink."""
    low = max(POSSIBLE * level, min(4 * noise, SURE * level), 6)
    high = max(SURE * level, low)
    possible = cv2.threshold(ink, low, 255, cv2.THRESH_BINARY)[1]
    count, labels = cv2.connectedComponents(possible)
    sure = np.zeros(count, np.uint8)
    sure[np.unique(labels[ink > high])] = 255
    sure[0] = 0
    mask: Array = sure[labels]
    return mask


def without_lines(mask: Array, ink: Array, level: float) -> Array:
    """The mask without lines, upright or level, that run across the whole picture; crossing strokes stay whole."""
    found = _level_lines(mask, ink, level) | _level_lines(mask.T, ink.T, level).T
    if not found.any():
        return mask
    left = cv2.bitwise_and(mask, cv2.bitwise_not(found))
    thick = max(3, round(max(mask.shape) / 60)) | 1
    closed = cv2.morphologyEx(left, cv2.MORPH_CLOSE, np.ones((thick, thick), np.uint8))
    return cv2.bitwise_or(left, cv2.bitwise_and(closed, mask))


def _level_lines(mask: Array, ink: Array, level: float) -> Array:
    """Level lines, slightly tilted ones too: thin long runs, joined over gaps, that span the picture.

    One alone may be the stem of a 4 that fills the picture: it must be fainter than full ink.
    """
    height, width = mask.shape
    run = max(9, width // 9)
    mask = np.ascontiguousarray(mask)
    runs = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    if not runs.any():
        return runs
    joined = cv2.morphologyEx(cv2.dilate(runs, np.ones((3, 1), np.uint8)), cv2.MORPH_CLOSE, np.ones((3, run), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    widths, bends, areas = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA]
    thin = areas / np.maximum(widths, 1) < max(6, 0.035 * height)
    is_line = (widths >= LINE_SPAN * width) & (bends <= max(7, LINE_BEND * height)) & thin
    is_line[0] = False
    spans: Array = cv2.dilate(np.where(is_line, 255, 0).astype(np.uint8)[labels], np.ones((3, 1), np.uint8))
    if is_line.sum() == 1 and np.median(ink[(spans > 0) & (mask > 0)]) > FAINT_LINE * level:
        spans[:] = 0
    return spans


def find_parts(mask: Array) -> tuple[Array, list[Part]]:
    """int32 (H, W) of labels, and the parts from the largest to the smallest."""
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    parts = []
    for label in range(1, count):
        x, y, across, down, area = (int(n) for n in stats[label])
        at_edge = x <= 1 or y <= 1 or x + across >= width - 1 or y + down >= height - 1
        parts.append(Part(label, x, y, across, down, area, at_edge))
    return labels, sorted(parts, key=lambda part: -part.area)


def without_frames(labels: Array, parts: list[Part]) -> list[Part]:
    """The parts without those that run round another one along their own box."""
    return [part for part in parts if not (any(_inside(other, part) for other in parts) and _is_frame(labels, part))]


def main_part(parts: list[Part], shape: tuple[int, ...]) -> Part:
    """The part that is the digit or most of it: large, central, not cut by the edge."""
    height, width = shape

    def weight(part: Part) -> float:
        away_x = abs(part.x + part.width / 2 - width / 2) / width
        away_y = abs(part.y + part.height / 2 - height / 2) / height
        cut = 0.25 if part.at_edge else 1.0
        return part.longer * part.area**0.5 * cut * (1.2 - max(away_x, away_y))

    return max(parts, key=weight)


def kept_with(main: Part, parts: list[Part]) -> list[Part]:
    """The main part and what belongs to it: near, no speck, and not hanging in from the edge."""
    kept = [main]
    for part in parts:
        if part is main or part.area < SPECK * main.longer**2 or (part.at_edge and not main.at_edge):
            continue
        if _gap(main, part) <= NEAR * main.longer:
            kept.append(part)
    return kept


def _gap(one: Part, other: Part) -> int:
    across = max(one.x, other.x) - min(one.x + one.width, other.x + other.width)
    down = max(one.y, other.y) - min(one.y + one.height, other.y + other.height)
    return max(across, down, 0)


def _inside(inner: Part, outer: Part) -> bool:
    return (
        inner is not outer
        and inner.x > outer.x
        and inner.y > outer.y
        and inner.x + inner.width < outer.x + outer.width
        and inner.y + inner.height < outer.y + outer.height
        and inner.longer > 0.2 * outer.longer
    )


def _is_frame(labels: Array, part: Part) -> bool:
    own = labels[part.y : part.y + part.height, part.x : part.x + part.width] == part.label
    band = max(2, round(0.06 * part.longer))
    covers = (own[:band].any(axis=0), own[-band:].any(axis=0), own[:, :band].any(axis=1), own[:, -band:].any(axis=1))
    return sum(float(cover.mean()) > FRAME_COVER for cover in covers) >= 3
