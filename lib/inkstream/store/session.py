"""Settings in, a connected Cassandra session out."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException, OperationTimedOut, Unauthorized
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import DCAwareRoundRobinPolicy, RetryPolicy, TokenAwarePolicy
from cassandra.query import Statement

from inkstream.errors import ServiceError, SettingError
from inkstream.settings import CassandraSettings

log = logging.getLogger(__name__)

# What a statement can raise: each of the driver's own errors, and the one that is none of them.
CASSANDRA_ERRORS = (DriverException, NoHostAvailable)

CONNECT_TIMEOUT_S = 10.0
CONNECT_TRIES = 3  # a node that takes the connection and is silent for 10 s is busy, or its machine is
REQUEST_TIMEOUT_S = 30.0
MOST_LAG_S = 1.0  # a node that syncs less often is not waited for: its default is 10 s
READ_RETRIES = 4  # with the first try five times the 5 s that a node waits for its copies: within REQUEST_TIMEOUT_S
_COMMIT_LOG = (
    "SELECT name, value FROM system_views.settings "
    "WHERE name IN ('commitlog_sync', 'periodic_commitlog_sync_lag_block')"
)


class _ReadsAgain(RetryPolicy):  # type: ignore[misc]
    """The driver's rules, and a read that timed out is asked again.

    Until the others know of a dead node, some 10 s, they wait for its copy in vain; then two of three are enough.
    """

    def on_read_timeout(  # the driver gives each by name
        self,
        query: Statement,
        consistency: int,
        required_responses: int,
        received_responses: int,
        data_retrieved: bool,
        retry_num: int,
    ) -> tuple[int, int | None]:
        return (self.RETRY, consistency) if retry_num < READ_RETRIES else (self.RETHROW, None)


@contextmanager
def open_session(
    settings: CassandraSettings, *, keyspace: bool = True, tries: int = CONNECT_TRIES
) -> Iterator[Session]:
    """Yield a session on the settings' keyspace (without one where `keyspace` is False); closed on leaving.

    tries: how often a node that is silent for CONNECT_TIMEOUT_S is asked; one that refuses is asked once.

    Raises:
        ServiceError: no node answers, the password is refused, the keyspace does not exist, or, inside the block, the
            user may not do what is asked.
    """
    address = f"{settings.contact_points}:{settings.port}"
    session = _connect(settings, address, tries)
    cluster = session.cluster
    try:
        if keyspace:
            if settings.keyspace not in cluster.metadata.keyspaces:
                raise ServiceError(
                    f"Cassandra at {address} has no keyspace {settings.keyspace!r}; `./submit.sh up` creates it"
                )
            session.set_keyspace(settings.keyspace)
        yield session
    except Unauthorized as error:
        raise ServiceError(
            f"The user {settings.username!r} may not do that in Cassandra at {address} ({error}); "
            "GRANT it, or set cassandra.username and INKSTREAM_CASSANDRA__PASSWORD to one who may"
        ) from error
    finally:
        cluster.shutdown()


def await_on_disk(session: Session) -> None:
    """Return when everything that was acknowledged before the call is on disk, should one node have to stand for it.

    With `commitlog_sync: periodic` a node acknowledges at once, and holds a write back only where its last sync began
    longer ago than `periodic_commitlog_sync_lag_block`. So a write which is sent that long after others, and then is
    acknowledged, stands for a sync that began after theirs. With `group` or `batch`, or where other nodes hold copies,
    there is nothing to wait for.

    Raises:
        ServiceError: the node does not answer; what was written last may be gone.
    """
    if len(session.cluster.metadata.all_hosts()) > 1:
        return
    called = time.monotonic()
    try:
        lag_s = _sync_lag_s(session)
        if 0 < lag_s <= MOST_LAG_S:
            time.sleep(max(0.0, called + lag_s - time.monotonic()))
            session.execute("DELETE FROM schema_migrations WHERE number = 0")  # any write; there is no such number
    except CASSANDRA_ERRORS as error:
        raise ServiceError(
            f"Cassandra went away while the last rows were written to its disk ({type(error).__name__}: {error}); "
            "see `./submit.sh status`, and give the same command again"
        ) from error


def _sync_lag_s(session: Session) -> float:
    """How long after its acknowledgement a row may not be on the node's disk yet; 0: no time, or nobody may ask."""
    try:
        rows = session.execute(_COMMIT_LOG)
    except Unauthorized:
        return 0.0
    found = {row.name: row.value for row in rows}
    lag = re.fullmatch(r"(\d+)ms", found.get("periodic_commitlog_sync_lag_block") or "")
    return int(lag[1]) / 1000 if found.get("commitlog_sync") == "periodic" and lag else 0.0


