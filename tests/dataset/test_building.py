"""Data sets prepared by a real Spark from small sources of every kind: what gets in, where, and what does not."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs.prepare_dataset import run
from PIL import Image
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from tests.model.drawings import golden, write_idx

from inkstream.dataset.building import Recipe
from inkstream.dataset.manifest import Manifest
from inkstream.dataset.reading import is_prepared_data, read_manifest, read_split, read_training_data
from inkstream.dataset.sources import open_claimed, open_corrections, open_source, union_of
from inkstream.dataset.summary import manifest_tables
from inkstream.dataset.writing import require_new
from inkstream.errors import SchemaError, SettingError
from inkstream.model.augment import augment
from inkstream.settings import ImageSettings, Settings
from inkstream.spark import cassandra_conf
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from stream.conftest import await_keyspace

DIGITS = tuple("0123456789")
LIMITS = ImageSettings()
RECIPE = Recipe(DIGITS, held=0.3, test=0.2, augment=1, seed=7)
Array = np.ndarray[Any, Any]


def png(pixels: Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def prepared(spark: SparkSession, sources: list[DataFrame], out: Path, recipe: Recipe = RECIPE) -> Manifest:
    return run(spark, union_of(sources), LIMITS, recipe, ["test"], str(out), Console(quiet=True))


@pytest.fixture(scope="module")
def mixed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """An IDX set with its own test pictures, and a folder with doubles of them, broken files and a stranger."""
    root = tmp_path_factory.mktemp("mixed")
    pixels, labels = golden()
    write_idx(root / "idx", "train", pixels[:30], labels[:30])
    write_idx(root / "idx", "t10k", pixels[30:40], labels[30:40])
    for place in range(35, 48):  # 35..39 are test pictures of the IDX set
        folder = root / "folder" / str(labels[place])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place} a.png").write_bytes(png(pixels[place]))
    (root / "folder" / "7" / "broken.png").write_bytes(b"no picture")
    (root / "folder" / "7" / "blank.png").write_bytes(png(np.full((40, 40), 255, np.uint8)))
    (root / "folder" / "x").mkdir()
    (root / "folder" / "x" / "letter.png").write_bytes(png(pixels[0]))
    wrong = root / "folder" / str((labels[47] + 1) % 10)
    wrong.mkdir(exist_ok=True)
    (wrong / "47 b.png").write_bytes(png(pixels[47]))
    sources = [open_source(spark, str(root / name)) for name in ("idx", "folder")]
    return root, prepared(spark, sources, root / "out")


def test_doubles_broken_files_and_contradictions_stay_out_with_reasons(mixed: tuple[Path, Manifest]) -> None:
    _, manifest = mixed
    left = {code: count for counts in manifest.left_out.values() for code, count in counts.items()}
    assert left == {"blank": 1, "conflicting_labels": 2, "duplicate": 5, "unknown_label": 1, "unsupported_format": 1}
    assert manifest.pictures == 47


def test_a_sets_own_test_pictures_stay_test_and_its_others_never_become_it(mixed: tuple[Path, Manifest]) -> None:
    root, manifest = mixed
    pixels, _ = golden()
    test, _ = read_split(str(root / "out"), "test")
    assert manifest.sources["idx"]["test"] == 10
    learnt = {picture.tobytes() for picture in pixels[:30]}
    assert not learnt & {picture.tobytes() for picture in test.pixels}
    assert {picture.tobytes() for picture in pixels[30:40]} <= {picture.tobytes() for picture in test.pixels}


def test_the_same_sources_give_the_same_data_in_any_order(spark: SparkSession, mixed: tuple[Path, Manifest]) -> None:
    root, manifest = mixed
    sources = [open_source(spark, str(root / name)) for name in ("folder", "idx")]
    again = prepared(spark, sources, root / "again")
    assert again.sha256 == manifest.sha256
    assert (root / "again" / "contact_sheet.png").read_bytes() == (root / "out" / "contact_sheet.png").read_bytes()
    one, other = (read_training_data(str(root / name))[0] for name in ("out", "again"))
    assert one.digest() == other.digest()


def test_a_picture_keeps_its_side_in_other_company(spark: SparkSession, mixed: tuple[Path, Manifest]) -> None:
    root, _ = mixed
    alone = prepared(spark, [open_source(spark, str(root / "folder"))], root / "alone")
    assert alone.pictures == 12
    everywhere = {name: read_split(str(root / "out"), name)[0] for name in ("train", "held", "test")}
    sides = {p.tobytes(): name for name, part in everywhere.items() for p in part.pixels}
    pixels, _ = golden()
    for name in alone.counts:
        for picture in read_split(str(root / "alone"), name)[0].pixels:
            if not any(np.array_equal(picture, kept) for kept in pixels[35:40]):  # the IDX set said test
                assert sides[picture.tobytes()] == name


def test_copies_are_seeded_and_of_training_pictures_alone(mixed: tuple[Path, Manifest]) -> None:
    root, manifest = mixed
    data, labels = read_training_data(str(root / "out"))
    assert labels == list(DIGITS)
    assert data.extra is not None
    assert manifest.copies == len(data.extra) == len(data.train)
    assert np.array_equal(data.extra.labels, data.train.labels)
    assert not np.array_equal(data.extra.pixels, data.train.pixels)
    rng = np.random.default_rng((7, int(hashlib.sha256(data.train.pixels[0].tobytes()).hexdigest()[:16], 16), 1))
    assert np.array_equal(data.extra.pixels[0], augment(data.train.pixels[:1], rng)[0])
    assert data.source == manifest.sha256
    assert manifest_tables(manifest)


def test_a_csv_names_pictures_and_those_that_are_not_there_are_told(spark: SparkSession, tmp_path: Path) -> None:
    pixels, labels = golden()
    (tmp_path / "pictures").mkdir()
    lines = ["path,label", "pictures/missing.png,3"]
    for place in range(12):
        (tmp_path / "pictures" / f"p {place}.png").write_bytes(png(pixels[place]))
        start = f"{tmp_path}/" if place % 2 else ""
        lines.append(f"{start}pictures/p {place}.png,{labels[place]}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    manifest = prepared(spark, [open_source(spark, str(tmp_path / "list.csv"))], tmp_path / "out")
    assert manifest.pictures == 12
    assert manifest.left_out == {"list.csv": {"missing": 1}}


def test_a_prepared_set_and_any_parquet_of_pictures_are_sources(
    spark: SparkSession, mixed: tuple[Path, Manifest], tmp_path: Path
) -> None:
    root, manifest = mixed
    same = prepared(spark, [open_source(spark, str(root / "out"))], tmp_path / "same")
    assert (same.pictures, same.left_out) == (manifest.pictures, {})
    pixels, labels = golden()
    rows = [(bytearray(png(pixels[n])), str(labels[n])) for n in range(9)]
    spark.createDataFrame(rows, "image binary, label string").write.parquet(str(tmp_path / "p.parquet"))
    assert prepared(spark, [open_source(spark, str(tmp_path / "p.parquet"))], tmp_path / "out").pictures == 9


def test_what_is_no_source_and_what_is_in_the_way_is_named(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, told in (("nothing", "nothing at"), ("empty", "no labelled pictures")):
        with pytest.raises(SettingError, match=told):
            open_source(spark, str(tmp_path / name))
    (tmp_path / "table.csv").write_text("file,digit\na.png,1\n")
    with pytest.raises(SettingError, match="no column label and path"):
        open_source(spark, str(tmp_path / "table.csv"))
    (tmp_path / "empty" / "mine.txt").write_text("mine")
    with pytest.raises(SettingError, match="holds something else"):
        require_new(spark, str(tmp_path / "empty"), replace=False)
    assert not is_prepared_data(str(tmp_path / "empty"))
    (tmp_path / "empty" / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(SchemaError, match="describes no prepared data set"):
        read_manifest(str(tmp_path / "empty"))


@pytest.mark.services
def test_corrections_are_trusted_more_than_claims_and_the_newest_counts(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    apply_schema(settings)
    for key, value in cassandra_conf(settings).items():
        spark.conf.set(key, value)
    pixels, labels = golden()
    contents = [png(picture) for picture in pixels[:12]]
    with open_session(settings.cassandra) as session:
        for place, content in enumerate(contents):
            large = place == 0
            session.execute(
                "INSERT INTO images (image_id, claimed_label, bytes) VALUES (%s, %s, %s)",
                (f"i{place}", str((labels[place] + 1) % 10), None if large else content),
            )
            for part, start in enumerate(range(0, len(content), 100)) if large else ():
                session.execute(
                    "INSERT INTO image_parts (image_id, part, bytes) VALUES (%s, %s, %s)",
                    (f"i{place}", part, content[start : start + 100]),
                )
            for day, label in ((1, "0"), (2, str(labels[place]))) if place < 6 or place == 11 else ():
                at = datetime(2026, 1, day, tzinfo=timezone.utc)
                session.execute(
                    'INSERT INTO corrections (image_id, corrected_at, label, "by") VALUES (%s, %s, %s, %s)',
                    (f"i{place}", at, label, "somebody"),
                )
        session.execute("INSERT INTO forgotten (image_id) VALUES ('i11')")  # a late row of a picture nobody may use
    await_keyspace(spark, settings.cassandra.keyspace)
    recipe = Recipe(DIGITS, held=0.3, test=0.3, augment=0, seed=1)
    corrected = prepared(spark, [open_corrections(spark, settings)], tmp_path / "corrected", recipe)
    assert corrected.pictures == 6
    assert counted(corrected) == Counter(str(label) for label in labels[:6])
    both = prepared(
        spark, [open_corrections(spark, settings), open_claimed(spark, settings)], tmp_path / "both", recipe
    )
    claims = Counter(str((label + 1) % 10) for label in labels[6:11])
    assert counted(both) == counted(corrected) + claims
    assert both.left_out == {"claimed labels": {"duplicate": 6}}


def counted(manifest: Manifest) -> Counter[str]:
    return sum((Counter(counts) for counts in manifest.counts.values()), Counter[str]())
