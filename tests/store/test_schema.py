"""How long rows stay and how their files are merged, on a real Cassandra."""

from __future__ import annotations

import pytest
from cassandra.cluster import Session

from inkstream.settings import Settings
from inkstream.store.schema import EXPIRING, apply_schema
from inkstream.store.session import open_session

pytestmark = pytest.mark.services

DAY_S = 24 * 3600


MERGE_EIGHT = ("SizeTieredCompactionStrategy", "8")
MERGE_THREE_DAYS = ("TimeWindowCompactionStrategy", "3")
MERGE_FOUR = ("SizeTieredCompactionStrategy", "4")


def options_of(session: Session, settings: Settings, table: str) -> tuple[int, tuple[str, str]]:
    """After how many seconds a row goes; how the table's files are merged, with how many or which days at once."""
    session.cluster.refresh_table_metadata(settings.cassandra.keyspace, table)
    options = session.cluster.metadata.keyspaces[settings.cassandra.keyspace].tables[table].options
    compaction = options["compaction"]
    at_once = compaction.get("compaction_window_size") or compaction["min_threshold"]
    return options["default_time_to_live"], (compaction["class"].rpartition(".")[2], at_once)


def test_rows_go_after_the_days_of_the_settings_and_stay_where_there_are_none(settings: Settings) -> None:
    apply_schema(settings)
    quarter = settings.model_copy(update={"cassandra": settings.cassandra.model_copy(update={"keep_days": 90})})
    with open_session(settings.cassandra) as session:
        for table in EXPIRING:
            merging = MERGE_FOUR if table == "image_parts" else MERGE_EIGHT
            assert options_of(session, settings, table) == (0, merging)
        session.execute("INSERT INTO images (image_id, filename) VALUES ('before', 'a')")

        assert apply_schema(quarter) == 0
        assert options_of(session, settings, "images") == (90 * DAY_S, MERGE_EIGHT)
        assert options_of(session, settings, "predictions_by_day") == (90 * DAY_S, MERGE_THREE_DAYS)
        assert options_of(session, settings, "corrections")[0] == 0
        # An old message replayed has an old write time; its row is kept as long as any.
        session.execute("INSERT INTO images (image_id, filename) VALUES ('after', 'a') USING TIMESTAMP 1000")
        left = {row.image_id: row.left for row in session.execute("SELECT image_id, ttl(filename) AS left FROM images")}
        assert left["before"] is None
        assert 89 * DAY_S < left["after"] <= 90 * DAY_S

        apply_schema(settings)
        assert options_of(session, settings, "predictions_by_day") == (0, MERGE_EIGHT)
