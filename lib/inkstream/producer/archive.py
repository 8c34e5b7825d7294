"""A zip archive in, its members out, streamed one by one; nothing is ever unpacked onto the disk."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from inkstream.producer.idx import IMAGES_MAGIC, LABELS_MAGIC
from inkstream.producer.labels import label_from_name
from inkstream.producer.pictures import Failure, Items, Picture, place_of, too_large

# Photographs hardly shrink in a zip and empty scans shrink a hundredfold; beyond both of these it is a bomb.
BOMB_RATIO = 100
BOMB_BYTES = 1 << 30
ENCRYPTED = 0x1
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def is_archive(path: Path) -> bool:
    """Whether a file is to be opened as an archive: by its suffix, for a word processor's files are zips too."""
    return path.suffix.lower() == ".zip"


def count_members(path: Path) -> int:
    """How many files the archive holds, hidden ones left out; 0 where it cannot be opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            return len(_members(archive))
    except _BROKEN:
        return 0


def read_archive(path: Path, max_bytes: int, *, labels: bool = False) -> Items:
    """Yield each member as a Picture called `set.zip/a.png`, in the order of their names.

    A Failure for each that is encrypted, damaged, larger than `max_bytes` or an archive itself, and one for an archive
    that cannot be opened or is a bomb. Hidden members and a Mac's `__MACOSX` are left out. `labels`: from the names.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            unpacked = sum(member.file_size for member in members)
            packed = path.stat().st_size
            if unpacked > max(BOMB_BYTES, BOMB_RATIO * packed):
                yield Failure(path.name, f"the archive would unpack from {packed:,} to {unpacked:,} bytes; not opened")
                return
            for member in members:
                yield _read_member(archive, member, path, max_bytes, labels)
    except _BROKEN as error:
        yield Failure(path.name, f"the archive is damaged: {error}")


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    seen = [member for member in archive.infolist() if not member.is_dir() and not _is_hidden(member.filename)]
    return sorted(seen, key=lambda member: member.filename)


def _is_hidden(name: str) -> bool:
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in name.split("/"))


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, max_bytes: int, labels: bool
) -> Picture | Failure:
    filename = f"{path.name}/{member.filename}"
    if member.flag_bits & ENCRYPTED:
        return Failure(filename, "it is encrypted; unpack the archive with its password and send the folder")
    if PurePosixPath(member.filename).suffix.lower() == ".zip":
        return Failure(filename, "an archive within an archive is not opened; unpack the outer one and send the folder")
    if member.file_size > max_bytes:
        return Failure(filename, too_large(member.file_size, max_bytes))
    try:
        content = archive.read(member)
    except _BROKEN as error:
        return Failure(filename, f"it is damaged: {error}")
    if content.startswith((IMAGES_MAGIC, LABELS_MAGIC)):
        return Failure(filename, "an IDX set within an archive is not read; unpack the archive and send the folder")
    label = label_from_name(member.filename) if labels else None
    return Picture(filename, f"{place_of(path).as_posix()}/{member.filename}", content, label)
