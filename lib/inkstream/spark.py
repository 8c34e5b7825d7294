"""Settings in, a Spark session out. The one place that builds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from inkstream.arrow import defer_pandas
from inkstream.local.masters import PROTECTED, STANDALONE, require_admission
from inkstream.local.ports import LOOPBACK
from inkstream.local.truststore import PASSWORD, make_truststore
from inkstream.settings import Settings
from inkstream.submit import BRIEF_JAVA, default_conf, java_options, submit_environment

SECRET_KEY = "spark.authenticate.secret"
# Those of TLS 1.3 and 1.2 with forward secrecy; the connector's own two are of 2002, and no server of today takes them.
CIPHER_SUITES = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
)


def build_session(
    settings: Settings, name: str, *, cassandra: bool = True, more: Mapping[str, str] | None = None
) -> SparkSession:
    """The session of a job that spark-submit runs, with the addresses and secrets of the settings.

    cassandra: False for a job that reads and writes files only, and needs none of its addresses.
    more: what this job alone is configured with.

    Raises:
        ServiceError: a standalone master does not let it in.
    """
    defer_pandas()
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
        # As a job's: for G1 a page of Spark's, 64 MB, is a humongous object, and a heap that a verify half fills is
        # searched for room without end.
        "spark.driver.extraJavaOptions": java_options(settings, "-XX:+UseParallelGC", *BRIEF_JAVA.split()),
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
