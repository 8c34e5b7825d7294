"""What lies round a handwritten digit in a picture: paper, lines, desk, light, and the camera that takes it.

Scenes are float32 (3, height, width), 0..255: planes apart, since light and ink are the same for all three.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Size = tuple[int, int]  # width, height
Matrix = np.ndarray[Any, np.dtype[np.float64]]

_DESKS = ((92, 64, 44), (140, 105, 74), (58, 56, 60), (200, 196, 190), (70, 82, 96), (170, 150, 130))
_RULES = ((120, 150, 205), (150, 165, 190), (170, 170, 175), (140, 190, 200), (190, 140, 150))


def tilt(size: Size, rng: np.random.Generator, *, degrees: float, depth: float) -> Matrix:
    """3 x 3, the page's pixels to the picture's: turned, and seen a little from the side."""
    width, height = size
    angle = np.deg2rad(rng.normal(0, degrees))
    cos, sin = np.cos(angle), np.sin(angle)
    to_middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    lean = np.eye(3)
    lean[2, :2] = rng.normal(0, depth, 2) / max(size)
    matrix: Matrix = np.linalg.inv(to_middle) @ lean @ turn @ to_middle
    return matrix


def grain(size: Size, rng: np.random.Generator, cell: float) -> Floats:
    """float32 (height, width), mean 0, deviation about 1, with spots of about `cell` pixels."""
    width, height = size
    coarse = (max(2, round(width / cell)), max(2, round(height / cell)))
    noise = rng.standard_normal((coarse[1], coarse[0]), dtype=np.float32)
    spots: Floats = noise if coarse == size else cv2.resize(noise, size, interpolation=cv2.INTER_LINEAR)
    return spots


def paper(size: Size, rng: np.random.Generator, colour: tuple[int, int, int] | None = None) -> Floats:
    """float32 (3, height, width), 0..255: an empty sheet with its fibres."""
    if colour is None:
        light = rng.uniform(205, 250)
        colour = tuple(light + rng.normal(0, 3) + shift for shift in (0, -1, rng.uniform(-14, 4)))  # type: ignore[assignment]
    fibres = grain(size, rng, rng.uniform(1.5, 4)) * rng.uniform(0.3, 2.0) + grain(size, rng, max(size) / 12)
    return fibres + planes(colour)


def planes(colour: Any) -> Floats:
    """float32 (3, 1, 1) of a colour's red, green and blue."""
    return np.array(colour, np.float32)[:, None, None]


def ruled(sheet: Floats, to_picture: Matrix, spacing: float, rng: np.random.Generator, *, squares: bool) -> Floats:
    """The sheet with printed lines, or squares, `spacing` pixels apart."""
    height, width = sheet.shape[1:]
    mask = np.zeros((height, width), np.uint8)
    reach = 2 * max(width, height)
    first = rng.uniform(0, spacing)
    thickness = max(1, round(spacing * rng.uniform(0.02, 0.05)))
    for at in np.arange(first - 0.5 * max(width, height), 1.5 * max(width, height), spacing):
        ends = [((-reach, at), (reach, at))]
        if squares:
            ends.append(((at, -reach), (at, reach)))
        for start, end in ends:
            cv2.line(mask, _seen(to_picture, start), _seen(to_picture, end), 255, thickness, cv2.LINE_AA)
    strength = mask * np.float32(rng.uniform(0.3, 0.85) / 255)
    return sheet + strength * (planes(_RULES[rng.integers(len(_RULES))]) - sheet)


def _seen(to_picture: Matrix, point: tuple[float, float]) -> tuple[int, int]:
    x, y, w = to_picture @ (*point, 1.0)
    w = max(w, 0.2)
    return int(np.clip(x / w, -1e5, 1e5)), int(np.clip(y / w, -1e5, 1e5))


