"""Real Kafka, Cassandra and Spark, started once a session; every test has topics and a keyspace of its own."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import SparkSession

from inkstream.local.jars import spark_class_path
from inkstream.local.java import java_home
from inkstream.local.services import RunningServices, running_services
from inkstream.settings import Settings, load_settings

SettingsFactory = Callable[[], Settings]


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Kafka and Cassandra in a folder of their own, on free ports, whatever the developer has running."""
    blank = load_settings().model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    with running_services(blank, tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(scope="session")
def services(embedded: RunningServices) -> SettingsFactory:
    """A factory of settings that lead to the services, each with a topic prefix and a keyspace that nobody else has."""

    def build() -> Settings:
        own = f"t{uuid.uuid4().hex[:12]}"
        settings = embedded.settings
        return settings.model_copy(
            update={
                "kafka": settings.kafka.model_copy(update={"topic_prefix": f"{own}."}),
                "cassandra": settings.cassandra.model_copy(update={"keyspace": own}),
            }
        )

    return build


@pytest.fixture
def settings(services: SettingsFactory) -> Settings:
    """Settings with topics and keyspace of this test alone; neither exists yet."""
    return services()


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A local Spark with two threads, the Kafka source and the Cassandra connector."""
    os.environ["JAVA_HOME"] = str(java_home())
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    class_path = spark_class_path(load_settings())
    session = (
        SparkSession.builder.master("local[2]")
        .appName("tests")
        .config("spark.driver.extraClassPath", class_path)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", 1)
        .config("spark.sql.extensions", "com.datastax.spark.connector.CassandraSparkExtensions")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    yield session
    session.stop()
