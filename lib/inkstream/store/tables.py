"""Cassandra's tables as Spark sees them, by the Spark-Cassandra connector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inkstream.settings import Settings

if TYPE_CHECKING:  # commands that start no Spark import rooms beside this one
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

CONNECTOR = "org.apache.spark.sql.cassandra"


def read_table(spark: SparkSession, settings: Settings, table: str) -> DataFrame:
    """The table's rows, read as they are asked for."""
    return table_reader(spark, settings.cassandra.keyspace, table).load()


def table_reader(spark: SparkSession, keyspace: str, table: str) -> DataFrameReader:
    """The same, to which options of the connector can be given before it is loaded."""
    return spark.read.format(CONNECTOR).options(table=table, keyspace=keyspace)
