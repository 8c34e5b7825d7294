"""Ink in, the mask of the digit out: ruled lines, frames, specks and what hangs in from the edge are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from inkstream.image.components import components, having, labelled

SPECK = 0.012  # of the main part's longer side squared: smaller ones are dirt
NEAR = 0.35  # of the main part's longer side: how far a broken stroke's pieces lie apart
CUT, HANGING = 0.1, 0.4  # a part at the edge counts for less; one along the edge by so much of its length for little
OUTSKIRTS = 0.3  # of the picture's side: what hangs in from the edge and stays within is no digit
FRAME_COVER, FRAME_SIDES = 0.75, 2.5  # what covers so much of two sides, and so many sides in all, is a frame

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One connected piece of ink: its label, box, area, and along how many pixels it touches the picture's edge."""

    label: int
    x: int
    y: int
    width: int
    height: int
    area: int
    contact: int

    @property
    def at_edge(self) -> bool:
        return self.contact > 0

    @property
    def longer(self) -> int:
        return max(self.width, self.height)


def stroke_mask(ink: Array, low: float, high: float) -> Array:
    """uint8 (H, W) ink in, uint8 (H, W) of 0 and 255 out: strokes are over `high` somewhere and go on down to `low`."""
    possible = cv2.threshold(ink, low, 255, cv2.THRESH_BINARY)[1]
    labels = labelled(possible)
    sure = cv2.threshold(ink, high, 255, cv2.THRESH_BINARY)[1]
    return having(labels, labels[sure > 0])


def without_lines(mask: Array, lines: Array) -> Array:
    """The mask without the lines; the strokes that cross them stay whole."""
    left = cv2.bitwise_and(mask, cv2.bitwise_not(cv2.dilate(lines, np.ones((3, 3), np.uint8))))
    thick = max(5, round(max(mask.shape) / 40)) | 1
    closed = cv2.morphologyEx(left, cv2.MORPH_CLOSE, np.ones((thick, thick), np.uint8))
    whole: Array = cv2.bitwise_or(left, cv2.bitwise_and(closed, mask))
    return whole


def find_parts(mask: Array) -> tuple[Array, list[Part]]:
    """uint16 (H, W) of labels, and the parts from the largest to the smallest."""
    labels, stats = components(mask)
    edge = np.concatenate([labels[1], labels[-2], labels[:, 1], labels[:, -2]])
    contacts = np.bincount(edge, minlength=len(stats)).tolist()
    parts = [
        Part(label, x, y, width, height, area, contact)
        for label, ((x, y, width, height, area), contact) in enumerate(zip(stats.tolist(), contacts, strict=True))
        if label
    ]
    return labels, sorted(parts, key=lambda part: -part.area)


def without_frames(labels: Array, parts: list[Part]) -> list[Part]:
    """The parts without those that run round another one along their own box; both as find_parts gives them."""
    boxes = np.zeros((len(parts) + 1, 5), np.int32)
    for part in parts:
        boxes[part.label] = part.x, part.y, part.x + part.width, part.y + part.height, part.longer
    return [part for part in parts if not (_surrounds(labels, part, boxes) and _is_frame(labels, part))]


def main_part(parts: list[Part], shape: tuple[int, ...]) -> Part:
    """The part that is the digit or most of it: large, central, not cut by the edge."""
    height, width = shape

    def weight(part: Part) -> float:
        away_x = abs(part.x + part.width / 2 - width / 2) / width
        away_y = abs(part.y + part.height / 2 - height / 2) / height
        cut = 1.0 if not part.at_edge else CUT if part.contact < HANGING * part.longer else CUT / 10
        return part.longer * float(part.area**0.5) * cut * (1.2 - max(away_x, away_y))

    return max(parts, key=weight)


def hangs_in(part: Part, shape: tuple[int, ...]) -> bool:
    """Whether the part runs along an edge and stays near it: a shadow, a table beside the page, a finger."""
    height, width = shape
    near = (
        part.x + part.width < OUTSKIRTS * width
        or part.x > (1 - OUTSKIRTS) * width
        or part.y + part.height < OUTSKIRTS * height
        or part.y > (1 - OUTSKIRTS) * height
    )
    return near and part.contact >= HANGING * part.longer


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


def _surrounds(labels: Array, part: Part, boxes: Array) -> bool:
    """Whether another part lies within its box, and is no speck beside it.

    boxes: int32 (labels, 5), x, y, right, bottom and the longer side. Only the labels in its own box are looked at: of
    specks a picture can have tens of thousands, and each with each took minutes.
    """
    right, bottom = part.x + part.width, part.y + part.height
    within = labels[part.y : bottom, part.x : right]
    if within.size < len(boxes):
        found = np.unique(within)
    else:
        present = np.zeros(len(boxes), bool)
        present[within] = True
        found = np.flatnonzero(present)
    others = boxes[found[(found != 0) & (found != part.label)]]
    inside = (others[:, :2] > (part.x, part.y)).all(axis=1) & (others[:, 2:4] < (right, bottom)).all(axis=1)
    return bool((inside & (others[:, 4] > 0.2 * part.longer)).any())


def _is_frame(labels: Array, part: Part) -> bool:
    own = labels[part.y : part.y + part.height, part.x : part.x + part.width] == part.label
    band = max(2, round(0.06 * part.longer))
    covers = (own[:band].any(axis=0), own[-band:].any(axis=0), own[:, :band].any(axis=1), own[:, -band:].any(axis=1))
    shares = [float(cover.mean()) for cover in covers]
    return sum(share > FRAME_COVER for share in shares) >= 2 and sum(shares) > FRAME_SIDES
