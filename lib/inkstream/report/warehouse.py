"""The warehouse: a star schema of Iceberg tables. Settings in, a Spark session on its tables out.

One row of fact_prediction is one answer: a picture under a model version. Keys of the dimensions are xxhash64 of what
they stand for, so a day that is built again gets the same keys and no run has to look one up. Two views that live in
the session join the star: `predictions` (all answers) and `answers` (one for each picture: the current model's, else
the newest).
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from inkstream.report import counting
from inkstream.settings import Settings
from inkstream.spark import build_session

CATALOG = "warehouse"
NAMESPACE = "inkstream"
EXTENSIONS = (
    "com.datastax.spark.connector.CassandraSparkExtensions",  # reads of a day's own partitions
    "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",  # CALL, ALTER TABLE ... in `sql`
)
JARS = ("spark", "report")
CATALOG_WAIT_MS = 60_000  # how long SQLite waits for another process that writes to the catalog

TABLES = {
    "fact_prediction": """
        day DATE COMMENT 'the UTC day, as in Cassandra',
        image_id STRING,
        date_key DATE COMMENT 'the day in the time zone of the report',
        hour INT COMMENT '0-23, in the time zone of the report',
        source_key BIGINT, model_key BIGINT, label_key BIGINT, outcome_key BIGINT,
        truth_key BIGINT COMMENT 'the label that a person gave: the newest correction, else what the uploader claimed',
        truth_by STRING COMMENT 'correction or claim; null where no truth is known',
        is_right BOOLEAN COMMENT 'null where no truth is known, or the picture was rejected',
        is_preferred BOOLEAN COMMENT 'the one answer that counts for its picture',
        confidence FLOAT COMMENT '0..1; null where rejected',
        ink_share FLOAT COMMENT '0..1, of what the model saw',
        decode_ms FLOAT, normalise_ms FLOAT, predict_ms FLOAT, queued_ms FLOAT COMMENT 'null where not measured',
        file_kind STRING COMMENT 'the suffix of the filename',
        filename STRING, uploaded_at TIMESTAMP, predicted_at TIMESTAMP""",
    "dim_date": """
        date_key DATE, year INT, quarter INT, month INT, iso_week INT, day_of_month INT,
        weekday INT COMMENT '1 Monday .. 7 Sunday', weekday_name STRING, is_weekend BOOLEAN""",
    "dim_source": "source_key BIGINT, source STRING COMMENT 'null: the upload named none'",
    "dim_model": "model_key BIGINT, model_version STRING COMMENT '-: no model was reached', is_current BOOLEAN",
    "dim_label": "label_key BIGINT, label STRING COMMENT 'null: none'",
    "dim_outcome": "outcome_key BIGINT, outcome STRING, reason_code STRING, meaning STRING",
    "loaded_days": """
        day DATE, changed_at TIMESTAMP COMMENT 'that of changed_days when the day was read', loaded_at TIMESTAMP,
        time_zone STRING, current_version STRING, versions BIGINT COMMENT 'versions in it',
        counting INT COMMENT 'by which rules the page counted it'""",
    **counting.TABLES,
}
BY_DAY = ("fact_prediction", *counting.TABLES)  # whole days of them are replaced
VIEW = """
    CREATE OR REPLACE TEMPORARY VIEW predictions AS
    SELECT f.image_id, m.model_version, m.is_current, f.date_key AS date, f.hour, d.weekday, s.source, l.label,
           f.confidence, o.outcome, o.reason_code, t.label AS truth, f.truth_by, f.is_right, f.is_preferred,
           f.ink_share, f.decode_ms, f.normalise_ms, f.predict_ms, f.queued_ms, f.file_kind, f.filename,
           f.uploaded_at, f.predicted_at, f.day
    FROM fact_prediction f
    LEFT JOIN dim_date d ON d.date_key = f.date_key
    LEFT JOIN dim_source s ON s.source_key = f.source_key
    LEFT JOIN dim_model m ON m.model_key = f.model_key
    LEFT JOIN dim_label l ON l.label_key = f.label_key
    LEFT JOIN dim_label t ON t.label_key = f.truth_key
    LEFT JOIN dim_outcome o ON o.outcome_key = f.outcome_key"""
ANSWERS = "CREATE OR REPLACE TEMPORARY VIEW answers AS SELECT * FROM predictions WHERE is_preferred"


def build_warehouse_session(settings: Settings, name: str) -> SparkSession:
    """The Spark session of a job on the warehouse; the one that submits it has the jars of JARS on its class path."""
    more = {"spark.sql.extensions": ",".join(EXTENSIONS)}
    # An answer of `sql` needs no Cassandra: its address is set where there is one.
    spark = build_session(settings, name, cassandra=bool(settings.cassandra.contact_points), more=more)
    return open_warehouse(spark, settings)


def open_warehouse(spark: SparkSession, settings: Settings) -> SparkSession:
    """The same session with the warehouse as its catalog; its tables and views are created where they are missing.

    `spark.sql("SELECT ... FROM answers")` and the names in TABLES work afterwards.
    """
    for key, value in catalog_conf(settings).items():
        spark.conf.set(key, value)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.adaptive.enabled", "true")  # how much a day holds is only known while it runs
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.{NAMESPACE}")
    spark.sql(f"USE {CATALOG}.{NAMESPACE}")
    there = {table.tableName for table in spark.sql("SHOW TABLES").collect()}
    for name, columns in TABLES.items():
        if name in there:
            continue
        by_day = "PARTITIONED BY (day)" if name in BY_DAY else ""
        spark.sql(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING iceberg {by_day}")
    spark.sql(VIEW)
    spark.sql(ANSWERS)
    return spark


def read_facts(spark: SparkSession) -> DataFrame:
    """One row per picture, the star joined: the columns of the view `answers`."""
    return spark.table("answers")


def warehouse_folder(settings: Settings) -> str:
    """Where the tables lie: a Spark path."""
    return settings.report.warehouse or (settings.local.path / "warehouse").absolute().as_uri()


def catalog_conf(settings: Settings) -> dict[str, str]:
    """The Iceberg catalog's configuration: a SQLite file beside the tables unless the settings name another."""
    report = settings.report
    prefix = f"spark.sql.catalog.{CATALOG}"
    uri = report.catalog_uri
    conf = {
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        f"{prefix}.type": report.catalog,
        f"{prefix}.warehouse": warehouse_folder(settings),
        f"{prefix}.cache-enabled": "false",  # another process may have written meanwhile
    }
    if report.catalog == "jdbc":
        if not uri:
            folder = settings.local.path / "warehouse"
            folder.mkdir(parents=True, exist_ok=True)
            uri = f"jdbc:sqlite:{(folder / 'catalog.db').absolute()}?busy_timeout={CATALOG_WAIT_MS}"
        conf[f"{prefix}.jdbc.schema-version"] = "V1"
    if uri:
        conf[f"{prefix}.uri"] = uri
    if report.username:
        secret = report.password.get_secret_value()
        if report.catalog == "jdbc":
            conf |= {f"{prefix}.jdbc.user": report.username, f"{prefix}.jdbc.password": secret}
        else:
            conf[f"{prefix}.credential"] = f"{report.username}:{secret}"
    return conf
