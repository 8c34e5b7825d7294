"""Vectors and centres in; each picture's cluster, and what to show of every cluster, out.

Each partition keeps a bounded number of pictures, and partitions are joined two by two: nothing grows with the data.
"""

from __future__ import annotations

import heapq
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from inkstream.arrow import map_in_arrow
from inkstream.report.clusters import NO_LABEL

NEAREST = 12
FARTHEST = 12  # a cluster's; the page shows the oddest of all
DISAGREEING = 12
POINTS = 3_000  # of the scatter plot
ASSIGNED_DDL = "image_id string, label string, pixels binary, vector array<float>, cluster int, distance float"
_PARTIAL_DDL = "content binary"


@dataclass(frozen=True, order=True)
class Example:
    """A picture as the page shows it. distance: to its cluster's centre, in the vectors' space."""

    distance: float
    image_id: str
    label: str
    cluster: int
    pixels: bytes = field(compare=False)


@dataclass
class Part:
    """What is known of one cluster. ink: float64 (bytes of a picture,), the sum of its pictures' pixels."""

    pictures: int = 0
    ink: np.ndarray[Any, Any] | float = 0.0
    nearest: list[Example] = field(default_factory=list)
    farthest: list[Example] = field(default_factory=list)
    disagreeing: list[Example] = field(default_factory=list)

    def joined(self, other: Part) -> Part:
        """What is known of both together."""
        return Part(
            self.pictures + other.pictures,
            self.ink + other.ink,
            heapq.nsmallest(NEAREST, self.nearest + other.nearest),
            heapq.nlargest(FARTHEST, self.farthest + other.farthest),
            heapq.nsmallest(DISAGREEING, self.disagreeing + other.disagreeing),
        )

    @property
    def mean(self) -> bytes:
        """The mean picture, as many bytes as each of them has."""
        return bytes(np.round(self.ink / max(1, self.pictures)).astype(np.uint8)) if self.pictures else b""


Parts = dict[int, Part]


def assign(vectors: DataFrame, centres: np.ndarray[Any, Any]) -> DataFrame:
    """VECTORS_DDL in, ASSIGNED_DDL out: each picture with the number of the nearest centre and the distance to it."""
    return map_in_arrow(vectors, partial(_assign, centres.astype(np.float32)), ASSIGNED_DDL)


def nearest_centres(
    vectors: np.ndarray[Any, Any], centres: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """float32 (N, d) and (k, d) in; int32 (N,), the nearest centre of each, and float32 (N,), how far it is, out."""
    squared = (vectors**2).sum(axis=1)[:, None] - 2 * vectors @ centres.T + (centres**2).sum(axis=1)[None]
    nearest = squared.argmin(axis=1)
    distances = np.sqrt(np.maximum(squared[np.arange(len(vectors)), nearest], 0))
    return nearest.astype(np.int32), distances.astype(np.float32)


def count_labels(assigned: DataFrame) -> dict[tuple[int, str], int]:
    """(cluster, label) -> pictures; the label of those without one is ""."""
    grouped = assigned.groupBy("cluster", F.coalesce("label", F.lit(NO_LABEL)).alias("label")).count()
    return {(row["cluster"], row["label"]): row["count"] for row in grouped.collect()}


def majorities(counts: dict[tuple[int, str], int]) -> dict[int, str]:
    """Cluster -> its commonest label; of equals the first by the alphabet. Clusters without a label are left out."""
    found: dict[int, str] = {}
    for cluster in sorted({cluster for cluster, _ in counts}):
        labels = {label: n for (place, label), n in counts.items() if place == cluster and label != NO_LABEL}
        if labels:
            found[cluster] = min(labels, key=lambda label: (-labels[label], label))
    return found


def view_clusters(assigned: DataFrame, majority: dict[int, str]) -> Parts:
    """What to show of each cluster: size, ink, its nearest, farthest and otherwise labelled pictures."""
    partials = map_in_arrow(assigned, partial(_view, majority), _PARTIAL_DDL).rdd.map(_unpickled)
    return partials.treeReduce(_joined) if not partials.isEmpty() else {}


def scatter_points(assigned: DataFrame, total: int) -> list[tuple[float, float, int, str]]:
    """A sample of (first axis, second axis, cluster, label)."""
    sample = assigned.sample(fraction=min(1.0, POINTS / max(1, total)), seed=3).limit(2 * POINTS)
    second = F.when(F.size("vector") > 1, F.col("vector")[1]).otherwise(F.lit(0.0))
    rows = sample.select(F.col("vector")[0].alias("x"), second.alias("y"), "cluster", "label").collect()
    return [(row["x"], row["y"], row["cluster"], row["label"] or NO_LABEL) for row in rows]


def _assign(centres: np.ndarray[Any, Any], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        vectors = _matrix(batch.column("vector"), centres.shape[1])
        nearest, distances = nearest_centres(vectors, centres)
        columns = [batch.column(name) for name in ("image_id", "label", "pixels", "vector")]
        names = ["image_id", "label", "pixels", "vector", "cluster", "distance"]
        yield pa.RecordBatch.from_arrays([*columns, pa.array(nearest), pa.array(distances)], names)


def _matrix(column: pa.ListArray, width: int) -> np.ndarray[Any, Any]:
    matrix: np.ndarray[Any, Any] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return matrix


def _view(majority: dict[int, str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    parts: Parts = {}
    for batch in batches:
        parts = _joined(parts, _parts_of(batch, majority))
    yield pa.record_batch([pa.array([pickle.dumps(parts)], pa.binary())], ["content"])


def _parts_of(batch: pa.RecordBatch, majority: dict[int, str]) -> Parts:
    ids, labels, pixels = (batch.column(name).to_pylist() for name in ("image_id", "label", "pixels"))
    clusters = batch.column("cluster").to_numpy()
    distances = batch.column("distance").to_numpy()
    if not len(clusters):
        return {}
    ink = np.frombuffer(b"".join(pixels), np.uint8).reshape(len(pixels), -1)
    parts: Parts = {}

    def examples(rows: Any) -> list[Example]:
        return [Example(float(distances[r]), ids[r], labels[r] or NO_LABEL, int(clusters[r]), pixels[r]) for r in rows]

    for cluster in np.unique(clusters).tolist():
        rows = np.flatnonzero(clusters == cluster)
        order = rows[np.argsort(distances[rows], kind="stable")]
        others = [row for row in order if labels[row] and labels[row] != majority.get(cluster)]
        parts[cluster] = Part(
            len(rows),
            ink[rows].sum(axis=0, dtype=np.float64),
            examples(order[:NEAREST]),
            examples(order[::-1][:FARTHEST]),
            examples(others[:DISAGREEING]),
        )
    return parts


def _joined(one: Parts, other: Parts) -> Parts:
    return {
        cluster: one.get(cluster, Part()).joined(other.get(cluster, Part()))
        for cluster in sorted(one.keys() | other.keys())
    }


def _unpickled(row: Any) -> Parts:
    parts: Parts = pickle.loads(row[0])
    return parts