def _connect(settings: CassandraSettings, address: str, tries: int) -> Session:
    for left in reversed(range(tries)):
        try:
            return _connect_once(settings)
        except NoHostAvailable as error:
            cause = _first_cause(error)
            if not (left and isinstance(cause, OperationTimedOut)):
                raise ServiceError(_refusal(settings, address, cause)) from error
            log.warning("Cassandra at %s was silent for %.0f s; it is asked again", address, CONNECT_TIMEOUT_S)
    raise ValueError(f"tries has the value {tries}; at least 1 is needed")


def _connect_once(settings: CassandraSettings) -> Session:
    cluster = _cluster(settings)
    try:
        return cluster.connect()
    except BaseException:
        cluster.shutdown()
        raise


def _cluster(settings: CassandraSettings) -> Cluster:
    # The driver logs each failed attempt, the last with a stack trace; the one sentence raised above says it all.
    logging.getLogger("cassandra").setLevel(logging.ERROR if log.isEnabledFor(logging.DEBUG) else logging.CRITICAL)
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=settings.datacenter)),
        consistency_level=ConsistencyLevel.name_to_value[settings.consistency],
        request_timeout=REQUEST_TIMEOUT_S,
        retry_policy=_ReadsAgain(),
    )
    auth = None
    if settings.username:
        auth = PlainTextAuthProvider(settings.username, settings.password.get_secret_value())
    return Cluster(
        settings.hosts,
        port=settings.port,
        auth_provider=auth,
        ssl_context=_tls(settings) if settings.tls else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=CONNECT_TIMEOUT_S,
        control_connection_timeout=CONNECT_TIMEOUT_S,  # else 2 s for what a connect asks first: a busy node needs more
        protocol_version=5,
        # The driver writes 4 KiB at a time; the last piece of a longer request would wait 40 ms for an acknowledgement.
        sockopts=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )


def _tls(settings: CassandraSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        raise SettingError(f"cassandra.ca_file has the value {settings.ca_file!r}: {error}") from error


def _first_cause(error: NoHostAvailable) -> Exception:
    causes: list[Exception] = list(error.errors.values()) if isinstance(error.errors, dict) else []
    return next(iter(causes), error)


def _refusal(settings: CassandraSettings, address: str, cause: Exception) -> str:
    """Why there is no connection: a password, a certificate, or nobody there."""
    if isinstance(cause, AuthenticationFailed):
        return (
            f"Cassandra at {address} refuses the user {settings.username!r}; "
            "are cassandra.username and INKSTREAM_CASSANDRA__PASSWORD right?"
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return (
            f"Cassandra's certificate at {address} is not trusted ({cause}); "
            "cassandra.ca_file should hold the authority that signed it, and the address be one that it names"
        )
    if isinstance(cause, OperationTimedOut):
        return (
            f"Cassandra at {address} takes connections and did not answer ({cause}). "
            "What does its log say, and is its machine too busy?"
        )
    return (
        f"Cassandra cannot be reached at {address} ({cause}). "
        "Is it running (`./submit.sh status`), and is cassandra.contact_points right?"
    )
