"""The brokers or nodes of one folder: one, or several that are a cluster and know each other by their ports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from inkstream.errors import SettingError, SetupError
from inkstream.local.ports import is_free
from inkstream.local.process import EmbeddedService
from inkstream.settings import Settings

SHAPE_FILE = "cluster.json"
MOST_COPIES = 3  # more of them cost room and time; one of three may fail


class Member(EmbeddedService):
    """One of `members`. The first has the name, the folders and the ports that it would have alone.

    A cluster's data belongs to so many members: a file beside the first one's says how many, and what else must stay.
    """

    plural: ClassVar[str] = ""

    def __init__(
        self, settings: Settings, folder: Path, *, bound: bool = False, usual: bool = True, number: int = 1
    ) -> None:
        if number > 1:
            self.name = f"{type(self).name}-{number}"
        self.number = number
        self.members: Sequence[Member] = [self]
        super().__init__(settings, folder, bound=bound, usual=usual)

    @property
    def is_alone(self) -> bool:
        return len(self.members) == 1

    @property
    def copies(self) -> int:
        """How many members each row or message should be on."""
        return min(len(self.members), MOST_COPIES)

    def known_ports(self) -> dict[str, int]:
        """The ports by which the other members know it; they can be no others."""
        return {} if self.is_alone else self.ports

    def lasting(self) -> dict[str, Any]:
        """What of a cluster must not change while its data is there."""
        return {"members": len(self.members)}

    def demanded_ports(self) -> dict[str, int]:
        """Those by which the others know it, checked to be free. Raises SetupError where one is not."""
        known = self.known_ports()
        for port in known.values():
            if not is_free(port, self.host):
                raise SetupError(
                    f"The port {port} of {self.host} is taken by another program, and the other members know "
                    f"{self.name} by it; end that program and start again"
                )
        return known

    def _make_folders(self) -> None:
        super()._make_folders()
        if self.number > 1 or made_with(self.folder, self.name):
            return
        file = _shape_file(self.folder, self.name)
        file.unlink(missing_ok=True)  # of a start that failed before there was any data
        if not self.is_alone:
            file.write_text(json.dumps(self.lasting()))


Kind = TypeVar("Kind", bound=Member)


def build_members(
    kind: type[Kind], settings: Settings, folder: Path, wanted: int | None, *, bound: bool = False, usual: bool = True
) -> list[Kind]:
    """The members of a folder: `wanted`, or where that is None as many as its data was made with, else one.

    Raises:
        SettingError: its data was made with another number than `wanted`.
    """
    made = made_with(folder, kind.name)
    if wanted and made and wanted != made:
        raise SettingError(
            f"--{kind.plural} has the value {wanted}, and the data in {_shape_file(folder, kind.name).parent} was made "
            f"with {made}: give --{kind.plural} {made}, or set local.folder to another folder, which begins empty"
        )
    numbers = range(1, (wanted or made or 1) + 1)
    members = [kind(settings, folder, bound=bound, usual=usual, number=number) for number in numbers]
    for member in members:
        member.members = members
        member.ready_timeout_s *= len(members)  # they share the machine's cores while they start
    return members


def made_with(folder: Path, name: str) -> int:
    """How many members the data in the folder was made with; 0 where there is none yet."""
    return int(read_shape(folder, name).get("members", 0))


def read_shape(folder: Path, name: str) -> dict[str, Any]:
    """What must not change of the data in the folder, its `members` first; empty where there is none yet.

    Raises:
        SetupError: the file that says so cannot be read.
    """
    file = _shape_file(folder, name)
    if not file.parent.is_dir() or all(found == file for found in file.parent.iterdir()):
        return {}
    try:
        shape: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return {"members": 1}
    except (OSError, ValueError) as error:
        raise SetupError(
            f'{file} cannot be read ({error}); write into it how many members the data was made with: {{"members": 3}}'
        ) from error
    return shape


def _shape_file(folder: Path, name: str) -> Path:
    return folder / "data" / name / SHAPE_FILE
