"""Where labelled pictures come from: IDX sets, labelled folders, Parquet, a CSV of paths, corrections in Cassandra.

Each source becomes rows of records.LABELLED_PICTURE; what a picture says is looked at by the workers, later.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.arrow import map_in_arrow
from inkstream.dataset.files import Entry, SparkFiles
from inkstream.errors import SettingError
from inkstream.image.idx import parse_idx
from inkstream.records import LABELLED_PICTURE
from inkstream.settings import Settings
from inkstream.store.forgotten import without_forgotten
from inkstream.store.tables import read_table

TEST, TRAIN = "test", "train"
CLAIMED, GIVEN, CORRECTED = 0, 1, 2  # how far a label is trusted, where sources contradict each other
_IDX_ROWS = 1000
_IMAGE_COLUMNS = ("bytes", "image", "content", "image.bytes", "prepared", "pixels")
_SIDE = 28
_IDX_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("label", pa.string()),
        ("content", pa.binary()),
        ("height", pa.int32()),
        ("width", pa.int32()),
    ]
)


def open_source(spark: SparkSession, path: str) -> DataFrame:
    """The labelled pictures under a Spark path; what kind it is, its content says.

    A folder of IDX files, a folder of folders named by their label, Parquet (a file or a folder), or a CSV file with
    the columns path and label.

    Raises:
        SettingError: there is nothing, or nothing of these kinds.
    """
    files = SparkFiles(spark)
    if not files.exists(path):
        raise SettingError(f"There is nothing at {path}; name a folder or file that every Spark worker sees")
    if not files.is_folder(path):
        if path.lower().endswith(".csv"):
            return _csv_source(spark, files, path)
        if path.lower().endswith(".parquet"):
            return _parquet_source(spark, path)
        raise SettingError(f"{path} is no source of labelled pictures; a file ends in .csv or .parquet")
    entries = files.list(path)
    if pairs := _idx_pairs(entries):
        return _union([_idx_source(spark, files, path, *pair) for pair in pairs])
    if any(entry.name.endswith(".parquet") for entry in entries) or any("=" in entry.name for entry in entries):
        return _parquet_source(spark, path)
    if any(entry.is_folder and entry.name == "data" for entry in entries) and files.exists(f"{path}/manifest.json"):
        return _parquet_source(spark, f"{path}/data")
    if any(entry.is_folder for entry in entries):
        return _folder_source(spark, files, path)
    raise SettingError(
        f"{path} holds no labelled pictures: neither IDX files (train-images-idx3-ubyte), nor Parquet, nor folders "
        "that are named by their label"
    )


def open_evaluated(spark: SparkSession, path: str, split: str) -> DataFrame:
    """As open_source, but of a prepared data set that split alone, copies left out. Raises SettingError as well."""
    files = SparkFiles(spark)
    if not files.exists(f"{path}/manifest.json"):
        return open_source(spark, path)
    table = spark.read.parquet(f"{path}/data").where((F.col("split") == split) & (F.col("variant") == 0))
    rows = table.select("name", "label", F.col("pixels").alias("content"))
    side = F.lit(_SIDE)
    return _row(rows, _last(path), height=side, width=side)


def open_corrections(spark: SparkSession, settings: Settings) -> DataFrame:
    """Stored pictures with what people say they show; of several corrections the newest."""
    newest = F.row_number().over(_by_image_newest())
    corrections = read_table(spark, settings, "corrections").withColumn("newest", newest).where("newest = 1")
    labels = corrections.select("image_id", F.col("label"))
    return _stored(spark, settings, labels, "corrections", CORRECTED)


def open_claimed(spark: SparkSession, settings: Settings) -> DataFrame:
    """Stored pictures with the label that their uploader claimed. Anybody can claim anything."""
    images = read_table(spark, settings, "images").where("claimed_label is not null")
    labels = images.select("image_id", F.col("claimed_label").alias("label"))
    return _stored(spark, settings, labels, "claimed labels", CLAIMED)


def union_of(sources: list[DataFrame]) -> DataFrame:
    """All their rows."""
    return _union(sources)


def _union(frames: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames)


def _row(frame: DataFrame, source: str, trust: int = GIVEN, **columns: Any) -> DataFrame:
    """The frame with exactly the declared columns; those that nobody gives are null."""
    given = {"source": F.lit(source), "trust": F.lit(trust), **columns}
    chosen = []
    for name, type_ in LABELLED_PICTURE.items():
        value = given.get(name, F.col(name) if name in frame.columns else F.lit(None))
        chosen.append(value.cast(type_).alias(name))
    return frame.select(*chosen)


# --- IDX ------------------------------------------------------------------------------------------------------


def _idx_pairs(entries: list[Entry]) -> list[tuple[Entry, Entry]]:
    """Files of pictures with the file of labels that belongs to each."""
    by_name = {entry.name: entry for entry in entries if not entry.is_folder}
    pairs = []
    for name, entry in by_name.items():
        plain = name.removesuffix(".gz").replace(".idx", "-idx")
        if not plain.endswith("images-idx3-ubyte"):
            continue
        wanted = plain.replace("images-idx3", "labels-idx1")
        labels = [by_name[n] for n in by_name if n.removesuffix(".gz").replace(".idx", "-idx") == wanted]
        if labels:
            pairs.append((entry, labels[0]))
    return pairs


def _idx_source(spark: SparkSession, files: SparkFiles, folder: str, images: Entry, labels: Entry) -> DataFrame:
    truths = parse_idx(files.read(labels.path), labels.path)
    name = images.name.removesuffix(".gz").removesuffix("-idx3-ubyte").removesuffix(".idx3-ubyte")
    split = TEST if "t10k" in name or "test" in name else TRAIN

    def unpack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for content in batch.column("content"):
                yield from idx_batches(content.as_py(), truths, name)

    packed = spark.read.format("binaryFile").load(images.path).select("content")
    rows = map_in_arrow(packed, unpack, "name string, label string, content binary, height int, width int")
    return _row(rows, _last(folder), split_hint=F.lit(split))


def idx_batches(content: bytes, labels: np.ndarray[Any, Any], name: str) -> Iterator[pa.RecordBatch]:
    """An IDX file's bytes and uint8 (N,) labels in; batches of name#number, label and one byte a pixel out."""
    pictures = parse_idx(content, name)
    if pictures.ndim != 3 or labels.shape != pictures.shape[:1]:
        raise SettingError(f"{name} has pictures of shape {pictures.shape} and labels of shape {labels.shape}")
    _, height, width = pictures.shape
    for start in range(0, len(pictures), _IDX_ROWS):
        chosen = pictures[start : start + _IDX_ROWS]
        numbers = range(start, start + len(chosen))
        columns = [
            pa.array([f"{name}#{number}" for number in numbers]),
            pa.array([str(label) for label in labels[start : start + _IDX_ROWS].tolist()]),
            pa.array([picture.tobytes() for picture in chosen], pa.binary()),
            pa.array([height] * len(chosen), pa.int32()),
            pa.array([width] * len(chosen), pa.int32()),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_IDX_SCHEMA)


