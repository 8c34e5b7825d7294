"""A folder of a data set, or the stored answers, in; prepared pictures with their labels, as Spark reads them, out."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.errors import SettingError
from inkstream.image.idx import pictures_and_labels
from inkstream.report.vectors import PICTURES_DDL
from inkstream.settings import Settings
from inkstream.store.tables import read_table

_ROW_GROUP = 4_096  # a file is split between tasks at these


def stored_pictures(spark: SparkSession, settings: Settings, model_version: str) -> DataFrame:
    """PICTURES_DDL: what a model version saw of each upload; the label is the newest correction, else its answer."""
    answers = read_table(spark, settings, "predictions").filter(
        (F.col("model_version") == model_version) & F.col("prepared").isNotNull()
    )
    # max_by and not a join by time: there are few corrections, and one row per picture leaves the partition.
    corrected = (
        read_table(spark, settings, "corrections")
        .groupBy("image_id")
        .agg(F.max_by("label", "corrected_at").alias("corrected"))
    )
    label = F.coalesce("corrected", "label").alias("label")
    return answers.join(F.broadcast(corrected), "image_id", "left").select(
        "image_id", label, F.col("prepared").alias("pixels")
    )


def data_set_pictures(spark: SparkSession, path: str, scratch: Path) -> DataFrame:
    """PICTURES_DDL: the training pictures of a folder of MNIST's IDX files, or the Parquet that `prepare` writes.

    scratch: a folder that the workers see too; IDX pictures are put there, as Parquet.

    Raises:
        SettingError: there is neither, or the Parquet has no `pixels` and `label`.
    """
    local = Path(unquote(urlparse(path).path)) if path.startswith("file:") else Path(path)
    if local.is_dir() and any("idx3" in entry.name for entry in local.iterdir()):
        return _idx_pictures(spark, local, scratch)
    try:
        table = _parquet(spark, path)
    except AnalysisException as error:
        raise SettingError(
            f"--data has the value {path!r}: there are neither IDX files nor Parquet (of `./submit.sh prepare`)"
        ) from error
    if missing := {"pixels", "label"} - set(table.columns):
        raise SettingError(
            f"--data has the value {path!r}: its Parquet has no column {' and no '.join(sorted(missing))}"
        )
    name = next((name for name in ("image_id", "name", "sha256") if name in table.columns), None)
    id_ = F.col(name) if name else F.sha2("pixels", 256)
    return table.select(id_.cast("string").alias("image_id"), F.col("label").cast("string"), "pixels")


def _parquet(spark: SparkSession, path: str) -> DataFrame:
    """A folder of Parquet, or a prepared data set, which has it in data/ beside its manifest."""
    try:
        return spark.read.parquet(f"{path}/data")
    except AnalysisException:
        return spark.read.parquet(path)


def _idx_pictures(spark: SparkSession, folder: Path, scratch: Path) -> DataFrame:
    """By way of a file: what the driver itself hands to Spark travels with every task, and KMeans has many."""
    pixels, labels = pictures_and_labels(folder)
    table = pa.table(
        {
            "image_id": [f"train-images#{number}" for number in range(len(pixels))],
            "label": labels.astype(str).tolist(),
            "pixels": [picture.tobytes() for picture in pixels],
        }
    )
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "pictures.parquet"
    pq.write_table(table, file, row_group_size=_ROW_GROUP)
    return spark.read.schema(PICTURES_DDL).parquet(file.as_uri())
