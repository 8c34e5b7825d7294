"""The folder of all bundles, under a Spark path: a version in, its checked bundle out; a bundle in, there for good.

A bundle lies in a folder named by its version, which is the hash of its content: it never changes and is never written
over. `bundle.json` is written last, so a copy that was cut short is no bundle yet and is made again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyarrow import ArrowInvalid, fs

from inkstream.errors import BundleError, SettingError
from inkstream.model.bundle import Bundle, load_bundle, shipped_bundle
from inkstream.model.manifest import MANIFEST, parse_manifest
from inkstream.settings import Settings

FEWEST_DIGITS = 4  # of a version, as a person types it


class Shelf:
    """All bundles of an installation: those in the folder, the shipped one, and the one of the setting model.bundle."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.model.folder or str(settings.local.path / "models")
        self._files, self._root = _open(self.path)
        self._own = [shipped_bundle(), *([Path(settings.model.bundle)] if settings.model.bundle else [])]

    @property
    def default(self) -> Bundle:
        """What answers while the registry names no version: the setting's bundle, else the shipped one."""
        return load_bundle(self._own[-1])

    def versions(self) -> dict[str, Any]:
        """version -> what its bundle.json says (a bundle.Manifest), oldest first.

        Raises:
            BundleError: the folder cannot be read, or one of its bundle.json is damaged.
        """
        own = {(bundle := load_bundle(path)).version: bundle.manifest for path in self._own}
        with _told(self.path):
            found = self._files.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
            folders = [entry.base_name for entry in found if entry.type == fs.FileType.Directory]
            # `train --out` may have put one here by a name; it is a version once it was put here as one.
            whole = ((name, self._manifest(name)) for name in folders if self.holds(name))
            stored = {name: manifest for name, manifest in whole if manifest.version == name}
        return dict(sorted({**own, **stored}.items(), key=lambda item: str(item[1].created)))

    def find(self, text: str) -> str:
        """A version, or the beginning of one, in; the whole version out.

        Raises:
            SettingError: none, or several, begin so.
        """
        known = list(self.versions())
        fitting = [version for version in known if version.startswith(text.lower())]
        if len(text) >= FEWEST_DIGITS and len(fitting) == 1:
            return fitting[0]
        what = "several versions begin" if len(fitting) > 1 else "no version begins"
        if len(text) < FEWEST_DIGITS:
            what = f"give at least {FEWEST_DIGITS} of its letters; too little is known"
        raise SettingError(
            f"VERSION has the value {text!r}: {what} so in {self.path}; known: "
            + ", ".join(version[:12] for version in known)
        )

    def holds(self, version: str) -> bool:
        """Whether a whole bundle of that version lies in the folder."""
        with _told(self.path):
            info = self._files.get_file_info(f"{self._root}/{version}/{MANIFEST}")
        return bool(info.type == fs.FileType.File)

    def load(self, version: str) -> Bundle:
        """The checked bundle. From a store elsewhere it is fetched into memory, without its Keras file on disk.

        Raises:
            BundleError: it is not there, damaged, or another than its folder's name says.
        """
        for path in self._own:
            if path.is_dir() and (bundle := load_bundle(path)).version == version:
                return bundle
        if not self.holds(version):
            raise BundleError(
                f"{self.path} holds no bundle of version {version}; copy it there, or set model.folder to where it lies"
            )
        with self._local(version) as folder:
            bundle = load_bundle(folder)
        if bundle.version != version:
            raise BundleError(f"{self.path}/{version} holds version {bundle.version[:12]}; copy the right bundle there")
        return bundle

    def add(self, folder: Path) -> Bundle:
        """A bundle's folder in, its copy on the shelf out; nothing is done where that version is there.

        Raises:
            BundleError: it is damaged, or cannot be copied.
        """
        bundle = load_bundle(folder)
        if self.holds(bundle.version):
            return bundle
        with _told(self.path):
            for name in (*bundle.manifest.files, MANIFEST):
                target = f"{self._root}/{bundle.version}/{name}"
                self._files.create_dir(target.rpartition("/")[0], recursive=True)
                with self._files.open_output_stream(target) as out:
                    out.write((folder / name).read_bytes())
        return bundle

    def _manifest(self, version: str) -> Any:
        with self._files.open_input_stream(f"{self._root}/{version}/{MANIFEST}") as file:
            return parse_manifest(file.read(), f"{self.path}/{version}/{MANIFEST}")

    @contextmanager
    def _local(self, version: str) -> Iterator[Path]:
        """The bundle's folder on this machine: its own, or a copy for as long as this is open."""
        if isinstance(self._files, fs.LocalFileSystem):
            yield Path(self._root) / version
            return
        with tempfile.TemporaryDirectory() as folder:
            with _told(self.path):
                fs.copy_files(f"{self._root}/{version}", folder, source_filesystem=self._files)
            yield Path(folder)


def _open(path: str) -> tuple[Any, str]:
    if "://" not in path:
        return fs.LocalFileSystem(), str(Path(path.removeprefix("file:")).absolute())
    uri = "s3://" + path.partition("://")[2] if path.startswith("s3a://") else path
    try:
        files, root = fs.FileSystem.from_uri(uri)
    except (ArrowInvalid, OSError) as error:
        raise SettingError(f"model.folder has the value {path!r}: {error}") from error
    return files, str(root).rstrip("/")


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"The bundles under {path} cannot be read or written ({error}); is model.folder right?"
        ) from error
