"""A model bundle: folder or bytes in, a checked, frozen Bundle out.

A folder is immutable and holds `model.keras`, `model.tflite`, `golden/golden.npz` and `bundle.json`; that of a cascade
also `second.*`, and `third.*` where it has three: the networks that answer what those before them are unsure of.
bundle.json names the sha256 of each other file and its own version: the sha256 of everything else that it says. So one
flipped byte anywhere is found when the bundle is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inkstream.errors import BundleError
from inkstream.model.keras_archive import check_keras_archive
from inkstream.model.manifest import FORMAT, MANIFEST, NETWORKS, Facts, Manifest, Step, parse_manifest

if TYPE_CHECKING:
    from inkstream.model.engine import Engine

TFLITE_FILES = tuple(f"{name}.tflite" for name in NETWORKS)
KERAS_FILES = tuple(f"{name}.keras" for name in NETWORKS)
GOLDEN_FILE = "golden/golden.npz"
# What the same bundle may differ by between kinds of machine. Rounded otherwise by one part in 10,000,000 (1,000,000),
# as another order of sums does, the answers of an 8-bit network move by up to 0.0004 (0.005).
GOLDEN_TOLERANCE = 1e-2
_MAGIC = b"inkstream-bundle/3\n"


@dataclass(frozen=True)
class Golden:
    """pixels: uint8 (N, *input_shape), 0..255, prepared. probabilities: float32 (N, classes), LiteRT's answers."""

    pixels: np.ndarray[Any, Any]
    probabilities: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bundle:
    """A checked bundle. `threshold`: confidence under it is `uncertain`.

    networks: LiteRT models, one, or a cascade's two or three in the order in which they are asked. keras: their files
    in the same order, or none where it came as bytes.
    """

    labels: tuple[str, ...]
    version: str
    preprocess: str
    input_shape: tuple[int, ...]
    temperature: float
    threshold: float
    metrics: dict[str, Any]
    recipe: dict[str, Any]
    created: str
    networks: tuple[bytes, ...]
    keras: tuple[Path, ...]
    manifest: Manifest
    golden: Golden | None

    @property
    def facts(self) -> Facts:
        """What it says of itself: what a bundle that is made of this one changes a part of."""
        return Facts(**self.manifest.model_dump(include=set(Facts.model_fields)))

    @property
    def cascade(self) -> tuple[Step, ...]:
        """When each network after the first is asked."""
        return self.manifest.cascade


def shipped_bundle() -> Path:
    """The folder of the bundle that comes with the package."""
    return Path(__file__).resolve().parent / "bundles" / "digits"


def load_bundle(path: Path | str) -> Bundle:
    """A bundle's folder in, the checked Bundle out.

    Raises:
        BundleError: a file is missing, damaged, or not the one that bundle.json names.
    """
    folder = Path(path)
    manifest = parse_manifest(_read(folder / MANIFEST), str(folder / MANIFEST))
    if unknown := sorted(set(manifest.files) - {*TFLITE_FILES, *KERAS_FILES, GOLDEN_FILE}):
        raise BundleError(f"{folder / MANIFEST} names {unknown[0]!r}, which is no part of a bundle")
    contents = {name: _read(folder / name) for name in manifest.files}
    for name, content in contents.items():
        _check_digest(manifest, name, content, str(folder / name))
    count = 1 + len(manifest.cascade)
    for name in TFLITE_FILES[:count]:
        if name not in contents:
            raise BundleError(f"{folder / MANIFEST} names no {name}; the bundle is incomplete, train or copy it again")
    for name in set(KERAS_FILES) & set(contents):
        check_keras_archive(contents[name], str(folder / name))
    golden = _read_golden(contents[GOLDEN_FILE], folder / GOLDEN_FILE) if GOLDEN_FILE in contents else None
    keras = [folder / name for name in KERAS_FILES[:count] if name in contents]
    networks = [contents[name] for name in TFLITE_FILES[:count]]
    return _bundle(manifest, networks, keras if len(keras) == count else (), golden)


def write_bundle(
    folder: Path,
    facts: Facts,
    *,
    networks: Sequence[bytes],
    keras: Sequence[bytes] = (),
    golden: Golden | None = None,
) -> Bundle:
    """Facts and files in, a new folder on disk and its Bundle out. The folder appears whole or not at all.

    networks, keras: as in Bundle, the files' bytes.

    Raises:
        BundleError: the folder is there already (bundles are immutable) or cannot be written.
    """
    files = dict(zip((*TFLITE_FILES[: len(networks)], *KERAS_FILES[: len(keras)]), (*networks, *keras), strict=True))
    if golden is not None:
        files[GOLDEN_FILE] = _golden_bytes(golden)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    draft = Manifest(**facts.model_dump(), format=FORMAT, files=digests, version="")
    manifest = draft.model_copy(update={"version": draft.computed_version()})
    files[MANIFEST] = (json.dumps(manifest.as_json(), indent=2, sort_keys=True) + "\n").encode()
    if folder.exists():
        raise BundleError(f"{folder} is there already and bundles are immutable; name a new folder, or remove it first")
    write_files(folder, files)
    return load_bundle(folder)


