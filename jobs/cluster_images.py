"""Prepared pictures -> embeddings -> KMeans: clusters, their pictures on a page, the odd ones, kinds of sources."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from inkstream.errors import SettingError
from inkstream.job_errors import exit_status_of
from inkstream.model.bundle import Bundle
from inkstream.model.shelf import Shelf
from inkstream.report.cluster_page import cluster_table, cluster_title, write_cluster_page
from inkstream.report.clustering import Found, cluster_pictures, facts_of
from inkstream.report.clusters import load_clusters, save_clusters
from inkstream.report.pictures import data_set_pictures, stored_pictures
from inkstream.report.profiles import find_kinds, profile_sources, stored_answers
from inkstream.settings import Settings, home, load_settings
from inkstream.spark import build_session
from inkstream.store.registry import version_in_use
from inkstream.store.session import open_session


def main(argv: list[str] | None = None) -> int:
    """Read the settings, open what is to be clustered, cluster it, write the page and the model."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    try:
        settings = load_settings()
        name = "inkstream-cluster"
        spark = build_session(settings, name, cassandra=not arguments.data)
        bundle = _bundle_in_use(settings, stored=not arguments.data)
        found = run(spark, settings, bundle, arguments, Console(stderr=True, highlight=False))
        if arguments.json:
            sys.stdout.write(json.dumps(facts_of(found), allow_nan=False) + "\n")
        spark.stop()
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return 0


def run(
    spark: SparkSession, settings: Settings, bundle: Bundle, arguments: argparse.Namespace, console: Console
) -> Found:
    """Cluster, and write clusters.html, the saved model and each picture's cluster below the folder --out."""
    out = Path(arguments.out or settings.local.path / "clusters")
    out = out if out.is_absolute() else home() / out
    known = load_clusters(spark, arguments.assign, bundle.version) if arguments.assign else None
    if arguments.data:
        pictures, what = data_set_pictures(spark, arguments.data, out / "pictures"), f"the data set {arguments.data}"
    else:
        pictures, what = stored_pictures(spark, settings, bundle.version), "the stored uploads"
    found, assigned = cluster_pictures(
        spark,
        pictures,
        bundle,
        what=what,
        k=arguments.k,
        known=known,
        ks=range(2, arguments.most + 1),
        told=lambda step: console.print(f"[dim]{step} ...[/]"),
    )
    if not arguments.data:
        console.print("[dim]comparing the sources ...[/]")
        found.kinds = find_kinds(
            profile_sources(stored_answers(spark, settings, bundle.version), bundle.labels), bundle.labels
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        page = write_cluster_page(out / "clusters.html", found)
    except OSError as error:
        raise SettingError(f"--out has the value {str(out)!r}: it cannot be written ({error.strerror})") from error
    assigned.drop("pixels", "vector").write.mode("overwrite").parquet((out / "assignments").as_uri())
    if known is None:
        save_clusters(spark, found.clustering, (out / "model").as_uri(), facts_of(found))
    shutil.rmtree(out / "pictures", ignore_errors=True)
    console.print(cluster_title(found), soft_wrap=True)
    console.print(cluster_table(found))
    console.print(f"The pictures are in {page}; each picture's cluster in {out / 'assignments'}", soft_wrap=True)
    return found


def _bundle_in_use(settings: Settings, *, stored: bool) -> Bundle:
    """The model that answers at present, as the registry says; for files, which need no Cassandra, the default."""
    shelf = Shelf(settings)
    if not stored:
        return shelf.default
    with open_session(settings.cassandra) as session:
        return shelf.load(version_in_use(session, settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster_images.py", description=__doc__)
    parser.add_argument("--data", default="", help="a folder of IDX files or of Parquet; default: the stored uploads")
    parser.add_argument("--k", type=int, help="clusters; default: as many as give the highest silhouette")
    parser.add_argument("--most", type=int, default=15, help="clusters to try at most, when looking for how many")
    parser.add_argument("--assign", default="", help="no new clusters: those of this saved model (a Spark path)")
    parser.add_argument("--out", default="", help="the folder to write to; default: clusters below local.folder")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on standard output")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
