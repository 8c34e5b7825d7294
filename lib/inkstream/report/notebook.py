"""What a notebook begins with: a Spark session with everything set up, labelled pictures, contact sheets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from inkstream.image.samples import label_of, sample_files
from inkstream.local.jars import class_path
from inkstream.local.java import java_home
from inkstream.model.bundle import Bundle, load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.report.pictures import data_set_pictures
from inkstream.report.vectors import PICTURES_DDL
from inkstream.report.warehouse import EXTENSIONS, JARS, open_warehouse
from inkstream.settings import Settings
from inkstream.spark import build_own_session
from inkstream.submit import java_options


def open_notebook(settings: Settings) -> SparkSession:
    """This process's Spark session, on the warehouse and, where its address is known, on Cassandra."""
    more = {
        "spark.master": settings.spark.master,
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.extraJavaOptions": java_options(settings),  # lives long enough for the optimising compiler
        "spark.sql.extensions": ",".join(EXTENSIONS),
    }
    path = class_path(settings, *JARS)
    addressed = bool(settings.cassandra.contact_points)
    spark = build_own_session(settings, "inkstream-notebook", path, java_home(), cassandra=addressed, more=more)
    return open_warehouse(spark, settings)


def current_bundle(settings: Settings) -> Bundle:
    """The settings' bundle, else the shipped one."""
    return load_bundle(settings.model.bundle or shipped_bundle())


def labelled_pictures(spark: SparkSession, settings: Settings, data: str = "") -> DataFrame:
    """image_id, label, pixels: of a folder of IDX files or Parquet; without one, of the samples that ship."""
    if data:
        return data_set_pictures(spark, data, settings.local.path / "notebooks")
    return spark.createDataFrame(_samples(settings), PICTURES_DDL)


def contact_sheet(pictures: Sequence[bytes], titles: Iterable[str], columns: int = 12) -> Any:
    """Pictures of 28x28 bytes in; a matplotlib figure with each under its title out."""
    from matplotlib.figure import Figure

    rows = max(1, -(-len(pictures) // columns))
    figure = Figure(figsize=(columns * 0.9, rows * 1.1), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place in axes:
        place.axis("off")
    for place, picture, title in zip(axes, pictures, titles, strict=False):
        place.imshow(np.frombuffer(picture, np.uint8).reshape(28, 28), cmap="gray_r", vmin=0, vmax=255)
        place.set_title(title, fontsize=8)
    return figure


def _samples(settings: Settings) -> pd.DataFrame:
    files = sample_files()
    readings = Reader(current_bundle(settings), settings.image).read([path.read_bytes() for path in files])
    rows = [
        (path.name, label_of(path), reading.prepared.tobytes())
        for path, reading in zip(files, readings, strict=True)
        if reading.prepared is not None and label_of(path)
    ]
    return pd.DataFrame(rows, columns=["image_id", "label", "pixels"])
