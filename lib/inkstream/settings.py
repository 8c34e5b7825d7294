"""conf/inkstream.toml and INKSTREAM_* variables in, one frozen Settings out; an unknown or wrong key raises by name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from inkstream.errors import ServiceError, SettingError, SetupError

PREFIX = "INKSTREAM_"
NOT_SETTINGS = {"INKSTREAM_HOME", "INKSTREAM_CONF", "INKSTREAM_DEBUG"}
ENDPOINTS_FILE = "services.json"
_ENDPOINT_KEYS = {"kafka": {"bootstrap_servers"}, "cassandra": {"contact_points", "port"}}
_CLUSTER_KEYS = {"replication_factor"}  # where several brokers or nodes run
# Read from the environment only, and never shown.
SECRETS = {"password", "tokens", "secret", "redis_url"}
KIB = 1024
MIB = 1024 * KIB


def home() -> Path:
    """The project's root: INKSTREAM_HOME, else the checkout this package lies in."""
    return Path(os.environ.get("INKSTREAM_HOME") or Path(__file__).resolve().parents[2])


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalSettings(Section):
    folder: str = "var"
    kafka_port: int = Field(0, ge=0, le=65535)
    cassandra_port: int = Field(0, ge=0, le=65535)
    spark_port: int = Field(0, ge=0, le=65535)

    @property
    def path(self) -> Path:
        return home() / self.folder

    @property
    def endpoints_file(self) -> Path:
        """Where `up` writes the addresses of the embedded services."""
        return self.path / ENDPOINTS_FILE


class KafkaSettings(Section):
    bootstrap_servers: str = ""
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    partitions: int = Field(4, ge=1)
    replication_factor: int = Field(1, ge=1)
    retention_hours: int = Field(168, ge=1)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: str = ""

    @property
    def uploaded(self) -> str:
        return f"{self.topic_prefix}images.uploaded"

    @property
    def predicted(self) -> str:
        return f"{self.topic_prefix}images.predicted"

    @property
    def rejected(self) -> str:
        return f"{self.topic_prefix}images.rejected"

    @property
    def corrected(self) -> str:
        return f"{self.topic_prefix}images.corrected"

    @property
    def servers(self) -> str:
        """The brokers' addresses. Raises ServiceError where none is known."""
        if not self.bootstrap_servers:
            raise ServiceError(
                "Kafka has no address: no embedded services are running. Start them with `./submit.sh up`, "
                "or set kafka.bootstrap_servers in conf/inkstream.toml"
            )
        return self.bootstrap_servers

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The brokers' hosts, without the brackets of IPv6, and ports. Raises as `servers`."""
        parts = [server.strip().rpartition(":") for server in self.servers.split(",")]
        return [(host.strip("[]"), int(port)) for host, _, port in parts if port.isdigit()]


