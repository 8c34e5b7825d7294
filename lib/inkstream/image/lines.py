"""Ink in, the ruled and squared paper's lines in it out: how dark they are, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from inkstream.image.components import components, having

SPAN = 0.85  # of the picture's side: what runs so far straight on is ruled paper
BEND = 0.06  # of the other side: how far it may leave its level, tilted or bent
THICK = 0.035  # of the other side: lines are thinner
FAINT = 0.05  # of full ink: lines are darker
STROKE = 1.3  # of the lines' darkness: what is darker where one runs is a stroke that crosses it
FEW = 3  # fewer lines of one direction count only where they are faint: a frame has two, a large 4 one
FEW_FAINT = 0.6  # of full ink

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Lines:
    """mask, crossings: uint8 (H, W) of 0 and 255: where lines run, and where two meet. level: their darkness."""

    mask: Array
    crossings: Array
    level: float


def find_lines(ink: Array, level: float) -> Lines | None:
    """uint8 (H, W) ink in; the paper's Lines out, None where it has none."""
    across, down = _level_lines(ink, level), cv2.transpose(_level_lines(cv2.transpose(ink), level))
    mask = cv2.bitwise_or(across, down)
    on_lines = ink[cv2.bitwise_and(mask, ink) > 0]
    if not on_lines.size:
        return None
    own = on_lines[on_lines < 2 * np.percentile(on_lines, 75)]  # the rest is where strokes cross
    return Lines(mask, cv2.bitwise_and(across, down), float(np.percentile(own, 95)))


def ink_beside(ink: Array, lines: Lines) -> Array:
    """uint8 (H, W) ink in; the same without the lines out. The strokes that cross them are darker, and stay."""
    wide = np.ones((5, 5), np.uint8)
    ruled = (cv2.dilate(lines.mask, wide) > 0) & (ink < STROKE * lines.level)
    beside: Array = ink.copy()
    beside[ruled | (cv2.dilate(lines.crossings, wide) > 0)] = 0
    return beside


def _level_lines(ink: Array, level: float) -> Array:
    """Level lines, slightly tilted ones too: what stays thin when the picture is smeared along them, and spans it."""
    height, width = ink.shape
    smeared = cv2.blur(ink, (width // 8 | 1, 1)).astype(np.int16)
    thin = smeared - cv2.blur(smeared, (1, max(9, height // 16) | 1))
    candidates = cv2.compare(thin, int(max(1.5, FAINT * level)), cv2.CMP_GT)  # whole numbers: over 7 is over 7.6
    run = max(9, width // 9)
    runs: Array = cv2.morphologyEx(candidates, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    if not _can_span(runs, run):
        return np.zeros_like(ink)
    joined = cv2.morphologyEx(cv2.dilate(runs, np.ones((3, 1), np.uint8)), cv2.MORPH_CLOSE, np.ones((3, run), np.uint8))
    labels, stats = components(joined)
    widths, bends, areas = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA]
    thin_enough = areas / np.maximum(widths, 1) < max(7, THICK * height)
    is_line = (widths >= SPAN * width) & (bends <= max(7, BEND * height)) & thin_enough
    is_line[0] = False
    lines = having(labels, np.flatnonzero(is_line))
    if 0 < is_line.sum() < FEW and np.percentile(ink[lines > 0], 75) > FEW_FAINT * level:
        lines[:] = 0
    return lines


def _can_span(runs: Array, gap: int) -> bool:
    """Whether the runs, joined over gaps shorter than `gap`, reach over as many columns as a line has to.

    By what they cover together, so that it is never less than what one line does. Most pictures end here, before their
    runs are joined and labelled, which is two thirds of the work.
    """
    joined = cv2.morphologyEx(runs.max(axis=0)[None], cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    return bool(cv2.countNonZero(joined) >= SPAN * runs.shape[1])
