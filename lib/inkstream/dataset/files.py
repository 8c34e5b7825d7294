"""Small files and listings under Spark paths (local, hdfs://, s3a://), by Spark's own file systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from inkstream.errors import ServiceError


class Entry(NamedTuple):
    """path: with its scheme, as Spark's binaryFile source names it."""

    path: str
    name: str
    is_folder: bool


class SparkFiles:
    """What lies under a Spark path. Every method raises ServiceError where the file system fails."""

    def __init__(self, spark: SparkSession) -> None:
        self._jvm: Any = spark._jvm
        self._configuration: Any = spark._jsc.hadoopConfiguration()

    def qualified(self, path: str) -> str:
        """The path with its scheme; a relative one is taken from the working directory."""
        with _told(path):
            files, place = self._open(path)
            return str(files.makeQualified(place).toString())

    def exists(self, path: str) -> bool:
        with _told(path):
            files, place = self._open(path)
            return bool(files.exists(place))

    def is_folder(self, path: str) -> bool:
        with _told(path):
            files, place = self._open(path)
            return bool(files.exists(place) and files.getFileStatus(place).isDirectory())

    def list(self, folder: str) -> list[Entry]:
        """The folder's entries by name; hidden ones (. and _ before the name) left out, as Spark does."""
        with _told(folder):
            files, place = self._open(folder)
            found = [
                Entry(status.getPath().toString(), status.getPath().getName(), bool(status.isDirectory()))
                for status in files.listStatus(place)
            ]
        return sorted(entry for entry in found if entry.name[0] not in "._")

    def write(self, path: str, content: bytes) -> None:
        with _told(path):
            files, place = self._open(path)
            out = files.create(place, True)
            out.write(bytearray(content))
            out.close()

    def read(self, path: str) -> bytes:
        """A small file whole."""
        with _told(path):
            files, place = self._open(path)
            stream = files.open(place)
            try:
                return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
            finally:
                stream.close()

    def remove(self, folder: str) -> None:
        with _told(folder):
            files, place = self._open(folder)
            files.delete(place, True)

    def _open(self, path: str) -> tuple[Any, Any]:
        place = self._jvm.org.apache.hadoop.fs.Path(path)
        return place.getFileSystem(self._configuration), place


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except Py4JJavaError as error:
        raise ServiceError(f"{path} cannot be read or written: {error.java_exception.toString()}") from error
