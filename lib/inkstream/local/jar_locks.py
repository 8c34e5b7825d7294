"""Top-level coordinates in, conf/jars/*.lock out: `python -m inkstream.local.jars lock [group...]`, for developers."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from inkstream.errors import SettingError
from inkstream.local.jars import GROUPS, THREADS, TIMEOUT_S, lock_file
from inkstream.settings import load_settings

TOP = {
    "spark": [
        "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.7",
        "com.datastax.spark:spark-cassandra-connector_2.12:3.5.1",
        "com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",
    ],
    # The binding from slf4j to log4j is in Kafka's distribution only. `!`: its own pins (an older Kafka!) do not count.
    "kafka": ["org.apache.kafka:kafka_2.13:4.1.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!"],
    "cassandra": ["org.apache.cassandra:cassandra-all:5.0.9"],
    # For the warehouse's session only: its tables, and the local file that its catalog is in.
    "report": ["org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0", "org.xerial:sqlite-jdbc:3.50.3.0"],
}
BESIDE_PYSPARK = {"spark", "report"}
# OpenSSL for encrypted links (the JVM's own TLS serves as well), and other systems' native code that never loads here.
LEFT_OUT = re.compile(r"netty-tcnative-.*|.*windows.*|.*riscv.*")


def main(argv: list[str] | None = None) -> None:
    """Resolve the locks anew. Raises SettingError on an unknown group."""
    command, *groups = (sys.argv[1:] if argv is None else argv) or ["?"]
    unknown = [group for group in groups if group not in GROUPS]
    if command != "lock" or unknown:
        raise SettingError(f"usage: python -m inkstream.local.jars lock [{' | '.join(GROUPS)}]...")
    cache = load_settings().local.path / "jars" / ".resolve"
    for group in groups or GROUPS:
        lines = sorted(_locked_lines(group, cache))
        header = f"# Made by `python -m inkstream.local.jars lock {group}` from {', '.join(TOP[group])}\n"
        lock_file(group).write_text(header + "".join(f"{line}\n" for line in lines))


def _locked_lines(group: str, cache: Path) -> Iterable[str]:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=cache, timeout=TIMEOUT_S)
    asked, followed = context.resolver.resolve([context.create_dependency(top) for top in TOP[group]])
    present = _artifacts_of_pyspark() if group in BESIDE_PYSPARK else set()
    artifacts = {dependency.artifact.key: dependency.artifact for dependency in [*asked, *followed]}.values()
    wanted = [
        artifact
        for artifact in artifacts
        if artifact.artifactId not in present and not LEFT_OUT.fullmatch(f"{artifact.artifactId}-{artifact.classifier}")
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_locked_line, wanted))


def _locked_line(artifact: Any) -> str:
    parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
    return f"{':'.join(part for part in parts if part)} {hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()}"


def _artifacts_of_pyspark() -> set[str]:
    """The artifacts, without versions, of the jars that the pyspark package brings."""
    import pyspark

    jars = Path(pyspark.__file__).parent.joinpath("jars").glob("*.jar")
    return {re.sub(r"-\d[\w.-]*$", "", jar.stem) for jar in jars}
