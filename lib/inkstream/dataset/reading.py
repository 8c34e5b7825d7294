"""A prepared data set's folder in, arrays out; without Spark, since whoever trains needs none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from inkstream.dataset.manifest import DATA, MANIFEST, Manifest, parse_manifest
from inkstream.errors import SchemaError, SettingError
from inkstream.model.examples import Labelled, TrainingData

_COLUMNS = ["sha256", "variant", "label", "split", "pixels"]
Table = Any


def is_prepared_data(path: str) -> bool:
    """Whether a prepared data set lies there: a path (local, hdfs://, s3a://) that holds a manifest."""
    files, folder = _opened(path)
    return bool(files.get_file_info(f"{folder}/{MANIFEST}").type == fs.FileType.File)


def read_manifest(path: str) -> Manifest:
    """Raises SettingError where there is none, SchemaError where it is none of ours."""
    files, folder = _opened(path)
    try:
        with files.open_input_stream(f"{folder}/{MANIFEST}") as stream:
            return parse_manifest(stream.read(), f"{path}/{MANIFEST}")
    except OSError as error:
        raise SettingError(f"{path} holds no prepared data set ({error}); `./submit.sh prepare` makes one") from error


def read_training_data(path: str) -> tuple[TrainingData, list[str]]:
    """The three parts, augmented copies as `extra`, and the labels in their order.

    Raises:
        SettingError: there is no data set. SchemaError: its files are not those that its manifest tells of.
    """
    manifest = read_manifest(path)
    table = _read(path)
    copies = table.column("variant").to_numpy() > 0
    split = np.asarray(table.column("split").to_pylist())
    everything = _labelled(table, manifest)
    train, held, test = (everything.at(np.flatnonzero((split == name) & ~copies)) for name in ("train", "held", "test"))
    told = {name: sum(counts.values()) for name, counts in manifest.counts.items()}
    found = {"train": len(train), "held": len(held), "test": len(test)}
    for name, count in found.items():
        if count != told.get(name, 0):
            raise SchemaError(
                f"{path} has {count} pictures in {name}, its manifest {told.get(name, 0)}; prepare it anew"
            )
        if not count:
            raise SettingError(f"{path} has no picture in {name}; prepare it with larger shares, or of more pictures")
    extra = everything.at(np.flatnonzero(copies)) if copies.any() else None
    return TrainingData(train, held, test, extra, manifest.sha256), list(manifest.labels)


def read_split(path: str, split: str) -> tuple[Labelled, list[str]]:
    """The pictures of one part, copies left out, and the labels in their order. Raises as read_training_data."""
    manifest = read_manifest(path)
    table = _read(path, (ds.field("split") == split) & (ds.field("variant") == 0))
    if not table.num_rows:
        raise SettingError(f"{path} has no picture in {split}; it has {', '.join(manifest.counts)}")
    return _labelled(table, manifest), list(manifest.labels)


def _read(path: str, wanted: Any = None) -> Table:
    """Rows in the order of their hashes, whatever files they lie in."""
    files, folder = _opened(path)
    partitions = ds.partitioning(pa.schema([("split", pa.string())]), flavor="hive")
    try:
        found = ds.dataset(f"{folder}/{DATA}", filesystem=files, format="parquet", partitioning=partitions)
        table = found.to_table(columns=_COLUMNS, filter=wanted)
    except (OSError, pa.ArrowInvalid) as error:
        raise SchemaError(f"{path}/{DATA} cannot be read ({error}); prepare the data set anew") from error
    return table.sort_by([("sha256", "ascending"), ("variant", "ascending")])


def _labelled(table: Table, manifest: Manifest) -> Labelled:
    places = {label: place for place, label in enumerate(manifest.labels)}
    raw = b"".join(table.column("pixels").to_pylist())
    pixels = np.frombuffer(raw, np.uint8).reshape(-1, manifest.height, manifest.width)
    return Labelled(pixels, np.array([places[label] for label in table.column("label").to_pylist()], np.int64))


def _opened(path: str) -> tuple[Any, str]:
    if "://" not in path and not path.startswith("file:"):
        return fs.LocalFileSystem(), path.rstrip("/")
    try:
        files, folder = fs.FileSystem.from_uri(path.replace("s3a://", "s3://").rstrip("/"))
    except (OSError, pa.ArrowInvalid) as error:
        raise SettingError(f"{path} cannot be opened ({error}); name a local path, hdfs:// or s3a://") from error
    return files, folder
