"""Settings in, a spark-submit command line and its environment out.

Without pyspark, which takes half a second to import: the command that becomes spark-submit has no use for it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from inkstream.local.class_archives import archive_options
from inkstream.local.jars import pyspark_folder
from inkstream.local.java import SPARING_COMPILER
from inkstream.settings import Settings, home

EXECUTOR_ENVIRONMENT = "spark.executorEnv."
# Most of what their driver runs, runs once: the JVM's optimising compiler would take more CPU than it saves.
BRIEF_JOBS = frozenset({"build_report", "query_warehouse"})
# The JVM that does without it also keeps 48 MB for code instead of 240. Spark fills them within minutes, and the JVM
# then compiles nothing more, or fails.
BRIEF_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
# spark-submit's own JVM, which only puts the command of the next one together: 0.36 instead of 0.62 s of CPU.
LAUNCHER_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def submit_line(settings: Settings, job: str, arguments: Sequence[str], class_path: str, master: str) -> list[str]:
    """The spark-submit command that runs jobs/<job>.py: what the command line runs and what --print shows."""
    root = home()
    # The connector reads the schema anew at each save: of one keyspace, not of Cassandra's own as well.
    schema = f"-Ddatastax-java-driver.advanced.metadata.schema.refreshed-keyspaces.0={settings.cassandra.keyspace}"
    java = ["-XX:+UseParallelGC", schema]
    brief = BRIEF_JAVA.split() if job in BRIEF_JOBS else []
    debug = ["-Dinkstream.pattern=%d{HH:mm:ss} %p %c{1}: %m%n%ex"] if "--debug" in arguments else []
    of_executors = [*java, *SPARING_COMPILER, *archive_options(settings, "spark")]
    return [
        str(Path(sys.executable).parent / "spark-submit"),
        "--master",
        master,
        "--driver-memory",
        settings.spark.driver_memory,
        "--executor-memory",
        settings.spark.executor_memory,
        "--properties-file",
        str(root / "conf" / "spark-defaults.conf"),
        "--driver-class-path",
        class_path,
        "--conf",
        f"spark.executor.extraClassPath={class_path}",
        "--conf",
        f"spark.pyspark.python={sys.executable}",
        "--conf",
        f"spark.pyspark.driver.python={root / 'conf' / 'driver-python.sh'}",
        "--conf",
        f"spark.driver.extraJavaOptions={java_options(settings, *brief, *java, *debug)}",
        "--conf",
        f"spark.executor.extraJavaOptions={shlex.join(of_executors)}",
        str(root / "jobs" / f"{job}.py"),
        *arguments,
    ]


def submit_environment(java_home: Path) -> dict[str, str]:
    """The environment of spark-submit: this one, with the Java and the Python that the project uses.

    The driver's Python gets what the configuration gives to those of the executors; Spark would not tell it.

    spark-submit is a bash script; the system's own folders are put last on the path, so that bash is found where
    the caller's path holds little.
    """
    path = os.environ.get("PATH", "")
    return {
        **os.environ,
        **{
            key.removeprefix(EXECUTOR_ENVIRONMENT): value
            for key, value in default_conf().items()
            if key.startswith(EXECUTOR_ENVIRONMENT)
        },
        "JAVA_HOME": str(java_home),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": os.pathsep.join([path, *(part for part in os.defpath.split(os.pathsep) if part)]).strip(os.pathsep),
        # A Spark found by accident would run other jars than those that the Python side was made for.
        "SPARK_HOME": str(pyspark_folder()),
        "SPARK_LAUNCHER_OPTS": LAUNCHER_JAVA,
    }


def java_options(settings: Settings, *more: str) -> str:
    """What `spark.driver.extraJavaOptions` names: what is compiled, the archive of classes, the log, and more."""
    log = f"-Dlog4j2.configurationFile={(home() / 'conf' / 'log4j2-spark.properties').as_uri()}"
    # Spark takes it apart as a shell would.
    return shlex.join([*more, *SPARING_COMPILER, *archive_options(settings, "spark"), log])


def default_conf() -> dict[str, str]:
    """conf/spark-defaults.conf, as spark-submit reads it."""
    lines = (home() / "conf" / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))
