"""The stream's checkpoint and the topic's offsets in; a clear sentence out where the two cannot belong together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from inkstream.errors import SetupError

Offsets = Mapping[tuple[str, int], int]  # (topic, partition) -> offset


def read_checkpoint(place: str) -> Offsets:
    """Where a checkpoint of the stream stands, from Spark's own log of offsets; empty where it has not begun.

    `place` is a Spark path; only one of this machine (file:) is looked at.

    Raises:
        SetupError: the log is damaged.
    """
    parts = urlsplit(place)
    if parts.scheme != "file":
        return {}
    folder = Path(unquote(parts.path)) / "offsets"
    batches = [path for path in folder.glob("[0-9]*") if path.name.isdigit()] if folder.is_dir() else []
    if not batches:
        return {}
    newest = max(batches, key=lambda path: int(path.name))
    try:
        topics = json.loads(newest.read_text().splitlines()[2])  # version, metadata, then a line for each source
        return {(topic, int(number)): int(at) for topic, numbers in topics.items() for number, at in numbers.items()}
    except (OSError, ValueError, IndexError, AttributeError) as error:
        raise SetupError(
            f"The stream's checkpoint {folder.parent} is damaged ({newest.name}: {error}); remove that folder: "
            "the stream then reads the topic from its beginning, and stores nothing twice"
        ) from error


def check_place(place: str, stands: Offsets, topic: str, ends: Offsets) -> None:
    """Raises SetupError where the checkpoint is of another topic, or stands behind the end of this one."""
    folder = unquote(urlsplit(place).path)
    others = sorted({name for name, _ in stands} - {topic})
    if others:
        raise SetupError(
            f"The stream's checkpoint {folder} belongs to topic {others[0]!r}, and the settings name {topic!r}; "
            "set kafka.topic_prefix back, or name another checkpoint in stream.checkpoint"
        )
    for (name, number), at in sorted(stands.items()):
        end = ends.get((name, number), 0)
        if at > end:
            raise SetupError(
                f"The stream's checkpoint {folder} stands at offset {at} of {name}, partition {number}, which ends at "
                f"{end}: Kafka's data was removed, or is another's. Remove that folder as well and run the demo again; "
                "what Cassandra holds stays"
            )
