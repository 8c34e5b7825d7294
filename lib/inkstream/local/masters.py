"""The address of a Spark standalone master in; whether it is there, and lets this installation in."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from inkstream.errors import ServiceError, SettingError
from inkstream.local.ports import LOOPBACK

STANDALONE = "spark://"
# How Spark's processes speak to one another where they share a secret. The fallback, an older handshake, encrypts
# nothing. The cipher AES/GCM/NoPadding is there in Spark 3.5.7 too, but a worker that has it never joins its master.
PROTECTED = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.saslFallback": "false",
    "spark.network.crypto.authEngineVersion": "2",
    "spark.io.encryption.enabled": "true",  # shuffles, spills and broadcasts on the disk
}
CONNECT_S = 5.0
ADMISSION_S = 60  # a busy machine's master is given as long as Spark itself would give it


def require_master(master: str) -> None:
    """See that a standalone master (spark://host:port, or several with commas) takes connections.

    Spark itself tries for a minute and then tells of an application that is not initialised. Masters of other kinds are
    left to Spark.

    Raises:
        ServiceError: none of them does.
        SettingError: it names no port.
    """
    reasons = []
    for address in _addresses(master):
        try:
            socket.create_connection(address, CONNECT_S).close()
            return
        except OSError as error:
            reasons.append(str(error))
    if not reasons:
        return
    raise ServiceError(
        f"Spark's master cannot be reached at {master} ({'; '.join(reasons)}). Is it running (`./submit.sh status`; "
        "`./submit.sh up --workers 2` starts one), and is spark.master or --master right?"
    )


def require_admission(master: str, protection: Mapping[str, str]) -> None:
    """See that a standalone master lets in who comes with this configuration, by asking it as a job would.

    Spark itself tries for a minute and then tells of a context that was stopped. The JVM runs already.

    Raises:
        ServiceError: it does not, or cannot be reached.
    """
    if not master.startswith(STANDALONE):
        return
    require_master(master)
    if any(_lets_in(address, protection) for address in _addresses(master)):
        return
    told = "(README, 'Your own Kafka, Cassandra and Spark')"
    if protection:
        raise ServiceError(
            f"Spark's master at {master} does not take spark.secret: it was started with another secret, or without "
            f"one. Set INKSTREAM_SPARK__SECRET to the one that it and its workers have {told}"
        )
    raise ServiceError(
        f"Spark's master at {master} does not answer without a secret, and spark.secret is not set: set "
        f"INKSTREAM_SPARK__SECRET to the one that it and its workers have {told}; or is it of another version?"
    )


def _lets_in(address: tuple[str, int], protection: Mapping[str, str]) -> bool:
    """Whether the master there answers the question that every driver and worker of Spark begins with."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    jvm = SparkContext._jvm
    conf = jvm.SparkConf().set("spark.rpc.lookupTimeout", f"{ADMISSION_S}s")
    for key, value in protection.items():
        conf.set(key, value)
    manager = jvm.org.apache.spark.SecurityManager
    secret_file = getattr(manager, "$lessinit$greater$default$3")()  # Scala's own defaults are methods to others
    security = manager(conf, jvm.scala.Option.empty(), secret_file)
    own = jvm.org.apache.spark.rpc.RpcEnv.create("inkstream", LOOPBACK, 0, conf, security, True)
    try:
        own.setupEndpointRef(jvm.org.apache.spark.rpc.RpcAddress(*address), "Master")
    except Py4JError:
        return False
    finally:
        own.shutdown()
    return True


def _addresses(master: str) -> list[tuple[str, int]]:
    """The hosts and ports of a standalone master, none of other kinds of masters. Raises SettingError without one."""
    if not master.startswith(STANDALONE):
        return []
    parts = [address.rpartition(":") for address in master.removeprefix(STANDALONE).split(",")]
    if not all(host and port.isdigit() for host, _, port in parts):
        raise SettingError(f"spark.master has the value {master!r}; a standalone cluster is spark://host:port")
    return [(host, int(port)) for host, _, port in parts]
