"""The embedded Cassandra, from its published jars: one node, or several on 127.0.0.1, 127.0.0.2, ..."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, ClassVar

from inkstream.local.class_archives import archive_options
from inkstream.local.jars import class_path, jars_folder, lock_file, read_lock
from inkstream.local.java import SPARING_COMPILER, java_command
from inkstream.local.members import Member, read_shape
from inkstream.local.process import demanded
from inkstream.settings import home

log = logging.getLogger(__name__)

LASTING_PORTS = ("storage_port",)  # with the address it is a node's name: with another one it would be another node
HEAP_MB = 1024
HEAP_OF_SEVERAL_MB = 512
# One node has nobody to wait for, at the start and at the end.
ALONE: Mapping[str, str] = {
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.ring_delay_ms": "10",
    "cassandra.load_ring_state": "false",
}
# Several start side by side, each of them a seed: one hears of the others for so long before it takes connections.
TOGETHER: Mapping[str, str] = {
    "cassandra.gossip_settle_min_wait_ms": "2000",
    "cassandra.ring_delay_ms": "10000",
}
# How the commit log is synchronised; conf/cassandra.yaml says why.
PERIODIC = "commitlog_sync: periodic\ncommitlog_sync_period: 10ms\nperiodic_commitlog_sync_lag_block: 15ms"
GROUP = "commitlog_sync: group\ncommitlog_sync_group_window: 2ms"
# What Cassandra 5 reaches into on Java 17; the list of its own conf/jvm17-server.options.
EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)


class Cassandra(Member):
    name = "cassandra"
    plural = "nodes"
    usual_ports: ClassVar[Mapping[str, int]] = {"port": 9042, "storage_port": 7000}

    @property
    def host(self) -> str:
        """An address of its own: a driver that hears of a node's peers takes them to be on the same port."""
        return f"127.0.0.{self.number}"

    def known_ports(self) -> dict[str, int]:
        """The first node's; of those that last, what they were at the first start."""
        if self.is_alone:
            return {}
        shape = read_shape(self.folder, type(self).name)
        return {**self.members[0].ports, **{role: shape[role] for role in LASTING_PORTS if role in shape}}

    def lasting(self) -> dict[str, Any]:
        return {**super().lasting(), **{role: self.ports[role] for role in LASTING_PORTS}}

    def demanded_ports(self) -> dict[str, int]:
        first = demanded(self.settings.local.cassandra_port, "local.cassandra_port") if self.number == 1 else {}
        return {**first, **super().demanded_ports()}

    def command(self) -> list[str]:
        heap = f"{self._heap_mb}m"
        class_path_of_jars = class_path(self.settings, "cassandra")
        properties = {
            "cassandra-foreground": "yes",
            "cassandra.config": self._write_yaml().as_uri(),
            "cassandra.storagedir": str(self.data_folder),
            "logback.configurationFile": (home() / "conf" / "cassandra-logback.xml").as_uri(),
            **(ALONE if self.is_alone else TOGETHER),
            "cassandra.shutdown_announce_in_ms": "10",
            "cassandra.set_sep_thread_name": "false",
            "java.net.preferIPv4Stack": "true",
            "java.awt.headless": "true",
            "jdk.attach.allowAttachSelf": "true",
            "io.netty.tryReflectionSetAccessible": "true",
        }
        return [
            java_command(),
            *archive_options(self.settings, "cassandra"),
            *(f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS),
            *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENS),
            f"-javaagent:{self._agent()}",
            *SPARING_COMPILER,
            f"-Xms{heap}",
            f"-Xmx{heap}",
            "-Xss512k",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=100",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UseBiasedLocking",
            *(f"-D{key}={value}" for key, value in properties.items()),
            "-cp",
            class_path_of_jars,
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def answers(self) -> bool:
        from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
        from cassandra.policies import WhiteListRoundRobinPolicy

        from inkstream.store.session import CASSANDRA_ERRORS

        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy([self.host]))
        profiles = {EXEC_PROFILE_DEFAULT: profile}
        cluster = Cluster([self.host], port=self.ports["port"], protocol_version=5, execution_profiles=profiles)
        try:
            return cluster.connect().execute("SELECT release_version FROM system.local").one() is not None
        except (*CASSANDRA_ERRORS, OSError) as error:
            log.debug("cassandra does not answer yet: %s", error)
            return False
        finally:
            cluster.shutdown()

    def _write_yaml(self) -> Path:
        template = Template((home() / "conf" / "cassandra.yaml").read_text())
        yaml = self.record_file.with_suffix(".yaml")
        yaml.write_text(
            template.substitute(
                **self.ports,
                host=self.host,
                seeds=",".join(f"{member.host}:{self.ports['storage_port']}" for member in self.members),
                token="" if self.is_alone else token_of(self.number, len(self.members)),
                memtables=f"{self._heap_mb // 4}MiB",
                commit_log=PERIODIC if self.is_alone else GROUP,
                data=self.data_folder,
            )
        )
        return yaml

    @property
    def _heap_mb(self) -> int:
        return HEAP_MB if self.is_alone else HEAP_OF_SEVERAL_MB

    def _agent(self) -> Path:
        """jamm, which measures objects for the memtables' limits."""
        jamm = next(jar for jar in read_lock(lock_file("cassandra")) if jar.artifact == "jamm")
        return jars_folder(self.settings, "cassandra") / jamm.filename


def token_of(number: int, nodes: int) -> int:
    """The token of a node, counted from 1, such that each owns the same part of the ring."""
    return (2 * number - 1) * 2**64 // (2 * nodes) - 2**63
