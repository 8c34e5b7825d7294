"""A folder on a small disk of its own, which can be filled up."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

MIB_OF_DISK = 16
PIECE = bytes(1 << 16)


class SmallDisk:
    """What lies in the folder fits on it, until `fill`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all the room that is left, to the last byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (len(PIECE), 1):
                try:
                    while file.write(PIECE[:size]) == size:
                        pass
                except OSError as error:
                    log.debug("the disk is full: %s", error)

    def free(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk | None]:
    """The folder as a disk in memory of MIB_OF_DISK, empty; None where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    let_go(folder)
    line = ["mount", "-t", "tmpfs", "-o", f"size={MIB_OF_DISK}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        log.debug("there is no mount: %s", error)
        yield None
        return
    if mounted.returncode:
        log.debug("mount: %s", mounted.stderr.strip())
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        let_go(folder)


def let_go(folder: Path) -> None:
    """Unmount what an earlier call, or one that was killed, has mounted there."""
    while folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
