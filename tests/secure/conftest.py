"""A Kafka and a Cassandra that let nobody in without TLS, a password and a permission; certificates made here."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from inkstream.errors import InkstreamError
from inkstream.local.cassandra import Cassandra
from inkstream.local.jars import ensure_jars
from inkstream.local.kafka import Kafka
from inkstream.settings import Settings, load_settings
from inkstream.store.kafka_client import build_client
from inkstream.store.session import open_session

ADMIN, ADMIN_PASSWORD = "admin", "admin-4f1c9a"
USER, PASSWORD = "inkstream", 'pass"word\\with-5e7b21'  # what has to be quoted is quoted
READER, READER_PASSWORD = "reader", "reader-77d0e2"
KEYSPACE = "secured"


@dataclass(frozen=True)
class Secured:
    """settings: of the user who may do what InkStream does. strange_ca: a certificate authority that signed nothing."""

    settings: Settings
    strange_ca: Path


class SecureKafka(Kafka):
    """SASL/SCRAM over TLS for clients and brokers; only what an ACL allows, but for the administrator."""

    certificate: Path
    ca: Path

    def answers(self) -> bool:
        try:
            admin = build_client(KafkaAdminClient, _kafka(self.settings, self.endpoint, self.ca, ADMIN, ADMIN_PASSWORD))
        except InkstreamError:
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        finally:
            admin.close()

    def _write_properties(self) -> Path:
        file = super()._write_properties()
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        port, controller_port = self.ports["port"], self.ports["controller_port"]
        listeners = f"SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
        changes = {
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                f'{login} username="{ADMIN}" password="{ADMIN_PASSWORD}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificate),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN};User:ANONYMOUS",  # the latter: the broker and the controller, one process
        }
        kept = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in changes]
        file.write_text("\n".join([*kept, *(f"{key}={value}" for key, value in changes.items())]) + "\n")
        return file

    def _format_options(self) -> list[str]:
        return ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={ADMIN_PASSWORD}]"]


class SecureCassandra(Cassandra):
    """A password, a role's permissions, and TLS alone."""

    certificate: Path
    ca: Path

    def answers(self) -> bool:
        try:
            with open_session(self.as_administrator(), keyspace=False) as session:
                return session.execute("SELECT release_version FROM system.local").one() is not None
        except InkstreamError:
            return False

    def as_administrator(self) -> Any:
        return self.settings.cassandra.model_copy(
            update={
                "contact_points": "127.0.0.1",
                "port": self.ports["port"],
                "tls": True,
                "ca_file": str(self.ca),
                "username": "cassandra",
                "password": SecretStr("cassandra"),
                "consistency": "QUORUM",
            }
        )

    def command(self) -> list[str]:
        java, *rest = super().command()
        return [java, "-Dcassandra.superuser_setup_delay_ms=0", *rest]

    def _write_yaml(self) -> Path:
        file = super()._write_yaml()
        text = file.read_text().replace("AllowAllAuthenticator", "PasswordAuthenticator")
        text = text.replace("AllowAllAuthorizer", "CassandraAuthorizer")
        file.write_text(
            f"{text}\nclient_encryption_options:\n  enabled: true\n  optional: false\n  keystore: {self.certificate}\n"
            "  ssl_context_factory:\n    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory\n"
        )
        return file


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority, strange = trustme.CA(), trustme.CA()
    ca, strange_ca, certificate = folder / "ca.pem", folder / "strange.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(ca)
    strange.cert_pem.write_to_path(strange_ca)
    issued = authority.issue_cert("127.0.0.1", "localhost")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate.write_bytes(private + b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    blank = load_settings().model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    ensure_jars(blank, "kafka", "cassandra")
    (folder / "jars").symlink_to(blank.local.path / "jars")
    own = blank.model_copy(update={"local": blank.local.model_copy(update={"folder": str(folder)})})
    kafka = SecureKafka(own, folder, bound=True, usual=False)
    cassandra = SecureCassandra(own, folder, bound=True, usual=False)
    for service in (kafka, cassandra):
        service.certificate, service.ca = certificate, ca
    try:
        for service in (kafka, cassandra):
            service.launch()
        for service in (kafka, cassandra):
            service.await_ready()
        _make_user(_kafka(own, kafka.endpoint, ca, ADMIN, ADMIN_PASSWORD))
        _make_roles(cassandra)
        user = {"username": USER, "password": SecretStr(PASSWORD), "keyspace": KEYSPACE, "consistency": "LOCAL_QUORUM"}
        yield Secured(
            own.model_copy(
                update={
                    "kafka": _kafka(own, kafka.endpoint, ca, USER, PASSWORD),
                    "cassandra": cassandra.as_administrator().model_copy(update=user),
                }
            ),
            strange_ca,
        )
    finally:
        for service in (kafka, cassandra):
            service.stop()
        gc.collect()  # here, where the module's tests expect what it tells


def _kafka(settings: Settings, endpoint: str, ca: Path, user: str, password: str) -> Any:
    return settings.kafka.model_copy(
        update={
            "bootstrap_servers": endpoint,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": user,
            "password": SecretStr(password),
            "ca_file": str(ca),
        }
    )


def _make_user(administrator: Any) -> None:
    """A user, and all that it needs: InkStream's own topics and groups."""
    admin = build_client(KafkaAdminClient, administrator)
    try:
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)])
        admin.create_acls(
            [
                ACL(
                    principal=f"User:{USER}",
                    host="*",
                    operation=ACLOperation.ALL,
                    permission_type=ACLPermissionType.ALLOW,
                    resource_pattern=ResourcePattern(kind, prefix, ACLResourcePatternType.PREFIXED),
                )
                for kind, prefix in ((ResourceType.TOPIC, "images."), (ResourceType.GROUP, "inkstream-"))
            ]
        )
    finally:
        admin.close()


def _make_roles(cassandra: SecureCassandra) -> None:
    with open_session(cassandra.as_administrator(), keyspace=False) as session:
        replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
        session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {replication}")
        session.execute(f"CREATE TABLE {KEYSPACE}.things (id int PRIMARY KEY)")
        for name, password in ((USER, PASSWORD), (READER, READER_PASSWORD)):
            session.execute(f"CREATE ROLE {name} WITH LOGIN = true AND PASSWORD = %s", [password])
        session.execute(f"GRANT ALL ON KEYSPACE {KEYSPACE} TO {USER}")
        session.execute(f"GRANT SELECT ON KEYSPACE {KEYSPACE} TO {READER}")