# --- files ----------------------------------------------------------------------------------------------------


def _folder_source(spark: SparkSession, files: SparkFiles, folder: str) -> DataFrame:
    found = _binary_files(spark, folder, recursive=True)
    parts = F.split("path", "/")
    return _row(found, _last(folder), label=F.element_at(parts, -2), name=_below(files, folder))


def _csv_source(spark: SparkSession, files: SparkFiles, path: str) -> DataFrame:
    table = spark.read.csv(path, header=True)
    if missing := {"path", "label"} - set(table.columns):
        raise SettingError(f"{path} has no column {' and '.join(sorted(missing))}; its first line is path,label")
    root = files.qualified(path).rpartition("/")[0]
    absolute = F.when(F.col("path").rlike("^(/|[a-z0-9]+:)"), F.col("path")).otherwise(
        F.concat(F.lit(root + "/"), F.col("path"))
    )
    listed = table.select(F.col("path").alias("name"), "label", _without_file_scheme(absolute).alias("at"))
    folders = [row[0] for row in listed.select(F.regexp_replace("at", "/[^/]*$", "")).distinct().collect()]
    there = [folder for folder in folders if files.is_folder(folder)]
    if not there:
        raise SettingError(f"{path} names pictures in {len(folders)} folders, and none of these is there")
    found = _union([_binary_files(spark, folder, recursive=False) for folder in there])
    joined = listed.join(found.withColumn("at", _without_file_scheme(F.col("path"))), "at", "left")
    return _row(joined.drop("path"), _last(path))


