"""What was found in; one HTML page that needs nothing beside it, and the table for the terminal, out."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from rich.table import Column, Table

from inkstream.report.cluster_charts import Chart, elbow_chart, kind_chart, scatter_chart
from inkstream.report.cluster_views import Example
from inkstream.report.clustering import Found
from inkstream.report.profiles import Kind, describe

TEMPLATE = "clusters.html"


@dataclass(frozen=True)
class Tile:
    """A picture on the page: a data: URI, whose it is, and the line under it."""

    picture: str
    id: str
    line: str


@dataclass(frozen=True)
class Card:
    """A cluster on the page."""

    number: int
    pictures: int
    share: float
    label: str
    agreeing: float  # 0..1 of those with a label; NaN where none has one
    labels: list[tuple[str, int, float]]  # label, pictures, share of the commonest one's
    mean: str
    nearest: list[Tile]


@dataclass(frozen=True)
class KindCard:
    """A kind of source on the page."""

    kind: Kind
    said: str
    chart: Chart


def write_cluster_page(file: Path, found: Found) -> Path:
    """The page, written to `file`. Raises OSError where it cannot be."""
    scratch = file.with_name(f".{file.name}.part")
    scratch.write_text(render_cluster_page(found), encoding="utf-8")
    scratch.replace(file)
    return file


def render_cluster_page(found: Found) -> str:
    """The page's HTML; everything that comes from outside is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = percent
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return environment.get_template(TEMPLATE).render(
        found=found,
        purity=found.purity,
        cards=cluster_cards(found),
        otherwise=[_tile(found, e, f"{e.label}, in {_of(found, e.cluster)}") for e in found.labelled_otherwise],
        odd=[_tile(found, e, f"{e.label or 'no label'}, {e.distance:.1f} away") for e in found.odd],
        elbow=elbow_chart(found) if found.elbow else None,
        scatter=scatter_chart(found),
        kinds=[KindCard(kind, describe(kind), kind_chart(kind)) for kind in found.kinds],
    )


def cluster_cards(found: Found) -> list[Card]:
    """The clusters, ordered by their label and then by size."""
    cards = []
    for number, part in found.parts.items():
        labels = {label: count for (cluster, label), count in found.counts.items() if cluster == number and label}
        ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
        total = sum(labels.values())
        cards.append(
            Card(
                number,
                part.pictures,
                part.pictures / found.pictures,
                found.majority.get(number, ""),
                ordered[0][1] / total if total else math.nan,
                [(label, count, count / ordered[0][1]) for label, count in ordered[:8]],
                _picture(part.mean, found.bundle.input_shape),
                [_tile(found, example, example.label) for example in part.nearest],
            )
        )
    return sorted(cards, key=lambda card: (card.label, -card.pictures))


def cluster_title(found: Found) -> str:
    """One line: how many pictures of what, in how many clusters, and how pure these are."""
    title = f"{found.pictures:,} pictures of {found.what} in {found.clustering.k} clusters"
    return f"{title}, purity {found.purity:.4f}" if found.majority else title


def cluster_table(found: Found) -> Table:
    """The clusters for the terminal."""
    table = Table("cluster", Column("pictures", justify="right"), "mostly", Column("of these", justify="right"), "and")
    for card in cluster_cards(found):
        others = ", ".join(f"{label} {count:,}" for label, count, _ in card.labels[1:4])
        table.add_row(str(card.number), f"{card.pictures:,}", card.label or "-", percent(card.agreeing), others)
    return table


def percent(share: float) -> str:
    """0..1 as people read it: never 100 % where one is missing."""
    if math.isnan(share):
        return "-"
    text = f"{share * 100:.1f} %"
    return "99.9 %" if text == "100.0 %" and share < 1 else text


def _of(found: Found, cluster: int) -> str:
    label = found.majority.get(cluster)
    return f"cluster {cluster}" if label is None else f"a cluster of {label}"


def _tile(found: Found, example: Example, line: str) -> Tile:
    return Tile(_picture(example.pixels, found.bundle.input_shape), example.image_id, line)


def _picture(content: bytes, shape: Sequence[int]) -> str:
    """Pixels as a data: URI; ink is dark on the page, as it was on paper."""
    if not content:
        return ""
    pixels = np.frombuffer(content, np.uint8).reshape(shape)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(255 - pixels if pixels.ndim == 2 else pixels)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