class CassandraSettings(Section):
    contact_points: str = ""
    port: int = Field(9042, ge=1, le=65535)
    keyspace: str = Field("inkstream", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    datacenter: str = "datacenter1"
    replication_factor: int = Field(1, ge=1)
    consistency: Literal["ONE", "TWO", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE"] = "LOCAL_QUORUM"
    keep_days: int = Field(0, ge=0, le=7300)
    username: str = ""
    password: SecretStr = SecretStr("")
    tls: bool = False
    ca_file: str = ""

    @property
    def hosts(self) -> list[str]:
        """The contact points. Raises ServiceError where none is known."""
        if not self.contact_points:
            raise ServiceError(
                "Cassandra has no address: no embedded services are running. Start them with `./submit.sh up`, "
                "or set cassandra.contact_points in conf/inkstream.toml"
            )
        return [host.strip() for host in self.contact_points.split(",") if host.strip()]


class SparkSettings(Section):
    master: str = "local[*,4]"
    driver_memory: str = Field("1g", pattern=r"^\d+[kmgtKMGT]$")
    executor_memory: str = Field("1g", pattern=r"^\d+[kmgtKMGT]$")
    secret: SecretStr = SecretStr("")


class ImageSettings(Section):
    max_image_bytes: int = Field(10 * MIB, ge=1 * KIB, le=512 * MIB)
    max_pixels: int = Field(50_000_000, ge=784)
    decode_limit_s: float = Field(30.0, gt=0)
    decode_memory_mb: int = Field(2_048, ge=64)

    @property
    def max_message_bytes(self) -> int:
        """What Kafka takes: 1 MiB more, so that a slightly larger picture still becomes `too_large` with a row."""
        return self.max_image_bytes + MIB

    @property
    def max_copy_bytes(self) -> int:
        """What images.rejected takes: a message of the largest size with the reason in its headers still fits."""
        return self.max_message_bytes + 64 * KIB


class ModelSettings(Section):
    bundle: str = ""
    folder: str = ""
    threshold: float = Field(-1.0, ge=-1.0, le=1.0)


class StreamSettings(Section):
    max_offsets_per_trigger: int = Field(20_000, ge=1)
    on_data_loss: Literal["fail", "continue"] = "fail"
    checkpoint: str = ""
    metrics_port: int = Field(0, ge=0, le=65535)
    batch_rows: int = Field(512, ge=1)
    write_limit_s: float = Field(300.0, gt=0)


class GatewaySettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    tokens: SecretStr = SecretStr("")
    tokens_file: str = ""
    secret: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    uploads_per_minute: int = Field(6_000, ge=0)
    uploads_per_second: int = Field(0, ge=0)
    max_files: int = Field(20, ge=1, le=1_000)
    body_seconds: int = Field(120, ge=1)
    fetch_private: bool = False
    cors_origins: str = ""


class ReportSettings(Section):
    catalog: Literal["jdbc", "rest", "hive"] = "jdbc"
    catalog_uri: str = ""
    warehouse: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    time_zone: str = "UTC"
    keep_days: int = Field(7, ge=0)
    reference: str = ""

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, KeyError, OSError) as error:
            raise ValueError("it is no time zone of the IANA data base, such as Europe/Berlin") from error
        return name


class Settings(BaseSettings):
    """Every setting, read once. Frozen; secrets are masked in `repr`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    local: LocalSettings = LocalSettings()
    kafka: KafkaSettings = KafkaSettings()
    cassandra: CassandraSettings = CassandraSettings()
    spark: SparkSettings = SparkSettings()
    image: ImageSettings = ImageSettings()
    model: ModelSettings = ModelSettings()
    stream: StreamSettings = StreamSettings()
    gateway: GatewaySettings = GatewaySettings()
    report: ReportSettings = ReportSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, _SettingsFile(settings_cls, _toml_file())


class _SettingsFile(TomlConfigSettingsSource):
    """conf/inkstream.toml, which may be read by many and shown to anybody: a secret in it is refused."""

    def __call__(self) -> dict[str, Any]:
        content = super().__call__()
        for section, values in content.items():
            for key in SECRETS & (values.keys() if isinstance(values, dict) else set()):
                raise SettingError(
                    f"{_toml_file()} has a value for {section}.{key}; secrets are read from the environment only: "
                    f"take it out and set {PREFIX}{section.upper()}__{key.upper()}"
                )
        return content


def load_settings() -> Settings:
    """The settings as they stand; blank addresses are filled with those of the running embedded services.

    Raises:
        SettingError: a key is unknown or its value wrong; the message names both.
    """
    _refuse_unknown_variables()
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingError(_first_finding(error)) from error
    except SettingsError as error:
        raise SettingError(
            f"A variable that stands for a whole section must hold JSON ({error}); set {PREFIX}<SECTION>__<KEY> instead"
        ) from error
    except (ValueError, OSError) as error:  # broken TOML, or a file that may not be read
        raise SettingError(f"{_toml_file()} cannot be read: {error}") from error
    _check_retention(settings)
    return _with_embedded_addresses(settings)


def _check_retention(settings: Settings) -> None:
    days, hours = settings.cassandra.keep_days, settings.kafka.retention_hours
    if days and days * 24 <= hours:
        raise SettingError(
            f"cassandra.keep_days has the value {days}: rows must outlive their messages, which Kafka keeps for "
            f"{hours} hours (kafka.retention_hours); else `verify` calls them lost, and a replay brings them back"
        )


def _toml_file() -> Path:
    path = Path(os.environ.get("INKSTREAM_CONF") or home() / "conf" / "inkstream.toml")
    if not path.is_file():
        raise SettingError(
            f"There is no settings file {path}; INKSTREAM_CONF or INKSTREAM_HOME points to a wrong place"
        )
    return path


def _refuse_unknown_variables() -> None:
    sections = {name.upper() for name in Settings.model_fields}
    for name in os.environ:
        upper = name.upper()  # as pydantic reads them
        if not upper.startswith(PREFIX) or upper in NOT_SETTINGS:
            continue
        if upper.removeprefix(PREFIX).partition("__")[0] not in sections:
            raise SettingError(f"{name} is no setting; known sections: {', '.join(sorted(sections))}")


def _first_finding(error: ValidationError) -> str:
    finding = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in finding["loc"])
    # A mistyped `pasword` holds a secret as well.
    hidden = any(word in key.lower() for word in ("pas", "tok", "secr", "redis"))
    value = "***" if hidden else repr(finding["input"])
    if finding["type"] == "extra_forbidden":
        return f"{key} is no setting (its value: {value}); see conf/inkstream.toml for those that exist"
    message = str(finding["msg"])
    return f"{key} has the value {value}: {message[:1].lower()}{message[1:]}"


def _with_embedded_addresses(settings: Settings) -> Settings:
    endpoints = read_endpoints(settings)
    changes: dict[str, Any] = {}
    addresses = {"kafka": settings.kafka.bootstrap_servers, "cassandra": settings.cassandra.contact_points}
    for section, address in addresses.items():
        if not address and section in endpoints:
            known = _ENDPOINT_KEYS[section] | _CLUSTER_KEYS
            found = {key: value for key, value in endpoints[section].items() if key in known}
            changes[section] = getattr(settings, section).model_copy(update=found)
    return settings.model_copy(update=changes)


def read_endpoints(settings: Settings) -> dict[str, dict[str, Any]]:
    """The addresses that `up` wrote: {"kafka": {...}, "cassandra": {...}, "spark": {...}}; empty where nothing runs."""
    file = settings.local.endpoints_file
    try:
        content: dict[str, dict[str, Any]] = json.loads(file.read_text())
        for service in content.keys() & _ENDPOINT_KEYS.keys():
            if missing := _ENDPOINT_KEYS[service] - content[service].keys():
                raise ValueError(f"{service} lacks {', '.join(missing)}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise SetupError(f"{file} cannot be read ({error}); remove it and run `./submit.sh up` again") from error
    return content
