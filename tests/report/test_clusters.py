"""Pictures to clusters, through real Spark: the golden digits, each moved and dimmed in many ways."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jobs.cluster_images import _parser, run
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from sklearn.metrics import silhouette_score

from inkstream.errors import FoundError, SettingError
from inkstream.model.bundle import Bundle, load_bundle, shipped_bundle
from inkstream.model.embedding import Embedder
from inkstream.report.cluster_views import majorities, nearest_centres
from inkstream.report.clustering import Found, cluster_pictures, facts_of
from inkstream.report.clusters import Candidate, choose_k, load_clusters, purity, silhouette
from inkstream.report.vectors import PICTURES_DDL, fit_projection
from inkstream.settings import load_settings

COUNT = 480
MISLABELLED = "picture-0007"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(shipped_bundle())


@pytest.fixture(scope="module")
def table(bundle: Bundle) -> pd.DataFrame:
    """image_id, label, pixels of COUNT pictures; one of them has a wrong label."""
    golden = bundle.golden
    labels = golden.probabilities.argmax(axis=1)
    sure = [np.flatnonzero((labels == digit) & (golden.probabilities.max(axis=1) > 0.9)) for digit in range(10)]
    rng = np.random.default_rng(3)
    rows = []
    for number in range(COUNT):
        which = sure[number % 10][number // 10 % len(sure[number % 10])]
        moved = np.roll(golden.pixels[which], rng.integers(-1, 2, 2), (0, 1)) * rng.uniform(0.8, 1)
        rows.append((f"picture-{number:04}", str(labels[which]), moved.astype(np.uint8).tobytes()))
    table = pd.DataFrame(rows, columns=["image_id", "label", "pixels"])
    wrong = table["image_id"] == MISLABELLED
    table.loc[wrong, "label"] = str((int(table.loc[wrong, "label"].iloc[0]) + 1) % 10)
    return table


@pytest.fixture(scope="module")
def parquet(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    table.to_parquet(folder / "pictures.parquet")
    return folder


@pytest.fixture(scope="module")
def clustered(
    spark: SparkSession, bundle: Bundle, parquet: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Found, Path]:
    """What the job found, and the folder that it wrote."""
    out = tmp_path_factory.mktemp("clusters")
    return _run(spark, bundle, "--data", str(parquet), "--k", "10", "--most", "3", "--out", str(out)), out


def _run(spark: SparkSession, bundle: Bundle, *arguments: str) -> Found:
    options: argparse.Namespace = _parser().parse_args(list(arguments))
    return run(spark, load_settings(), bundle, options, Console(quiet=True))


def test_the_clusters_are_the_digits(clustered: tuple[Found, Path], table: pd.DataFrame) -> None:
    found, _ = clustered
    assert found.pictures == COUNT
    assert sorted(set(found.majority.values())) == sorted(table["label"].unique())
    assert found.purity > 0.95
    assert sum(part.pictures for part in found.parts.values()) == COUNT == sum(found.counts.values())


def test_what_the_page_shows_is_what_plain_numpy_finds(
    clustered: tuple[Found, Path], table: pd.DataFrame, bundle: Bundle
) -> None:
    found, out = clustered
    pixels = np.stack([np.frombuffer(content, np.uint8) for content in table["pixels"]])
    embeddings = Embedder(bundle).embed(pixels.reshape(-1, 28, 28))
    vectors = (embeddings - found.clustering.projection.mean) @ found.clustering.projection.axes
    distances = np.linalg.norm(vectors[:, None] - found.clustering.centres[None], axis=2)
    nearest = distances.argmin(axis=1)
    written = pd.read_parquet(out / "assignments").set_index("image_id").loc[table["image_id"]]
    assert written["cluster"].tolist() == nearest.tolist()
    assert np.abs(written["distance"] - distances.min(axis=1)).max() < 1e-3
    for cluster, part in found.parts.items():
        mine = np.flatnonzero(nearest == cluster)
        assert part.pictures == len(mine)
        assert np.abs(np.frombuffer(part.mean, np.uint8) - pixels[mine].mean(axis=0)).max() <= 0.5 + 1e-9
        order = mine[np.argsort(distances[mine, cluster], kind="stable")]
        expected = distances[order[: len(part.nearest)], cluster]
        assert [example.distance for example in part.nearest] == pytest.approx(expected.tolist(), abs=1e-3)
    counted = Counter(zip(nearest.tolist(), table["label"], strict=True))
    best = Counter(
        {cluster: max(n for (c, _), n in counted.items() if c == cluster) for cluster in set(nearest.tolist())}
    )
    assert found.purity == sum(best.values()) / COUNT


def test_a_wrong_label_shows_among_those_labelled_otherwise(clustered: tuple[Found, Path]) -> None:
    found, _ = clustered
    assert MISLABELLED in [example.image_id for example in found.labelled_otherwise]
    assert all(example.label != found.majority[example.cluster] for example in found.labelled_otherwise)


def test_the_page_holds_all_of_it_and_needs_nothing_beside_it(clustered: tuple[Found, Path]) -> None:
    found, out = clustered
    page = (out / "clusters.html").read_text()
    assert page.count('<section class="card">') == 10
    assert MISLABELLED in page
    assert f"{found.purity * 100:.1f} %" in page
    assert 'src="data:image/png' in page
    assert "http" not in page.replace("http-equiv", "")


def test_saved_clusters_put_the_same_pictures_where_they_were(
    clustered: tuple[Found, Path], spark: SparkSession, bundle: Bundle, parquet: Path, tmp_path: Path
) -> None:
    _, out = clustered
    _run(spark, bundle, "--data", str(parquet), "--assign", str(out / "model"), "--out", str(tmp_path))
    before, after = (pd.read_parquet(folder / "assignments").sort_values("image_id") for folder in (out, tmp_path))
    assert after["cluster"].tolist() == before["cluster"].tolist()
    assert not (tmp_path / "model").exists()


def test_clusters_of_another_model_are_refused(clustered: tuple[Found, Path], spark: SparkSession) -> None:
    _, out = clustered
    with pytest.raises(SettingError, match="the current one is another"):
        load_clusters(spark, str(out / "model"), "another")
    with pytest.raises(SettingError, match="no saved clusters can be read there"):
        load_clusters(spark, str(out / "nowhere"), "another")


def test_the_facts_are_json(clustered: tuple[Found, Path]) -> None:
    found, _ = clustered
    facts = json.loads(json.dumps(facts_of(found), allow_nan=False))
    assert (facts["clusters"], facts["pictures"], facts["purity"]) == (10, COUNT, found.purity)
    assert [candidate["k"] for candidate in facts["elbow"]] == [2, 3]


def test_too_few_pictures_are_told(spark: SparkSession, bundle: Bundle, table: pd.DataFrame) -> None:
    one: DataFrame = spark.createDataFrame(list(table[:1].itertuples(index=False, name=None)), PICTURES_DDL)
    with pytest.raises(FoundError, match="There are 1 pictures"):
        cluster_pictures(spark, one, bundle, what="a test")


def test_a_folder_without_pictures_is_refused(spark: SparkSession, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="neither IDX files nor Parquet"):
        _run(spark, bundle, "--data", str(tmp_path))


def test_the_number_of_clusters_is_that_of_the_best_silhouette() -> None:
    assert choose_k([Candidate(2, 9.0, 0.2), Candidate(3, 5.0, 0.6), Candidate(4, 4.0, 0.5)]) == 3
    assert choose_k([Candidate(2, 9.0, 0.5), Candidate(3, 5.0, 0.5)]) == 2


def test_the_silhouette_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.normal(centre, 1.0, (count, 3)) for centre, count in ((0, 40), (3, 25), (9, 1))])
    clusters = np.repeat([0, 4, 2], [40, 25, 1])
    expected = silhouette_score(points, clusters, metric="sqeuclidean")
    assert silhouette(points.astype(np.float32), clusters) == pytest.approx(expected, abs=1e-6)
    assert silhouette(points.astype(np.float32), np.zeros(66, int)) == 0.0


def test_purity_counts_the_labelled_alone() -> None:
    assert purity({(0, "1"): 8, (0, "2"): 2, (1, "2"): 5, (1, ""): 100}) == pytest.approx(13 / 15)
    assert np.isnan(purity({(0, ""): 3}))
    assert majorities({(0, "2"): 4, (0, "1"): 4, (1, ""): 9}) == {0: "1"}


def test_the_axes_are_those_of_the_largest_variance() -> None:
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(500, 5)) * [0.1, 3.0, 0.1, 1.0, 0.1] + 7).astype(np.float32)
    projection = fit_projection(points, "v", 2)
    assert np.abs(projection.axes[1, 0]) > 0.99
    assert np.abs(projection.axes[3, 1]) > 0.99
    assert projection.kept > 0.95
    assert type(projection).from_bytes(projection.to_bytes()).axes.tolist() == projection.axes.tolist()


def test_the_nearest_centre_is_found() -> None:
    nearest, distances = nearest_centres(
        np.array([[0, 0], [3, 4]], np.float32), np.array([[10, 10], [0, 0]], np.float32)
    )
    assert nearest.tolist() == [1, 1]
    assert distances.tolist() == pytest.approx([0, 5])
