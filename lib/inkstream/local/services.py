"""The embedded services together: `up`, `down`, `status`; and bound to the caller, for the demo and the tests."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inkstream.local.cassandra import Cassandra
from inkstream.local.class_archives import ensure_archives
from inkstream.local.cluster import SparkMaster, SparkWorker, build_workers, recorded_workers
from inkstream.local.gateway import Gateway
from inkstream.local.kafka import Kafka
from inkstream.local.locks import one_by_one
from inkstream.local.members import Member, build_members
from inkstream.local.process import EmbeddedService
from inkstream.local.stream import Stream
from inkstream.settings import Settings, read_endpoints

log = logging.getLogger(__name__)

_CLIENTS = (Stream, Gateway)


@dataclass(frozen=True)
class RunningServices:
    """What was started, and settings that lead to it."""

    settings: Settings
    brokers: list[Kafka] = field(default_factory=list)
    nodes: list[Cassandra] = field(default_factory=list)
    master: SparkMaster | None = None
    workers: list[SparkWorker] = field(default_factory=list)

    @property
    def kafka(self) -> Kafka | None:
        """The first broker."""
        return next(iter(self.brokers), None)

    @property
    def cassandra(self) -> Cassandra | None:
        """The first node."""
        return next(iter(self.nodes), None)

    @property
    def all(self) -> list[EmbeddedService]:
        return [*self.brokers, *self.nodes, *([self.master] if self.master else []), *self.workers]


def external_kafka(settings: Settings) -> str:
    """The brokers that the settings name elsewhere; blank where the embedded one is meant."""
    servers = settings.kafka.bootstrap_servers
    embedded = read_endpoints(settings).get("kafka", {}).get("bootstrap_servers")
    return "" if servers == embedded else servers


def external_cassandra(settings: Settings) -> str:
    """The contact points that the settings name elsewhere; blank where the embedded node is meant."""
    named = (settings.cassandra.contact_points, settings.cassandra.port)
    endpoint = read_endpoints(settings).get("cassandra", {})
    return "" if named == (endpoint.get("contact_points"), endpoint.get("port")) else named[0]


def up(
    settings: Settings, workers: int = 0, *, brokers: int | None = None, nodes: int | None = None
) -> RunningServices:
    """Start what the settings do not place elsewhere and write the addresses down; what runs already is kept.

    brokers, nodes: how many of Kafka and Cassandra; None: as many as the data was made with, else one.

    Raises:
        SettingError: the data was made with another number of brokers or nodes.
        SetupError, ServiceError: a service cannot be started; those that this call started are stopped again.
    """
    folder = settings.local.path
    with one_by_one(folder, "services.lock"):
        master = SparkMaster(settings, folder) if workers else None
        running = RunningServices(
            settings,
            [] if external_kafka(settings) else build_members(Kafka, settings, folder, brokers),
            [] if external_cassandra(settings) else build_members(Cassandra, settings, folder, nodes),
            master,
            build_workers(master, workers) if master else [],
        )
        _start(running)
        if not master:
            running = _with_recorded_cluster(running, folder)
        _write_endpoints(settings, running)
    return _addressed(running)


def down(settings: Settings) -> list[EmbeddedService]:
    """Stop what `up` started here, and forget the addresses; returns what was running. Data stays."""
    folder = settings.local.path
    with one_by_one(folder, "services.lock"):
        services = [service for service in known_services(settings) if service.state != "stopped"]
        running = [service for service in services if service.is_running()]
        _stop([service for service in services if isinstance(service, _CLIENTS)])  # before what they work on
        _stop([service for service in services if not isinstance(service, _CLIENTS)])
        settings.local.endpoints_file.unlink(missing_ok=True)
    return running


def known_services(settings: Settings) -> list[EmbeddedService]:
    """The services that belong to this folder: Kafka and Cassandra where they are meant, and whatever was started."""
    folder = settings.local.path
    brokers = build_members(Kafka, settings, folder, None)
    nodes = build_members(Cassandra, settings, folder, None)
    wanted: list[tuple[EmbeddedService, bool]] = [
        *((broker, not external_kafka(settings)) for broker in brokers),
        *((node, not external_cassandra(settings)) for node in nodes),
        (SparkMaster(settings, folder), False),
        (Stream(settings, folder), False),
        (Gateway(settings, folder), False),
    ]
    present = [service for service, meant in wanted if meant or service.state != "stopped"]
    return [*present, *recorded_workers(settings, folder)]


@contextmanager
def running_services(
    settings: Settings,
    folder: Path,
    *,
    kafka: bool = True,
    cassandra: bool = True,
    brokers: int | None = None,
    nodes: int | None = None,
    workers: int = 0,
) -> Iterator[RunningServices]:
    """Services of the caller's own, in a folder of their own, on free ports; they end with the block, or the caller.

    The settings in the result lead to them, and `local.folder` is the folder; the jars are those of the given settings.
    Raises as `up`.
    """
    own = _settings_in(settings, folder)
    master = SparkMaster(own, folder, bound=True, usual=False) if workers else None
    running = RunningServices(
        own,
        build_members(Kafka, own, folder, brokers, bound=True, usual=False) if kafka else [],
        build_members(Cassandra, own, folder, nodes, bound=True, usual=False) if cassandra else [],
        master,
        build_workers(master, workers) if master else [],
    )
    started = _start(running)
    try:
        yield _addressed(running)
    finally:
        _stop(started)


def _start(services: RunningServices) -> list[EmbeddedService]:
    """Start all side by side, the cluster's workers after its master; on any failure stop what was started.

    Returns what did not run before.
    """
    groups = [group for group, members in (("kafka", services.brokers), ("cassandra", services.nodes)) if members]
    ensure_archives(services.settings, *groups, *(["spark"] if services.master else []))
    started = [service for service in services.all if not service.is_running()]
    try:
        first = [service for service in started if service not in services.workers]
        for wave in (first, [service for service in started if service not in first]):
            for service in wave:
                service.choose_ports()  # each member of a cluster is told those of the others when it starts
            for service in wave:
                service.launch()
            for service in wave:
                service.await_ready()
    except BaseException:
        _stop(started)
        raise
    return started


def _stop(services: Sequence[EmbeddedService]) -> None:
    for service in services:
        service.terminate()
    for service in services:
        service.stop()


def _addressed(running: RunningServices) -> RunningServices:
    """The same with settings that name the services' addresses."""
    settings = running.settings
    changes: dict[str, Any] = {}
    for section, endpoint in _endpoints(running).items():
        changes[section] = getattr(settings, section).model_copy(update=endpoint)
    return replace(running, settings=settings.model_copy(update=changes))