def _without_file_scheme(path: Any) -> Any:
    """One spelling of a local path: Spark says file:/a, others write file:///a or /a."""
    return F.regexp_replace(path, "^file:/*", "/")


def _binary_files(spark: SparkSession, folder: str, *, recursive: bool) -> DataFrame:
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", str(recursive).lower())
    return reader.load(folder).select("path", "content")


def _below(files: SparkFiles, folder: str) -> Any:
    """The path without the folder's."""
    start = len(files.qualified(folder).rstrip("/")) + 2
    return F.expr(f"substring(path, {start})")


def _parquet_source(spark: SparkSession, path: str) -> DataFrame:
    table = spark.read.parquet(path)
    columns = {field.name for field in table.schema.fields}
    columns |= {f"{f.name}.{n}" for f in table.schema.fields for n in getattr(f.dataType, "names", [])}
    content = next((name for name in _IMAGE_COLUMNS if name in columns), None)
    if content is None or "label" not in columns:
        raise SettingError(
            f"{path} has the columns {', '.join(sorted(columns))}; there must be `label`, and the picture's bytes in "
            f"one of {', '.join(_IMAGE_COLUMNS)}"
        )
    raw = content in ("prepared", "pixels")  # a byte a pixel, 28 by 28
    side = F.lit(_SIDE if raw else None)
    named = [name for name in ("name", "filename", "path", "image.path", "image_id") if name in columns]
    name = F.coalesce(*(F.col(one) for one in named), F.lit("?")) if named else F.input_file_name()
    if "variant" in columns:  # our own: made copies are made anew
        table = table.where("variant = 0")
    hint = {"split_hint": F.when(F.col("split") == TEST, TEST).otherwise(TRAIN)} if "split" in columns else {}
    rows = table.select("label", F.col(content).alias("content"), name.alias("name"), *({"split"} & columns))
    return _row(rows, _last(path), height=side, width=side, **hint)


# --- Cassandra ------------------------------------------------------------------------------------------------


def _by_image_newest() -> Any:
    from pyspark.sql import Window

    return Window.partitionBy("image_id").orderBy(F.col("corrected_at").desc(), "by", "label")


def _stored(spark: SparkSession, settings: Settings, labels: DataFrame, source: str, trust: int) -> DataFrame:
    labels = without_forgotten(labels, settings)
    images = read_table(spark, settings, "images").select("image_id", "bytes")
    parts = read_table(spark, settings, "image_parts")
    wanted = parts.join(labels.select("image_id"), "image_id", "left_semi")
    ordered = F.sort_array(F.collect_list(F.struct("part", "bytes")))
    whole = wanted.groupBy("image_id").agg(ordered.alias("parts"))
    joined_bytes = F.expr("aggregate(parts, cast('' as binary), (whole, part) -> concat(whole, part.bytes))")
    large = whole.select("image_id", joined_bytes.alias("joined"))
    rows = labels.join(images, "image_id").join(large, "image_id", "left")
    content = F.coalesce("bytes", "joined")
    return _row(rows, source, trust, name=F.col("image_id"), content=content)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
