"""The embedded Cassandra: one node, from its published jars."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import ClassVar

from inkstream.local.jars import class_path, jars_folder, lock_file, read_lock
from inkstream.local.java import java_command
from inkstream.local.ports import LOOPBACK
from inkstream.local.process import EmbeddedService, demanded
from inkstream.settings import home

log = logging.getLogger(__name__)

HEAP = "1g"
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


class Cassandra(EmbeddedService):
    name = "cassandra"
    usual_ports: ClassVar[Mapping[str, int]] = {"port": 9042, "storage_port": 7000}

    def demanded_ports(self) -> dict[str, int]:
        return demanded(self.settings.local.cassandra_port, "local.cassandra_port")

    def command(self) -> list[str]:
        class_path_of_jars = class_path(self.settings, "cassandra")
        properties = {
            "cassandra-foreground": "yes",
            "cassandra.config": self._write_yaml().as_uri(),
            "cassandra.storagedir": str(self.data_folder),
            "logback.configurationFile": (home() / "conf" / "cassandra-logback.xml").as_uri(),
            # One node has nobody to wait for, at the start and at the end.
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            "cassandra.ring_delay_ms": "10",
            "cassandra.shutdown_announce_in_ms": "10",
            "cassandra.load_ring_state": "false",
            "cassandra.set_sep_thread_name": "false",
            "java.net.preferIPv4Stack": "true",
            "java.awt.headless": "true",
            "jdk.attach.allowAttachSelf": "true",
            "io.netty.tryReflectionSetAccessible": "true",
        }
        return [
            java_command(),
            *(f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS),
            *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENS),
            f"-javaagent:{self._agent()}",
            f"-Xms{HEAP}",
            f"-Xmx{HEAP}",
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
        from cassandra.cluster import Cluster, ExecutionProfile
        from cassandra.policies import WhiteListRoundRobinPolicy

        from inkstream.store.session import CASSANDRA_ERRORS

        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy([LOOPBACK]))
        cluster = Cluster(
            [LOOPBACK], port=self.ports["port"], protocol_version=5, execution_profiles={"default": profile}
        )
        try:
            return cluster.connect().execute("SELECT release_version FROM system.local").one() is not None
        except (*CASSANDRA_ERRORS, OSError) as error:
            log.debug("cassandra does not answer yet: %s", error)
            return False
        finally:
            cluster.shutdown()

    def _write_yaml(self) -> Path:
        template = Template((home() / "conf" / "cassandra.yaml").read_text())
        yaml = self.record_file.with_name("cassandra.yaml")
        yaml.write_text(template.substitute(**self.ports, data=self.data_folder))
        return yaml

    def _agent(self) -> Path:
        """jamm, which measures objects for the memtables' limits."""
        jamm = next(jar for jar in read_lock(lock_file("cassandra")) if jar.artifact == "jamm")
        return jars_folder(self.settings, "cassandra") / jamm.filename