def _with_recorded_cluster(running: RunningServices, folder: Path) -> RunningServices:
    """A cluster that an earlier `up --workers` started stays known."""
    master = SparkMaster(running.settings, folder)
    if not master.is_running():
        return running
    workers = [worker for worker in recorded_workers(running.settings, folder) if worker.is_running()]
    return replace(running, master=master, workers=workers)


def _endpoints(running: RunningServices) -> dict[str, dict[str, Any]]:
    """By section, the settings that lead to the services, and for a cluster how many copies it is to keep."""
    endpoints: dict[str, dict[str, Any]] = {}
    settings = running.settings
    if running.brokers:
        servers = ",".join(broker.endpoint for broker in running.brokers)
        copies = _copies(running.brokers, settings.kafka.replication_factor)
        endpoints["kafka"] = {"bootstrap_servers": servers, **copies}
    if running.nodes:
        hosts = ",".join(node.host for node in running.nodes)
        copies = _copies(running.nodes, settings.cassandra.replication_factor)
        endpoints["cassandra"] = {"contact_points": hosts, "port": running.nodes[0].ports["port"], **copies}
    if running.master:
        endpoints["spark"] = {"master": running.master.url}
    return endpoints


def _copies(members: Sequence[Member], wanted: int) -> dict[str, int]:
    """The replication factor of a cluster: the settings' where they want more."""
    return {} if members[0].is_alone else {"replication_factor": max(wanted, members[0].copies)}


def _write_endpoints(settings: Settings, running: RunningServices) -> None:
    file = settings.local.endpoints_file
    scratch = file.with_suffix(".new")
    scratch.write_text(json.dumps(_endpoints(running), indent=2) + "\n")
    scratch.replace(file)


def _settings_in(settings: Settings, folder: Path) -> Settings:
    """Settings whose local folder is another one, with the jars of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    jars = settings.local.path / "jars"
    if folder != settings.local.path and not (folder / "jars").exists():
        jars.mkdir(parents=True, exist_ok=True)
        (folder / "jars").symlink_to(jars)
    return settings.model_copy(update={"local": settings.local.model_copy(update={"folder": str(folder)})})
