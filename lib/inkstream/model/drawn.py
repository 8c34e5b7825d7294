"""A digit and a generator in, a drawing of it out: hands that MNIST's American writers do not have.

A 1 with a flag and a foot, a 7 with a bar, a 9 with a curled tail, a 4 left open, an 8 of two rings. Each way of
writing is a few strokes through points in the unit square (x to the right, y down); a hand moves the points, a pen
draws them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

CANVAS = 112
_FINER = 4  # bits of a pixel that cv2 draws with

Array = np.ndarray[Any, Any]
Stroke = tuple[str, tuple[tuple[float, float], ...]]  # "line": corners stay corners, "curve": through all points


def _line(*points: tuple[float, float]) -> Stroke:
    return "line", points


def _curve(*points: tuple[float, float]) -> Stroke:
    return "curve", points


_RING = ((0.5, 0.0), (0.12, 0.2), (0.0, 0.55), (0.2, 0.92), (0.55, 1.0), (0.9, 0.85), (1.0, 0.45), (0.85, 0.1))
_STEM = _line((0.5, 0.0), (0.5, 1.0))
_FLAG = _line((0.12, 0.32), (0.55, 0.0), (0.55, 1.0))
_LONG_FLAG = _line((0.0, 0.55), (0.6, 0.0), (0.55, 1.0))
_FOOT = _line((0.2, 1.0), (0.9, 1.0))
_SEVEN = _line((0.0, 0.0), (1.0, 0.0), (0.4, 1.0))
_NINE_RING = _curve((0.85, 0.15), (0.45, 0.0), (0.08, 0.22), (0.3, 0.5), (0.7, 0.42), (0.88, 0.12))
_TOP_OF_2 = ((0.08, 0.25), (0.3, 0.03), (0.65, 0.0), (0.88, 0.25), (0.6, 0.6))

WAYS: dict[int, tuple[tuple[Stroke, ...], ...]] = {
    0: ((_curve(*_RING, (0.5, 0.0)),), (_curve(*_RING, (0.42, 0.03), (0.2, 0.12)),)),
    1: ((_STEM,), (_FLAG,), (_FLAG, _FOOT), (_LONG_FLAG,), (_LONG_FLAG, _FOOT), (_STEM, _FOOT)),
    2: (
        (_curve(*_TOP_OF_2, (0.0, 1.0)), _line((0.0, 1.0), (1.0, 1.0))),
        (_curve(*_TOP_OF_2, (0.1, 0.95), (0.05, 0.8), (0.3, 0.82), (0.6, 0.97), (1.0, 0.9)),),
        (_line((0.05, 0.05), (0.9, 0.02), (0.0, 1.0), (1.0, 1.0)),),
    ),
    3: (
        (
            _curve((0.1, 0.1), (0.5, 0.0), (0.9, 0.2), (0.75, 0.42), (0.4, 0.5)),
            _curve((0.4, 0.5), (0.8, 0.55), (1.0, 0.78), (0.6, 1.0), (0.05, 0.9)),
        ),
        (
            _line((0.05, 0.0), (0.9, 0.0), (0.4, 0.4)),
            _curve((0.4, 0.4), (0.85, 0.5), (0.95, 0.8), (0.5, 1.0), (0.0, 0.88)),
        ),
    ),
    4: (
        (_line((0.65, 0.0), (0.0, 0.65), (1.0, 0.65)), _line((0.65, 0.0), (0.65, 1.0))),
        (_line((0.15, 0.0), (0.05, 0.6), (1.0, 0.58)), _line((0.75, 0.1), (0.7, 1.0))),
        (_line((0.5, 0.0), (0.0, 0.68), (1.0, 0.68)), _line((0.7, 0.35), (0.7, 1.0))),
        (_curve((0.1, 0.0), (0.02, 0.35), (0.3, 0.52), (0.85, 0.45)), _line((0.9, 0.0), (0.85, 1.0))),
    ),
    5: (
        (
            _line((0.95, 0.0), (0.2, 0.0), (0.12, 0.45)),
            _curve((0.12, 0.45), (0.55, 0.35), (0.95, 0.6), (0.7, 0.95), (0.05, 0.95)),
        ),
        (
            _curve((0.2, 0.0), (0.15, 0.42), (0.6, 0.38), (0.95, 0.65), (0.6, 1.0), (0.05, 0.92)),
            _line((0.2, 0.0), (1.0, 0.0)),
        ),
    ),
    6: (
        (
            _curve(
                (0.75, 0.0), (0.3, 0.3), (0.02, 0.7), (0.35, 1.0), (0.85, 0.85), (0.75, 0.55), (0.3, 0.58), (0.08, 0.8)
            ),
        ),
        (
            _curve(
                (0.85, 0.05), (0.4, 0.05), (0.05, 0.5), (0.2, 0.95), (0.75, 0.98), (0.9, 0.7), (0.5, 0.5), (0.1, 0.7)
            ),
        ),
    ),
    7: (
        (_SEVEN,),
        (_SEVEN, _line((0.2, 0.5), (0.95, 0.5))),
        (_line((0.02, 0.2), (0.05, 0.0), (1.0, 0.02), (0.35, 1.0)),),
        (_line((0.02, 0.2), (0.05, 0.02), (0.98, 0.0), (0.45, 1.0)), _line((0.25, 0.55), (0.9, 0.5))),
        (_curve((0.0, 0.12), (0.25, 0.02), (0.6, 0.1), (1.0, 0.0), (0.6, 0.5), (0.45, 1.0)),),
    ),
    8: (
        (
            _curve(
                (0.8, 0.1),
                (0.4, 0.0),
                (0.12, 0.2),
                (0.5, 0.48),
                (0.92, 0.75),
                (0.5, 1.0),
                (0.08, 0.78),
                (0.5, 0.48),
                (0.88, 0.22),
                (0.78, 0.06),
            ),
        ),
        (
            _curve((0.5, 0.0), (0.2, 0.12), (0.22, 0.38), (0.5, 0.48), (0.78, 0.38), (0.8, 0.12), (0.5, 0.0)),
            _curve((0.5, 0.48), (0.1, 0.6), (0.1, 0.9), (0.5, 1.0), (0.9, 0.9), (0.9, 0.6), (0.5, 0.48)),
        ),
    ),
    9: (
        (_NINE_RING, _line((0.88, 0.1), (0.85, 1.0))),
        (_NINE_RING, _curve((0.88, 0.1), (0.9, 0.6), (0.75, 0.95), (0.35, 1.0), (0.05, 0.88))),
        (_NINE_RING, _curve((0.86, 0.12), (0.75, 0.6), (0.45, 1.0))),
        (_NINE_RING, _line((0.88, 0.1), (0.92, 0.95), (0.1, 1.0))),
    ),
}


def draw(digit: int, rng: np.random.Generator) -> Array:
    """0..9 in, uint8 (112, 112) out: white strokes on black, one way of writing it in one hand."""
    ways = WAYS[digit]
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    tall = rng.uniform(50, 84)
    wide = tall * (rng.uniform(0.35, 1.0) if digit != 1 else rng.uniform(0.25, 0.75))
    slant, turn = rng.normal(0.05, 0.15), rng.normal(0, 0.08)
    pen = max(1, round(tall * rng.uniform(0.05, 0.17)))
    unsteady = rng.uniform(0.0, 0.035)
    for kind, points in ways[rng.integers(len(ways))]:
        moved = np.array(points) - 0.5 + rng.normal(0, unsteady, (len(points), 2))
        if kind == "curve":
            moved = _smooth(moved)
        x, y = moved[:, 0] * wide, moved[:, 1] * tall
        x = x - slant * y
        placed = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1) + CANVAS / 2
        fixed = np.round(placed * (1 << _FINER)).astype(np.int32)
        cv2.polylines(canvas, [fixed], False, 255, pen, cv2.LINE_AA, _FINER)
    return canvas


def _smooth(points: Array) -> Array:
    """float64 (n, 2) in, a Catmull-Rom curve through them out: float64 (8 (n - 1) + 1, 2)."""
    ends = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, 9)[:-1, None]
    spans = [_span(ends[i : i + 4], t) for i in range(len(points) - 1)]
    return np.concatenate([*spans, points[-1:]])


def _span(p: Array, t: Array) -> Array:
    span: Array = 0.5 * (
        2 * p[1]
        + (p[2] - p[0]) * t
        + (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) * t**2
        + (3 * p[1] - p[0] - 3 * p[2] + p[3]) * t**3
    )
    return span
