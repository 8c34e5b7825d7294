"""doctor: Kafka's topics, Cassandra's tables and replication, and the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from cassandra.cluster import Session
from kafka.admin import ConfigResource, ConfigResourceType

from inkstream.errors import SchemaError, ServiceError
from inkstream.local.doctor import FINE, WARNING, WRONG, Check, Finding
from inkstream.settings import CassandraSettings, Settings
from inkstream.store.schema import check_tables, expiry_days
from inkstream.store.session import open_session
from inkstream.store.topics import open_admin, topic_configs

SKEW_S = 5.0
UP = "`./submit.sh up` creates and corrects it"


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """The topics: there, with the limits, the retention, the clock, the copies and the partitions of the settings."""
    kafka = settings.kafka
    try:
        with open_admin(kafka) as admin:
            wanted = topic_configs(settings)
            described = {topic["name"]: topic for topic in admin.describe_topics(list(wanted)) if topic["partitions"]}
            asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in described]
            configs = admin.describe_configs(asked)["topic"] if asked else {}
    except ServiceError as error:
        yield Finding("kafka", WRONG, str(error), "`./submit.sh up` starts the embedded one")
        return
    faults = [f"topic {name} does not exist" for name in wanted if name not in described]
    for name, topic in described.items():
        faults += [
            f"{name}: {key} is {configs[name][key]['value']}, the settings want {value}"
            for key, value in wanted[name].items()
            if configs[name][key]["value"] != value
        ]
        copies = min(len(partition["replica_nodes"]) for partition in topic["partitions"])
        if copies < kafka.replication_factor:
            faults.append(f"{name} has {copies} copies, kafka.replication_factor is {kafka.replication_factor}")
        behind = [p for p in topic["partitions"] if len(p["isr_nodes"]) < len(p["replica_nodes"])]
        if behind:
            faults.append(f"{name}: {len(behind)} partitions have fewer copies in step than they should")
        if len(topic["partitions"]) < kafka.partitions:
            faults.append(f"{name} has {len(topic['partitions'])} partitions, kafka.partitions is {kafka.partitions}")
    if faults:
        advice = f"{UP}; copies and partitions are changed with Kafka's own tools"
        yield Finding("kafka", WRONG, "; ".join(faults), advice)
    else:
        yield Finding("kafka", FINE, f"{len(wanted)} topics at {kafka.bootstrap_servers} as the settings want them")


def check_cassandra(settings: Settings) -> Iterator[Finding]:
    """The tables as records.py declares them, rows kept as the settings say, copies enough, and the clocks together."""
    cassandra = settings.cassandra
    try:
        # One node's word is enough to look: the consistency itself may be what is wrong.
        with open_session(cassandra.model_copy(update={"consistency": "ONE"}), keyspace=False) as session:
            yield from _check_clock(session)
            if cassandra.keyspace not in session.cluster.metadata.keyspaces:
                yield Finding("cassandra", WRONG, f"there is no keyspace {cassandra.keyspace}", UP)
                return
            yield from _check_schema(session, cassandra)
            yield from _check_expiry(session, cassandra)
            yield from _check_replication(session, cassandra)
    except ServiceError as error:
        yield Finding("cassandra", WRONG, str(error), "`./submit.sh up` starts the embedded one")


def _check_schema(session: Session, cassandra: CassandraSettings) -> Iterator[Finding]:
    try:
        check_tables(session, cassandra.keyspace)
    except SchemaError as error:
        yield Finding("schema", WRONG, str(error), "`./submit.sh up` makes what is missing; migrate the rest by hand")
        return
    yield Finding("schema", FINE, f"the tables of {cassandra.keyspace} have the columns of records.py")


def _check_expiry(session: Session, cassandra: CassandraSettings) -> Iterator[Finding]:
    wanted = cassandra.keep_days
    other = [f"{table} {days:g}" for table, days in expiry_days(session, cassandra.keyspace).items() if days != wanted]
    if other:
        said = f"cassandra.keep_days is {wanted}, but rows go after other days (0: never): {', '.join(other)}"
        yield Finding("expiry", WRONG, said, UP)
    else:
        yield Finding("expiry", FINE, f"rows go after {wanted} days" if wanted else "rows are kept for good")


def _check_replication(session: Session, cassandra: CassandraSettings) -> Iterator[Finding]:
    strategy = session.cluster.metadata.keyspaces[cassandra.keyspace].replication_strategy
    by_datacenter = getattr(strategy, "dc_replication_factors_info", {})
    copies = sum(factor.all_replicas for factor in by_datacenter.values()) or getattr(strategy, "replication_factor", 1)
    here = by_datacenter[cassandra.datacenter].all_replicas if cassandra.datacenter in by_datacenter else 0
    nodes = [host for host in session.cluster.metadata.all_hosts() if host.datacenter == cassandra.datacenter]
    needed = {"ONE": 1, "LOCAL_ONE": 1, "TWO": 2, "ALL": copies, "QUORUM": copies // 2 + 1}
    wanted = needed.get(cassandra.consistency, here // 2 + 1)
    faults = []
    if not here:
        faults.append(f"the keyspace has no copy in cassandra.datacenter {cassandra.datacenter!r}")
    elif here != cassandra.replication_factor:
        faults.append(f"the keyspace has {here} copies, cassandra.replication_factor is {cassandra.replication_factor}")
    if copies < wanted:
        faults.append(f"consistency {cassandra.consistency} needs {wanted} copies, there are {copies}")
    if len(nodes) < here:
        faults.append(f"{here} copies are wanted of {len(nodes)} nodes")
    if faults:
        yield Finding(
            "replication", WRONG, "; ".join(faults), "ALTER KEYSPACE, then `nodetool repair`; or the settings"
        )
    elif here > 1 and wanted == here:
        said = f"consistency {cassandra.consistency} over {here} copies: one node down stops the stream"
        yield Finding("replication", WARNING, said, "LOCAL_QUORUM goes on with one of three down")
    else:
        yield Finding("replication", FINE, f"{here} copies, consistency {cassandra.consistency}")


def _check_clock(session: Session) -> Iterator[Finding]:
    before = datetime.now(timezone.utc).timestamp()
    there = session.execute("SELECT toUnixTimestamp(now()) AS at FROM system.local").one().at / 1000
    after = datetime.now(timezone.utc).timestamp()
    skew = max(before - there, there - after, 0.0)
    said = f"this machine's clock and Cassandra's are {skew:.1f} s apart"
    if skew > SKEW_S:
        yield Finding("clock", WRONG, said, "let NTP set both: deletions and corrections are ordered by these clocks")
    else:
        yield Finding("clock", FINE, said)


CHECKS: dict[str, Check] = {"kafka": check_kafka, "cassandra": check_cassandra}
