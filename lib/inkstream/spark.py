"""Settings in, a Spark session or a spark-submit command line out. The one place that builds either."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from inkstream.local.class_archives import archive_options
from inkstream.local.jars import pyspark_folder
from inkstream.local.java import LATE_OPTIMISING
from inkstream.local.masters import STANDALONE, require_admission
from inkstream.local.ports import LOOPBACK
from inkstream.local.truststore import PASSWORD, make_truststore
from inkstream.settings import Settings, home

SECRET_KEY = "spark.authenticate.secret"
EXECUTOR_ENVIRONMENT = "spark.executorEnv."
# How Spark's processes speak to one another where they share a secret. The fallback, an older handshake, encrypts
# nothing. The cipher AES/GCM/NoPadding is there in Spark 3.5.7 too, but a worker that has it never joins its master.
PROTECTED = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.saslFallback": "false",
    "spark.network.crypto.authEngineVersion": "2",
    "spark.io.encryption.enabled": "true",  # shuffles, spills and broadcasts on the disk
}
# Those of TLS 1.3 and 1.2 with forward secrecy; the connector's own two are of 2002, and no server of today takes them.
CIPHER_SUITES = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
)
# Most of what their driver runs, runs once: the JVM's optimising compiler would take more CPU than it saves.
BRIEF_JOBS = frozenset({"build_report", "query_warehouse"})
# The JVM that does without it also keeps 48 MB for code instead of 240. Spark fills them within minutes, and the JVM
# then compiles nothing more, or fails.
BRIEF_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"


def build_session(
    settings: Settings, name: str, *, cassandra: bool = True, more: Mapping[str, str] | None = None
) -> SparkSession:
    """The session of a job that spark-submit runs, with the addresses and secrets of the settings.

    cassandra: False for a job that reads and writes files only, and needs none of its addresses.
    more: what this job alone is configured with.

    Raises:
        ServiceError: a standalone master does not let it in.
    """
    SparkContext._ensure_initialized()  # takes up spark-submit's JVM, which knows the master
    conf = {"spark.app.name": name, **(more or {})}
    return _open_session(settings, conf, SparkConf().get("spark.master", ""), cassandra=cassandra)


def build_own_session(
    settings: Settings,
    name: str,
    class_path: str,
    java_home: Path,
    *,
    cassandra: bool = True,
    more: Mapping[str, str] | None = None,
) -> SparkSession:
    """A session that no spark-submit has started: on this machine, two threads, its JVM a child of this process.

    It is configured as a job's is, and then with `more`. For a command that asks Spark again and again, and would wait
    for a JVM each time. Raises as `build_session`.
    """
    os.environ.update(submit_environment(java_home))
    conf = {
        **default_conf(),
        "spark.master": "local[2]",
        "spark.app.name": name,
        "spark.driver.extraClassPath": class_path,
        "spark.driver.extraJavaOptions": java_options(settings, *BRIEF_JAVA.split()),
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.host": LOOPBACK,
        "spark.ui.enabled": "false",
        **(more or {}),
    }
    # PySpark writes all that it knows by then on the command line of the JVM: no secret is among it yet.
    SparkContext._ensure_initialized(conf=SparkConf().setAll(list(conf.items())))
    return _open_session(settings, conf, conf["spark.master"], cassandra=cassandra)


def _open_session(settings: Settings, conf: Mapping[str, str], master: str, *, cassandra: bool) -> SparkSession:
    """The session in this process's JVM, which runs already.

    Secrets are set here and not on a command line, where any user of the machine could read them.
    """
    protection = protection_conf(settings, master)
    require_admission(master, protection)
    builder = SparkSession.builder
    for key, value in {**conf, **protection, **(cassandra_conf(settings) if cassandra else {})}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def protection_conf(settings: Settings, master: str) -> dict[str, str]:
    """What a session is configured with where `spark.secret` is set: PROTECTED, and at a standalone master the secret.

    Everywhere else Spark makes one for each session; ours would lie in files of YARN's and be of no use.
    """
    secret = settings.spark.secret.get_secret_value()
    if not secret:
        return {}
    return {**PROTECTED, **({SECRET_KEY: secret} if master.startswith(STANDALONE) else {})}


def java_options(settings: Settings, *more: str) -> str:
    """What `spark.driver.extraJavaOptions` names: what is compiled, the archive of classes, the log, and more."""
    log = f"-Dlog4j2.configurationFile={(home() / 'conf' / 'log4j2-spark.properties').as_uri()}"
    # Spark takes it apart as a shell would.
    return shlex.join([*more, *LATE_OPTIMISING, *archive_options(settings, "spark"), log])


def default_conf() -> dict[str, str]:
    """conf/spark-defaults.conf, as spark-submit reads it."""
    lines = (home() / "conf" / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))


def cassandra_conf(settings: Settings) -> dict[str, str]:
    """The connector's configuration. Nulls are left unset, so no tombstone is written."""
    cassandra = settings.cassandra
    conf = {
        "spark.cassandra.connection.host": ",".join(cassandra.hosts),
        "spark.cassandra.connection.port": str(cassandra.port),
        "spark.cassandra.connection.localDC": cassandra.datacenter,
        "spark.cassandra.output.consistency.level": cassandra.consistency,
        "spark.cassandra.input.consistency.level": cassandra.consistency,
        "spark.cassandra.output.ignoreNulls": "true",
    }
    if cassandra.username:
        conf["spark.cassandra.auth.username"] = cassandra.username
        conf["spark.cassandra.auth.password"] = cassandra.password.get_secret_value()
    if cassandra.tls:
        conf["spark.cassandra.connection.ssl.enabled"] = "true"
        conf["spark.cassandra.connection.ssl.enabledAlgorithms"] = ",".join(CIPHER_SUITES)
        if cassandra.ca_file:
            store = make_truststore(cassandra.ca_file, settings.local.path / "run")
            conf["spark.cassandra.connection.ssl.trustStore.path"] = str(store)
            conf["spark.cassandra.connection.ssl.trustStore.type"] = "PKCS12"
            conf["spark.cassandra.connection.ssl.trustStore.password"] = PASSWORD
    return conf


def submit_line(settings: Settings, job: str, arguments: Sequence[str], class_path: str, master: str) -> list[str]:
    """The spark-submit command that runs jobs/<job>.py: what the command line runs and what --print shows."""
    root = home()
    # The connector reads the schema anew at each save: of one keyspace, not of Cassandra's own as well.
    schema = f"-Ddatastax-java-driver.advanced.metadata.schema.refreshed-keyspaces.0={settings.cassandra.keyspace}"
    java = ["-XX:+UseParallelGC", schema]
    brief = BRIEF_JAVA.split() if job in BRIEF_JOBS else []
    debug = ["-Dinkstream.pattern=%d{HH:mm:ss} %p %c{1}: %m%n%ex"] if "--debug" in arguments else []
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
        f"spark.driver.extraJavaOptions={java_options(settings, *brief, *java, *debug)}",
        "--conf",
        f"spark.executor.extraJavaOptions={shlex.join([*java, *LATE_OPTIMISING, *archive_options(settings, 'spark')])}",
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
    }
