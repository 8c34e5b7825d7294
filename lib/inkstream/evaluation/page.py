"""Figures and mistakes in, a page (HTML, self-contained) and JSON out."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

import numpy as np
import orjson
from jinja2 import Environment, PackageLoader, select_autoescape
from PIL import Image

from inkstream.evaluation.answering import Answers, Mistake
from inkstream.evaluation.measuring import Figures
from inkstream.model.bundle import Bundle

FORMAT = 1


def evaluation_json(figures: Figures, answers: Answers, bundle: Bundle, sources: list[str]) -> bytes:
    """The figures, the rejected pictures and the worst mistakes (without pixels), for programs."""
    mistakes = [{k: v for k, v in asdict(mistake).items() if k != "pixels"} for mistake in answers.worst]
    content = {
        "format": FORMAT,
        "model_version": bundle.version,
        "recipe": bundle.recipe.get("name"),
        "sources": sources,
        "evaluated_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **figures.to_dict(),
        "rejected": [{"source": s, "reason_code": code, "pictures": n} for s, code, n in answers.rejected],
        "worst_mistakes": mistakes,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def evaluation_page(figures: Figures, answers: Answers, bundle: Bundle, sources: list[str]) -> bytes:
    """One HTML file with everything in it."""
    environment = Environment(loader=PackageLoader("inkstream", "evaluation"), autoescape=select_autoescape())
    environment.filters["percent"] = _percent
    page = environment.get_template("page.html").render(
        figures=figures,
        bundle=bundle,
        sources=sources,
        rejected=answers.rejected,
        mistakes=[(mistake, _picture(mistake)) for mistake in answers.worst],
        shades=_shades(figures),
        reliability=_reliability(figures),
        at=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return page.encode()


def _percent(share: float | None, digits: int = 2) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def _picture(mistake: Mistake) -> str:
    side = int(len(mistake.pixels) ** 0.5)
    return _png(Image.fromarray(np.frombuffer(mistake.pixels, np.uint8).reshape(side, side)))


def _png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _shades(figures: Figures) -> list[list[float]]:
    """How dark each wrong cell of the confusion matrix is: 0..1 of the most frequent confusion."""
    counts = np.array(figures.confusion)
    wrong = counts - np.diag(np.diag(counts))
    shades: list[list[float]] = (np.sqrt(wrong / max(1, wrong.max())) * 0.85).round(2).tolist()
    return shades


def _reliability(figures: Figures) -> str:
    """Confidence against accuracy in bins, and how many pictures each bin has."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color="0.7", lw=1, label="as it should be")
    upper.plot(
        [b.confidence for b in figures.bins],
        [b.accuracy for b in figures.bins],
        "o-",
        clip_on=False,
        label="this model",
    )
    upper.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    upper.legend(frameon=False, loc="upper left")
    middles: list[Any] = [(b.low + b.high) / 2 for b in figures.bins]
    lower.bar(middles, [b.pictures for b in figures.bins], width=0.06)
    lower.set(xlabel="confidence", ylabel="pictures", yscale="log")
    for axes in (upper, lower):
        axes.axvline(figures.threshold.threshold, color="tab:red", lw=1, ls=":")
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue().decode()
    return svg[svg.index("<svg") :]
