"""Vectors in, clusters out: Spark ML's KMeans, how many there should be, and how well they agree with the labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from pyspark.ml.clustering import KMeans, KMeansModel
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession

from inkstream.errors import SettingError
from inkstream.report.vectors import Projection

TRIES = 6  # KMeans ends in a local optimum: one start in three merges two digits of MNIST, not all of six
ELBOW_TRIES = 4
ELBOW_SAMPLE = 4_000
MOST_STEPS = 20
STILL = 0.02  # a step that moves no centre further is the last; the digits' centres are about 3 apart
THREADS = 4  # fits under way at once: a step is a small job, and most of its time is waiting
NO_LABEL = ""


@dataclass(frozen=True)
class Candidate:
    """A number of clusters. cost: the mean squared distance to the own centre. silhouette: -1..1, higher is better."""

    k: int
    cost: float
    silhouette: float


@dataclass(frozen=True)
class Clustering:
    """centres: float32 (k, dimensions)."""

    centres: np.ndarray[Any, Any]
    projection: Projection
    model: KMeansModel

    @property
    def k(self) -> int:
        return len(self.centres)


def features(vectors: DataFrame) -> DataFrame:
    """The column that Spark ML reads."""
    return vectors.select(array_to_vector("vector").alias("features"))


def find_elbow(vectors: DataFrame, column: str, ks: Sequence[int], total: int) -> list[Candidate]:
    """Cost and silhouette of a sample of the column (arrays) for each number of clusters that it has points for.

    The sample is small and every fit needs tens of passes over it, so it is fitted here: as Spark jobs those passes
    took minutes.
    """
    share = min(1.0, ELBOW_SAMPLE / max(1, total))
    rows = (vectors if share == 1.0 else vectors.sample(fraction=share, seed=2)).select(column).collect()
    if not rows:
        return []
    points = np.array([row[0] for row in rows], np.float32)
    different = len(np.unique(points, axis=0))
    return [fit_candidate(points, k) for k in ks if k < len(points) and k <= different]


def fit_candidate(points: np.ndarray[Any, Any], k: int) -> Candidate:
    """float32 (N, d) in; how good the best of ELBOW_TRIES fits (k-means++, Arthur and Vassilvitskii 2007) is, out."""
    cv2.setRNGSeed(k)
    until = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, MOST_STEPS, STILL / 10)
    start = np.zeros((len(points), 1), np.int32)
    cost, clusters, _ = cv2.kmeans(points, k, start, until, ELBOW_TRIES, cv2.KMEANS_PP_CENTERS)
    return Candidate(k, cost / len(points), silhouette(points, clusters.ravel()))


def silhouette(points: np.ndarray[Any, Any], clusters: np.ndarray[Any, Any]) -> float:
    """float32 (N, d) and int (N,) in; the mean silhouette of squared distances out, -1..1; 0 for a single cluster.

    The mean squared distance to a cluster follows from its size, mean and mean square, so no pair is looked at.
    """
    _, own, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return 0.0
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    members = np.eye(len(sizes))[own]
    squares = (centred**2).sum(axis=1)
    away = squares[:, None] - 2 * centred @ (members.T @ centred / sizes[:, None]).T + members.T @ squares / sizes
    rows = np.arange(len(points))
    inside = away[rows, own] * sizes[own] / np.maximum(1, sizes[own] - 1)  # not counting the distance to itself
    away[rows, own] = np.inf
    outside = away.min(axis=1)
    values = (outside - inside) / np.maximum(np.maximum(outside, inside), 1e-30)
    return float(np.where(sizes[own] > 1, values, 0.0).mean())


def choose_k(candidates: Sequence[Candidate]) -> int:
    """The number of clusters with the highest silhouette (Rousseeuw 1987); of equals the smallest."""
    return max(candidates, key=lambda candidate: (round(candidate.silhouette, 4), -candidate.k)).k


def fit_clusters(vectors: DataFrame, k: int, projection: Projection) -> Clustering:
    """KMeans (k-means||, Bahmani et al. 2012) on all vectors: the best of several starts."""
    # Each step is a job: as many tasks as cores, however many token ranges the pictures came in.
    trained = features(vectors).coalesce(vectors.sparkSession.sparkContext.defaultParallelism).persist()
    try:
        model = best_fit(trained, k, TRIES)
    finally:
        trained.unpersist()
    return Clustering(_centres(model), projection, model)


def save_clusters(spark: SparkSession, clustering: Clustering, folder: str, facts: Mapping[str, Any]) -> None:
    """Write what load_clusters reads to a Spark path: Spark ML's model, the projection, facts about them."""
    clustering.model.write().overwrite().save(f"{folder}/kmeans")
    content = [(json.dumps(dict(facts)), bytearray(clustering.projection.to_bytes()))]
    frame = spark.createDataFrame(content, "facts string, projection binary")
    frame.coalesce(1).write.mode("overwrite").parquet(f"{folder}/projection")


def load_clusters(spark: SparkSession, folder: str, bundle_version: str) -> Clustering:
    """What save_clusters wrote.

    Raises:
        SettingError: there is none, or it belongs to another model's embeddings.
    """
    try:
        model = KMeansModel.load(f"{folder}/kmeans")
        content = spark.read.parquet(f"{folder}/projection").first()
    except Exception as error:  # what Spark raises depends on the file system behind the path
        raise SettingError(
            f"--assign has the value {folder!r}: no saved clusters can be read there ({_line(error)})"
        ) from error
    assert content is not None
    projection = Projection.from_bytes(bytes(content["projection"]))
    if projection.bundle_version != bundle_version:
        raise SettingError(
            f"--assign has the value {folder!r}: these clusters are of the embeddings of model "
            f"{projection.bundle_version[:12]}, and the current one is {bundle_version[:12]}; cluster again"
        )
    return Clustering(_centres(model), projection, model)


def purity(counts: Mapping[tuple[int, str], int]) -> float:
    """(cluster, label) -> pictures in; the share, 0..1, of those with a label that have their cluster's commonest one.

    NaN where no picture has a label. Manning, Raghavan, Schütze: Introduction to Information Retrieval, 16.3.
    """
    labelled = {place: count for place, count in counts.items() if place[1] != NO_LABEL}
    if not labelled:
        return float("nan")
    best: Counter[int] = Counter()
    for (cluster, _), count in labelled.items():
        best[cluster] = max(best[cluster], count)
    return sum(best.values()) / sum(labelled.values())


def best_fit(frame: DataFrame, k: int, tries: int) -> KMeansModel:
    """The fit of the column `features` with the lowest cost."""

    def fit(seed: int) -> KMeansModel:
        return KMeans(k=k, seed=seed, maxIter=MOST_STEPS, initSteps=2, tol=STILL).fit(frame)

    with ThreadPoolExecutor(THREADS) as pool:
        return min(pool.map(fit, range(1, tries + 1)), key=lambda model: float(model.summary.trainingCost))


def _centres(model: KMeansModel) -> np.ndarray[Any, Any]:
    return np.stack([np.asarray(centre, np.float32) for centre in model.clusterCenters()])


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
