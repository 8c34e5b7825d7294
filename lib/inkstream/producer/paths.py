"""Paths in, pictures out, one by one: files, folders, zip archives and IDX sets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from inkstream.errors import SettingError
from inkstream.producer.archive import count_members, is_archive, read_archive
from inkstream.producer.idx import IMAGES_MAGIC, LABELS_MAGIC, count_idx, idx_magic, read_idx
from inkstream.producer.labels import label_from_name
from inkstream.producer.pictures import Failure, Item, Items, Picture, place_of, too_large


def check_paths(paths: Sequence[Path]) -> None:
    """Raises SettingError for the first path that does not exist or is neither a file nor a folder."""
    for path in paths:
        if not path.exists():
            raise SettingError(f"{path} does not exist")
        if not (path.is_file() or path.is_dir()):
            raise SettingError(f"{path} is neither a file nor a folder")


def walk(path: Path, *, hidden: bool = False) -> Iterator[Path | Failure]:
    """Yield the regular files at and below a path, sorted within each folder; links are followed, each folder once.

    Without `hidden`, what begins with a dot is left out, unless it is the path itself. A Failure for a folder that
    cannot be listed and, without `hidden`, for a link to nothing.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        try:
            if current.is_dir():
                waiting += reversed(_list_folder(current, hidden, seen))
            elif current.is_file():
                yield current
            elif current.is_symlink() and not hidden:
                yield Failure(str(current), "it is a link to nothing")
        except OSError as error:
            yield Failure(str(current), f"it cannot be opened: {error.strerror}")


def _list_folder(folder: Path, hidden: bool, seen: set[tuple[int, int]]) -> list[Path]:
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return []
    seen.add(identity)
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if hidden or not entry.name.startswith("."))
    return [folder / name for name in names]


def read_paths(paths: Sequence[Path], max_bytes: int, *, labels: bool = False) -> Items:
    """Yield what lies at the paths, in their order; larger than `max_bytes` is a Failure and is not read.

    A file is called by its name, a folder's file `folder/x/a.png`, a zip's member `set.zip/a.png`, an IDX set's
    picture `train-images#123`. `labels`: take them from the names (see labels.label_from_name); an IDX set's
    labels file is heeded in any case.

    Raises:
        SettingError: a path does not exist.
    """
    check_paths(paths)
    for argument in paths:
        for found in walk(argument):
            if isinstance(found, Failure):
                yield found
            else:
                yield from _read_file(found, _shown(found, argument), max_bytes, labels)


def count_pictures(paths: Sequence[Path]) -> int:
    """How many pictures read_paths will about yield, for a progress bar: no picture is opened."""
    count = 0
    for argument in paths:
        for found in walk(argument):
            if isinstance(found, Failure):
                count += 1
            elif is_archive(found):
                count += count_members(found)
            else:
                count += _count_in(found)
    return count


def _count_in(path: Path) -> int:
    try:
        kind = idx_magic(path)
    except OSError:
        return 1
    if kind == IMAGES_MAGIC:
        return count_idx(path)
    return 0 if kind == LABELS_MAGIC else 1


def _shown(path: Path, argument: Path) -> str:
    """A file's name for people: with the folder that was named, and without what lies above it."""
    folder = place_of(argument)
    if path == argument:
        return folder.name
    return (folder.relative_to(folder.parent) / path.relative_to(argument)).as_posix()


def _read_file(path: Path, shown: str, max_bytes: int, labels: bool) -> Iterator[Item]:
    try:
        kind = None if is_archive(path) else idx_magic(path)
        if kind == IMAGES_MAGIC:
            yield from read_idx(path)
        elif is_archive(path):
            yield from read_archive(path, max_bytes, labels=labels)
        elif kind != LABELS_MAGIC:
            yield _read_picture(path, shown, max_bytes, labels)
    except OSError as error:
        yield Failure(shown, f"it cannot be read: {error.strerror}")


def _read_picture(path: Path, shown: str, max_bytes: int, labels: bool) -> Picture | Failure:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read() if size <= max_bytes else b""
    size = max(size, len(content))
    if size > max_bytes:
        return Failure(shown, too_large(size, max_bytes))
    place = place_of(path).as_posix()
    return Picture(shown, place, content, label_from_name(place) if labels else None)