def on_a_desk(sheet: Floats, to_picture: Matrix, rng: np.random.Generator) -> Floats:
    """The sheet with one or two of its edges in view, and the desk beyond, darkened by the sheet's own shadow."""
    height, width = sheet.shape[1:]
    left, top, right, bottom = -width, -height, 2 * width, 2 * height
    for side in rng.choice(4, size=rng.integers(1, 3), replace=False):
        inset = rng.uniform(0.02, 0.12)
        if side == 0:
            left = round(inset * width)
        elif side == 1:
            top = round(inset * height)
        elif side == 2:
            right = round((1 - inset) * width)
        else:
            bottom = round((1 - inset) * height)
    corners = [_seen(to_picture, corner) for corner in ((left, top), (right, top), (right, bottom), (left, bottom))]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.array(corners, np.int32), 255, cv2.LINE_AA)
    desk = planes(_DESKS[rng.integers(len(_DESKS))]) * np.float32(rng.uniform(0.7, 1.2))
    wood = cv2.resize(rng.standard_normal((int(rng.integers(12, 60)), 4), dtype=np.float32), (width, height))
    shadow = cv2.blur(mask, (max(3, width // 40) | 1,) * 2) * np.float32(0.5 / 255)
    beyond = (desk + wood * np.float32(rng.uniform(2, 9))) * (1 - shadow)
    inside = mask * np.float32(1 / 255)
    seen: Floats = beyond + inside * (sheet - beyond)
    return seen


def light(size: Size, rng: np.random.Generator, *, strength: float = 1.0) -> Floats:
    """float32 (height, width), about 0.4..1.1: light from one side, corners falling off, perhaps a shadow's edge."""
    width, height = size
    small = (max(8, width // 4), max(8, height // 4))
    ys, xs = np.meshgrid(np.linspace(-1, 1, small[1]), np.linspace(-1, 1, small[0]), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    across = xs * np.cos(angle) + ys * np.sin(angle)
    level = 1 - strength * (rng.uniform(0, 0.22) * (across + 1) / 2 + rng.uniform(0, 0.12) * (xs**2 + ys**2))
    if rng.random() < 0.45 * strength:
        turn = rng.uniform(0, 2 * np.pi)
        edge = xs * np.cos(turn) + ys * np.sin(turn) + 0.15 * np.sin(rng.uniform(1, 4) * across + angle)
        softness = rng.uniform(0.02, 0.3)
        level *= 1 - rng.uniform(0.12, 0.45) / (1 + np.exp(-(edge - rng.uniform(-0.5, 0.7)) / softness))
    smooth: Floats = cv2.resize(level.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return smooth


def photographed(scene: Floats, rng: np.random.Generator) -> Bytes:
    """uint8 (height, width, 3): what a phone makes of a scene: colour cast, blur, sensor noise."""
    height, width = scene.shape[1:]
    size = (width, height)
    cast = 1 + rng.normal(0, 0.02, 3) + np.array([0.03, 0, -0.04]) * rng.uniform(-0.6, 1.4)
    cast *= rng.uniform(0.82, 1.04)
    blur = max(0.25, max(size) * rng.uniform(0.0003, 0.0016))
    kernel = _shake(max(size), rng) if rng.random() < 0.15 else None
    noise = rng.uniform(0.8, 5.0)
    bright = grain(size, rng, rng.uniform(1, 1.8)) * np.float32(noise)
    seen = []
    for plane, factor, coloured in zip(scene, cast, (True, False, True), strict=True):
        plane = cv2.GaussianBlur(plane, (0, 0), blur)
        if kernel is not None:
            plane = cv2.filter2D(plane, -1, kernel)
        plane = plane * np.float32(factor) + bright
        if coloured:
            plane += grain(size, rng, 4) * np.float32(noise * 0.35)
        seen.append(cv2.convertScaleAbs(np.maximum(plane, 0)))
    picture: Bytes = cv2.merge(seen)
    return picture


def _shake(side: int, rng: np.random.Generator) -> Floats:
    """The kernel of a hand that moves: a short line."""
    length = int(np.clip(side * rng.uniform(0.003, 0.009), 2, 21)) | 1
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    arm = np.array([np.cos(angle), np.sin(angle)]) * (length // 2)
    start, end = (tuple(int(v) for v in np.rint(length // 2 + sign * arm)) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1)
    shake: Floats = kernel / kernel.sum()
    return shake
