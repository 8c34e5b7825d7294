"""Labelled pictures of all sources in, a prepared data set out: read, freed of doubles, split, augmented, written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from inkstream.arrow import map_in_arrow
from inkstream.dataset.preparing import READ_DDL, ReadTask, augment_batches, read_batches
from inkstream.dataset.sources import TEST, TRAIN
from inkstream.records import LABELLED_PICTURE, LEFT_OUT_PICTURE, PREPARED_PICTURE
from inkstream.settings import ImageSettings

_A_FILE = 50_000  # pictures
_PREPARED_DDL = ", ".join(f"{name} {type_}" for name, type_ in PREPARED_PICTURE.items())


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a data set is made. held, test: shares of the pictures. augment: copies of each training picture."""

    labels: tuple[str, ...]
    held: float
    test: float
    augment: int
    seed: int


def read_pictures(pictures: DataFrame, limits: ImageSettings, recipe: Recipe, partitions: int) -> DataFrame:
    """records.LABELLED_PICTURE in; each decoded and normalised, or with its reason, and its `fate`, out. Persisted.

    fate: `kept`, `rejected`, `duplicate`, `conflicting_labels`. Of pictures with the same pixels one is kept, that of
    the most trusted source; where these contradict each other, none.
    """
    task = ReadTask(limits, recipe.labels)
    spread = pictures.select(*LABELLED_PICTURE).repartition(partitions)
    read = map_in_arrow(spread, partial(read_batches, task), READ_DDL)
    same = Window.partitionBy("sha256")
    best = Window.partitionBy("sha256").orderBy(F.desc("trust"), F.desc(F.col("split_hint") == TEST), "source", "name")
    fate = (
        F.when(F.col("sha256").isNull(), "rejected")
        .when(F.col("labels") > 1, "conflicting_labels")
        .when(F.col("place") > 1, "duplicate")
        .otherwise("kept")
    )
    trusted = F.when(F.col("trust") == F.col("most_trust"), F.col("label"))
    with_company = (
        read.withColumn("most_trust", F.max("trust").over(same))
        .withColumn("labels", F.size(F.collect_set(trusted).over(same)))
        .withColumn("has_test", F.max(F.col("split_hint") == TEST).over(same))
        .withColumn("place", F.row_number().over(best))
    )
    found = with_company.withColumn("fate", fate).drop("most_trust", "labels", "place")
    return found.persist()


def kept_pictures(read: DataFrame, recipe: Recipe) -> DataFrame:
    """What read_pictures gave in; records.PREPARED_PICTURE out: split by the hash of their pixels, with their copies.

    A set's own test pictures stay test, and its training pictures never become it.
    """
    share = F.conv(F.substring("sha256", 1, 13), 16, 10).cast("double") / float(16**13)
    by_hash = F.when(share < recipe.test, TEST).when(share < recipe.test + recipe.held, "held").otherwise(TRAIN)
    own_train = (F.col("split_hint") == TRAIN) & (by_hash == TEST)
    split = F.when(F.col("has_test"), TEST).when(own_train, TRAIN).otherwise(by_hash)
    kept = read.where("fate = 'kept'").withColumn("split", split).withColumn("variant", F.lit(0))
    rows = kept.select(*(F.col(name).cast(type_) for name, type_ in PREPARED_PICTURE.items()))
    if not recipe.augment:
        return rows
    made = partial(augment_batches, recipe.augment, recipe.seed)
    training = map_in_arrow(rows.where("split = 'train'"), made, _PREPARED_DDL)
    return rows.where("split <> 'train'").unionByName(training)


def left_out_pictures(read: DataFrame) -> DataFrame:
    """What did not get in, with reasons: records.LEFT_OUT_PICTURE."""
    told = {
        "duplicate": "Another picture has the same pixels.",
        "conflicting_labels": "Pictures with the same pixels have other labels.",
    }
    reason = F.col("reason")
    for fate, sentence in told.items():
        reason = F.when(F.col("fate") == fate, sentence).otherwise(reason)
    code = F.coalesce("reason_code", "fate")
    left = read.where("fate <> 'kept'").withColumn("reason", reason).withColumn("reason_code", code)
    return left.select(*LEFT_OUT_PICTURE)


def write_pictures(pictures: DataFrame, path: str, count: int) -> None:
    """Parquet, a folder for each split, rows in the order of their hashes."""
    files = max(1, -(-count // _A_FILE))
    ordered = pictures.repartition(files, "sha256").sortWithinPartitions("split", "sha256", "variant")
    ordered.write.partitionBy("split").parquet(path, mode="overwrite")


def content_hash(pictures: DataFrame) -> str:
    """sha256 (hex) of every row's content, whatever their order, partitions and files."""
    row = F.sha2(F.concat_ws("|", "sha256", "variant", "label", "split", F.sha2("pixels", 256)), 256)
    groups = (
        pictures.select(F.substring("sha256", 1, 2).alias("prefix"), row.alias("row"))
        .groupBy("prefix")
        .agg(F.sha2(F.concat_ws("", F.sort_array(F.collect_list("row"))), 256).alias("digest"))
    )
    whole = groups.agg(F.sha2(F.concat_ws("", F.sort_array(F.collect_list(F.concat("prefix", "digest")))), 256))
    return str(whole.first()[0])


def read_written(spark: SparkSession, path: str) -> DataFrame:
    """The Parquet of a prepared data set: records.PREPARED_PICTURE."""
    schema: Any = _PREPARED_DDL
    return spark.read.schema(schema).parquet(path)