def bundle_to_bytes(bundle: Bundle) -> bytes:
    """What Spark broadcasts: the manifest and the LiteRT models, one after the other, each behind its length."""
    parts = (json.dumps(bundle.manifest.as_json()).encode(), *bundle.networks)
    return _MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def bundle_from_bytes(data: bytes) -> Bundle:
    """What bundle_to_bytes made in, the checked Bundle out, without its Keras file and golden set.

    Raises:
        BundleError: the bytes are damaged or none of ours.
    """
    what = "the broadcast bundle"
    if not data.startswith(_MAGIC):
        raise BundleError(f"{what} does not begin as a bundle does ({data[:20]!r}); it was made by another version")
    parts, end = [], len(_MAGIC)
    while end < len(data):
        start = end + 4
        end = start + int.from_bytes(data[end:start], "big")
        parts.append(bytes(data[start:end]))
    if end != len(data) or not parts:
        raise BundleError(f"{what} has {len(data):,} bytes instead of {end:,}: it is damaged")
    manifest = parse_manifest(parts[0], what)
    networks = parts[1:]
    if len(networks) != 1 + len(manifest.cascade):
        raise BundleError(f"{what} has {len(networks)} networks instead of {1 + len(manifest.cascade)}: it is damaged")
    for name, network in zip(TFLITE_FILES, networks, strict=False):
        _check_digest(manifest, name, network, f"{name} of {what}")
    return _bundle(manifest, networks, (), None)


def check_golden(bundle: Bundle, engine: Engine) -> int:
    """Hold the engine's answers to the bundle's golden set; returns how many pictures were compared.

    Raises:
        BundleError: there is no golden set, or an answer differs in its label or by more than 0.01.
    """
    if bundle.golden is None or not len(bundle.golden.pixels):
        raise BundleError(f"bundle {bundle.version[:12]} has no golden set ({GOLDEN_FILE}); it cannot be checked")
    expected = bundle.golden.probabilities
    answered = engine.predict(bundle.golden.pixels)
    if answered.shape != expected.shape:
        raise BundleError(
            f"bundle {bundle.version[:12]} answers {answered.shape[1]} classes, its golden set has {expected.shape[1]}"
        )
    wrong = np.flatnonzero(answered.argmax(axis=1) != expected.argmax(axis=1))
    apart = float(np.abs(answered - expected).max())
    if len(wrong) or not apart <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"bundle {bundle.version[:12]} fails its golden set: {len(wrong)} of {len(expected)} labels differ, "
            f"probabilities by up to {apart:.2g} (allowed: {GOLDEN_TOLERANCE:g}); train or copy it again"
        )
    return len(expected)


def _bundle(manifest: Manifest, networks: Sequence[bytes], keras: Sequence[Path], golden: Golden | None) -> Bundle:
    return Bundle(
        labels=manifest.labels,
        version=manifest.version,
        preprocess=manifest.preprocess,
        input_shape=manifest.input_shape,
        temperature=manifest.temperature,
        threshold=manifest.threshold,
        metrics=manifest.metrics,
        recipe=manifest.recipe,
        created=manifest.created,
        networks=tuple(networks),
        keras=tuple(keras),
        manifest=manifest,
        golden=golden,
    )


def _check_digest(manifest: Manifest, name: str, content: bytes, what: str) -> None:
    found, named = hashlib.sha256(content).hexdigest(), manifest.files.get(name, "nothing")
    if found != named:
        raise BundleError(
            f"{what} is damaged: its sha256 is {found[:12]}, {MANIFEST} names {named[:12]}; copy the bundle again"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}); it is part of a model bundle, name a whole one"
        ) from error


def _read_golden(content: bytes, path: Path) -> Golden:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Golden(arrays["pixels"], arrays["probabilities"])
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path} holds no golden set: {error}") from error


def _golden_bytes(golden: Golden) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, pixels=golden.pixels, probabilities=golden.probabilities)
    return buffer.getvalue()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Paths in the folder with their bytes in; a folder that appears whole or not at all, out.

    Raises:
        BundleError: it is there already, with something in it, or cannot be written.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        for name, content in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(content)
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise BundleError(f"{folder} cannot be written ({error.strerror}); name a folder that can") from error
