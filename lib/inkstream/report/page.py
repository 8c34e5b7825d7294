"""Figures in; one HTML file that needs nothing beside it, the tables as Parquet and CSV, and a day's summary out."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from cassandra.cluster import Session
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from inkstream.errors import SetupError
from inkstream.gateway.pages.thumbnails import thumbnail
from inkstream.records import PREPARED_SIDE, REASON_CODES
from inkstream.report.charts import Chart, counts_of, draw_charts
from inkstream.report.counting import BINS
from inkstream.report.drift import Drift, compare, ink_sentence
from inkstream.report.figures import Figures, expected_calibration_error
from inkstream.settings import Settings
from inkstream.store.pictures import read_bytes
from inkstream.store.session import CASSANDRA_ERRORS, await_on_disk
from inkstream.times import UTC

PAGE, TABLES = "index.html", "tables"
_PREPARED = "SELECT prepared FROM predictions WHERE image_id = ? AND model_version = ?"


@dataclass(frozen=True)
class Shown:
    """A picture on the page; images are data: URIs, None where there is none to show."""

    title: str
    below: str
    upload: str | None
    prepared: str | None = None


def drifts_of(figures: Figures, reference: dict[str, Any]) -> list[Drift]:
    """Label mix, ink share and confidence against the training data's."""
    labels = sorted({*reference["labels"], *figures["labels"].label})
    counted = {name: dict(zip(figures[name][key], figures[name].pictures, strict=True)) for name, key in _BINNED}
    edges = [f"{50 * place / BINS:.3g}-{50 * (place + 1) / BINS:.3g} % of ink" for place in range(BINS)]
    steps = [f"{100 * place / BINS:.0f}-{100 * (place + 1) / BINS:.0f} % sure" for place in range(BINS)]
    ink, sure = (counts_of(counted[name], range(BINS)).tolist() for name in ("ink", "confidences"))
    drifts = [
        compare(
            "mix of digits",
            [f"the {label}s" for label in labels],
            counts_of(reference["labels"], labels).tolist(),
            counts_of(counted["labels"], labels).tolist(),
        ),
        compare("share of ink", [f"pictures with {edge}" for edge in edges], reference["ink"], ink),
        compare("confidence", [f"answers {step}" for step in steps], reference["confidences"], sure),
    ]
    moved = drifts[1]
    if moved.has_moved:
        drifts[1] = replace(moved, sentence=f"{moved.sentence} {ink_sentence(reference['ink'], ink)}")
    return drifts


_BINNED = (("labels", "label"), ("ink", "bin"), ("confidences", "bin"))


def write_report(
    folder: Path, figures: Figures, reference: dict[str, Any] | None, session: Session | None, settings: Settings
) -> Path:
    """Write index.html and tables/ into the folder; returns the page. Without a session it has no pictures.

    Raises:
        SetupError: the folder cannot be written.
    """
    text = render_page(figures, reference, session, settings)
    try:
        (folder / TABLES).mkdir(parents=True, exist_ok=True)
        for name, frame in figures.frames.items():
            frame.to_csv(folder / TABLES / f"{name}.csv", index=False)
            frame.to_parquet(folder / TABLES / f"{name}.parquet", index=False)
        (folder / PAGE).write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SetupError(f"The report cannot be written into {folder} ({error.strerror}); give --out FOLDER") from error
    return folder / PAGE


def render_page(figures: Figures, reference: dict[str, Any] | None, session: Session | None, settings: Settings) -> str:
    """The page's HTML."""
    charts: dict[str, Chart] = draw_charts(figures, reference) if figures.pictures else {}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "milliseconds": _milliseconds, "thousands": lambda n: f"{n:,}"}
    return environment.get_template("page.html").render(
        figures=figures,
        charts=charts,
        drifts=drifts_of(figures, reference) if reference and figures.pictures else [],
        reference=reference,
        error=expected_calibration_error(figures["calibration"]),
        meanings=REASON_CODES,
        rejections=_rejections(figures["rejections"], session, settings),
        mistakes=_mistakes(figures["mistakes"], session, settings),
        time_zone=settings.report.time_zone,
        made_at=datetime.now(timezone.utc),
        rows={name: frame.to_dict("records") for name, frame in figures.frames.items()},
    )


def summaries_of(days: pd.DataFrame) -> list[tuple[Any, str]]:
    """(day, JSON) of each row of the figure `days`: what the page says of a day."""
    return [
        (row["date"], orjson.dumps({name: int(row[name]) for name in days.columns if name != "date"}).decode())
        for row in days.to_dict("records")
    ]


def store_summaries(session: Session, days: pd.DataFrame) -> None:
    """Put each day's summary into table summaries; the same day again takes the old one's place."""
    statement = session.prepare("INSERT INTO summaries (day, made_at, summary) VALUES (?, ?, ?)")
    now = datetime.now(UTC)
    for day, summary in summaries_of(days):
        session.execute(statement, (day, now, summary))
    await_on_disk(session)


def _rejections(rows: pd.DataFrame, session: Session | None, settings: Settings) -> list[Shown]:
    return [
        Shown(row["reason_code"] or "", row["filename"] or row["image_id"], _upload(session, row["image_id"], settings))
        for row in rows.to_dict("records")
    ]


def _mistakes(rows: pd.DataFrame, session: Session | None, settings: Settings) -> list[Shown]:
    return [
        Shown(
            f"{row['truth']} read as {row['label']}",
            f"{_percent(row['confidence'])} sure, {row['filename'] or row['image_id']}",
            _upload(session, row["image_id"], settings),
            _prepared(session, row["image_id"], row["model_version"]),
        )
        for row in rows.to_dict("records")
    ]


def _upload(session: Session | None, image_id: str, settings: Settings) -> str | None:
    content = read_bytes(session, image_id) if session is not None else None
    small = thumbnail(content, settings.image) if content else None
    return _data_uri(small, "webp") if small else None


def _prepared(session: Session | None, image_id: str, model_version: str) -> str | None:
    if session is None:
        return None
    try:
        row = session.execute(session.prepare(_PREPARED), (image_id, model_version)).one()
    except CASSANDRA_ERRORS:
        return None
    if row is None or row.prepared is None or len(row.prepared) != PREPARED_SIDE**2:
        return None
    pixels = np.frombuffer(row.prepared, np.uint8).reshape(PREPARED_SIDE, PREPARED_SIDE)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return _data_uri(buffer.getvalue(), "png")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _percent(share: float | None) -> str:
    return "" if share is None or pd.isna(share) else f"{100 * share:.1f} %"


def _milliseconds(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:,.3g} ms" if value < 1000 else f"{value / 1000:,.3g} s"


def _printable(value: Any) -> Any:
    """Names come from strangers: what is no letter of a text is not handed on."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(letter if letter.isprintable() else " " for letter in value)
