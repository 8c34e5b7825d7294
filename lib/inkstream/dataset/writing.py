"""What prepare writes: the data, what was left out, the contact sheet, and last of all the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from inkstream.dataset.building import (
    Recipe,
    content_hash,
    kept_pictures,
    left_out_pictures,
    read_written,
    write_pictures,
)
from inkstream.dataset.contact_sheet import COLUMNS, Line, draw_contact_sheet
from inkstream.dataset.files import SparkFiles
from inkstream.dataset.manifest import CONTACT_SHEET, DATA, FORMAT, LEFT_OUT, MANIFEST, Manifest, nested
from inkstream.errors import SettingError
from inkstream.image.normalise import PREPROCESS
from inkstream.model.augment import SIDE


def require_new(spark: SparkSession, out: str, *, replace: bool) -> None:
    """See that no finished data set lies at `out`; with `replace` take it away. What a crash left is no data set.

    Raises:
        SettingError: one does.
    """
    files = SparkFiles(spark)
    if files.exists(f"{out}/{MANIFEST}") and not replace:
        raise SettingError(f"{out} holds a prepared data set; name another --out, or make it anew with --replace")
    if files.exists(out) and not replace and files.list(out) and not files.exists(f"{out}/{DATA}"):
        raise SettingError(f"{out} holds something else; name an --out that is empty or not there yet")
    for part in (MANIFEST, DATA, LEFT_OUT, CONTACT_SHEET):
        files.remove(f"{out}/{part}")


def write_data_set(
    spark: SparkSession, read: DataFrame, recipe: Recipe, made_from: Sequence[str], out: str
) -> Manifest:
    """Pictures as read_pictures gave them in; the manifest of what lies at `out` now out.

    Raises:
        SettingError: no picture got in.
    """
    kept = int(read.where("fate = 'kept'").count())
    left_out = left_out_pictures(read)
    left = [tuple(row) for row in left_out.groupBy("source", "reason_code").count().collect()]
    if not kept:
        told = ", ".join(f"{code}: {count}" for _, code, count in left) or "the sources are empty"
        raise SettingError(f"Not one picture of {', '.join(made_from)} can be used ({told})")
    write_pictures(kept_pictures(read, recipe), f"{out}/{DATA}", kept * (1 + recipe.augment))
    left_out.coalesce(1).write.parquet(f"{out}/{LEFT_OUT}", mode="overwrite")
    written = read_written(spark, f"{out}/{DATA}")
    rows = written.where("variant = 0").groupBy("split", "label", "source").count().collect()
    manifest = Manifest(
        format=FORMAT,
        sha256=content_hash(written),
        labels=recipe.labels,
        preprocess=PREPROCESS,
        height=SIDE,
        width=SIDE,
        pictures=kept,
        copies=int(written.where("variant > 0").count()),
        counts=nested((row.split, row.label, row["count"]) for row in rows),
        sources=nested((row.source, row.split, row["count"]) for row in rows),
        left_out=nested(left),
        held=recipe.held,
        test=recipe.test,
        augment=recipe.augment,
        seed=recipe.seed,
        made_from=tuple(made_from),
        code_version=version("inkstream"),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    files = SparkFiles(spark)
    files.write(f"{out}/{CONTACT_SHEET}", _contact_sheet(written, left_out, manifest))
    files.write(f"{out}/{MANIFEST}", manifest.to_json())
    return manifest


def _contact_sheet(written: DataFrame, left_out: DataFrame, manifest: Manifest) -> bytes:
    """A line for each label, beneath it copies of the first ones, and at the end what was left out."""
    training = written.where("split = 'train'")
    number = F.row_number().over(Window.partitionBy("label", "variant").orderBy("sha256"))
    chosen = training.where("variant <= 1").withColumn("number", number).where(F.col("number") <= COLUMNS).collect()
    lines = []
    for label in manifest.labels:
        for variant, title in ((0, label), (1, f"{label} augmented")):
            rows = sorted(
                (row for row in chosen if (row.label, row.variant) == (label, variant)), key=lambda r: r.number
            )
            if rows:
                lines.append(Line(title, [bytes(row.pixels) for row in rows]))
    place = F.row_number().over(Window.partitionBy("reason_code").orderBy("source", "name"))
    pictured = left_out.where("thumbnail is not null").withColumn("place", place).where(F.col("place") <= COLUMNS)
    left = pictured.orderBy("reason_code", "place").collect()
    for code in sorted({row.reason_code for row in left}):
        rows = [row for row in left if row.reason_code == code]
        names = [str(row.name).rpartition("/")[2] for row in rows]
        lines.append(Line(code, [bytes(row.thumbnail) for row in rows], names))
    copies = f" and {manifest.copies:,} augmented copies" if manifest.copies else ""
    title = f"{manifest.pictures:,} pictures{copies}, {manifest.preprocess}, data {manifest.sha256[:12]}"
    return draw_contact_sheet(title, lines)
