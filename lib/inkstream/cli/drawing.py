"""A picture file's bytes in, the picture for a terminal out, two pixels a letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from inkstream.settings import ImageSettings

UPPER_HALF = "▀"


def draw(content: bytes, limits: ImageSettings, columns: int) -> Text:
    """At most `columns` letters wide and as many high; a sentence where the file cannot be decoded."""
    import numpy as np
    from rich.text import Text

    from inkstream.errors import Rejected
    from inkstream.image.decode import decode

    try:
        pixels = decode(content, limits).pixels
    except Rejected as error:
        return Text(f"It cannot be shown: {error.reason}", "italic")
    height, width = pixels.shape[:2]
    scale = max(width, height, 1) / columns
    ys = (np.arange(max(2, int(height / scale) // 2 * 2)) * scale).astype(int).clip(0, height - 1)
    xs = (np.arange(max(1, int(width / scale))) * scale).astype(int).clip(0, width - 1)
    small = pixels[np.ix_(ys, xs)]
    colours = small if small.ndim == 3 else np.repeat(small[:, :, None], 3, axis=2)
    text = Text()
    for upper, lower in zip(colours[::2], colours[1::2], strict=True):
        for (r, g, b), (r2, g2, b2) in zip(upper, lower, strict=True):
            text.append(UPPER_HALF, f"rgb({r},{g},{b}) on rgb({r2},{g2},{b2})")
        text.append("\n")
    return text
