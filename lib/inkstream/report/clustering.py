"""Pictures in; clusters, what to show of them, how many there should be and how well they fit the labels, out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from inkstream.errors import FoundError
from inkstream.model.bundle import Bundle
from inkstream.report.cluster_views import (
    Example,
    Parts,
    assign,
    count_labels,
    majorities,
    scatter_points,
    view_clusters,
)
from inkstream.report.clusters import (
    Candidate,
    Clustering,
    choose_k,
    find_elbow,
    fit_clusters,
    purity,
)
from inkstream.report.profiles import Kind
from inkstream.report.vectors import learn_projection, of_shape, with_vectors

log = logging.getLogger(__name__)

SHOWN = 60  # of the oddest, and of those that are labelled otherwise
Told = Callable[[str], None]


@dataclass
class Found:
    """What a run found. counts: (cluster, label) -> pictures. points: (x, y, cluster, label), a sample."""

    bundle: Bundle
    what: str
    pictures: int
    clustering: Clustering
    elbow: list[Candidate]
    counts: dict[tuple[int, str], int]
    parts: Parts
    points: list[tuple[float, float, int, str]]
    kinds: list[Kind] = field(default_factory=list)

    @property
    def majority(self) -> dict[int, str]:
        return majorities(self.counts)

    @property
    def purity(self) -> float:
        return purity(self.counts)

    @property
    def labelled_otherwise(self) -> list[Example]:
        """Pictures whose label is not their cluster's, those nearest to its centre first: mistakes are among them."""
        return sorted(example for part in self.parts.values() for example in part.disagreeing)[:SHOWN]

    @property
    def odd(self) -> list[Example]:
        """The pictures that are farthest from every centre."""
        return sorted((example for part in self.parts.values() for example in part.farthest), reverse=True)[:SHOWN]


def cluster_pictures(
    spark: SparkSession,
    pictures: DataFrame,
    bundle: Bundle,
    *,
    what: str,
    k: int | None = None,
    known: Clustering | None = None,
    ks: Sequence[int] = range(2, 16),
    told: Told = log.info,
) -> tuple[Found, DataFrame]:
    """Cluster pictures (PICTURES_DDL), or with `known` assign them; what was found, and ASSIGNED_DDL of every picture.

    k: how many clusters; None: as many as give the highest silhouette. told: called with each step as it begins.

    Raises:
        FoundError: there are fewer than two pictures, or fewer than clusters.
    """
    told("reading the pictures")
    fitting = of_shape(pictures, bundle).persist()  # else counting, the axes and the vectors each read them anew
    if known is None:
        total = fitting.count()
        told(f"finding the principal axes of the embeddings of {total:,} pictures")
        projection = learn_projection(spark, fitting, bundle, total)
    else:
        projection = known.projection
    vectors = with_vectors(spark, fitting, bundle, projection).persist()
    told("embedding every picture")
    total = vectors.count()
    fitting.unpersist()
    if total < max(2, k or 2):
        raise FoundError(
            f"There are {total} pictures of {what}, too few for {k or 2} clusters; send more, or ask for fewer"
        )
    elbow: list[Candidate] = []
    if known is None:
        told(f"trying {min(ks)} to {max(ks)} clusters on a sample")
        elbow = find_elbow(vectors, "vector", ks, total)
        if not elbow:
            raise FoundError(f"The pictures of {what} are all alike to the model, so there is nothing to group")
        k = k or choose_k(elbow)
        told(f"finding {k} clusters")
    clustering = known or fit_clusters(vectors, k or 2, projection)
    told("assigning every picture, and looking for the nearest and the odd ones")
    assigned = assign(vectors, clustering.centres).persist()
    counts = count_labels(assigned)
    parts = view_clusters(assigned, majorities(counts))
    found = Found(bundle, what, total, clustering, elbow, counts, parts, scatter_points(assigned, total))
    return found, assigned


def facts_of(found: Found) -> dict[str, Any]:
    """What the page, the saved model and --json say in numbers."""
    return {
        "what": found.what,
        "pictures": found.pictures,
        "model_version": found.bundle.version,
        "clusters": found.clustering.k,
        "purity": found.purity if found.majority else None,
        "dimensions": int(found.clustering.centres.shape[1]),
        "variance_kept": found.clustering.projection.kept,
        "elbow": [{"k": c.k, "cost": c.cost, "silhouette": c.silhouette} for c in found.elbow],
        "majority": {str(cluster): label for cluster, label in found.majority.items()},
        "sizes": {str(cluster): part.pictures for cluster, part in found.parts.items()},
    }
