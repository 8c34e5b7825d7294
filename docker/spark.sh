#!/bin/sh
# master|worker [arguments]: a process of a Spark standalone cluster in the foreground, with the project's own Java and
# Spark. A worker joins SPARK_MASTER, spark://spark-master:7077 where that is not set. With INKSTREAM_SPARK__SECRET it
# takes nobody who has another one, or none.
set -eu

root=$(dirname "$(dirname "$(readlink -f "$0")")")
python="$root/.venv/bin/python"
JAVA_HOME=$("$python" -c 'from inkstream.local.java import java_home; print(java_home())')
SPARK_HOME=$("$python" -c 'import pyspark; print(*pyspark.__path__)')
# Without the version Spark takes pyspark for a source tree of its own. A master that comes back has another address:
# its workers look for it by its name.
export JAVA_HOME SPARK_HOME SPARK_SCALA_VERSION=2.12 PYSPARK_PYTHON="$python"
export SPARK_WORKER_OPTS="-Dspark.worker.preferConfiguredMasterAddress=true ${SPARK_WORKER_OPTS:-}"
if [ -n "${INKSTREAM_SPARK__SECRET:-}" ]; then
    protected=$("$python" -c 'from inkstream.local.masters import PROTECTED as keys; print(*(f"-D{k}={v}" for k, v in keys.items()))')
    export _SPARK_AUTH_SECRET="$INKSTREAM_SPARK__SECRET" SPARK_DAEMON_JAVA_OPTS="$protected ${SPARK_DAEMON_JAVA_OPTS:-}"
fi

role=${1:-}
[ $# -eq 0 ] || shift
spark=org.apache.spark.deploy
case $role in
    master) exec "$SPARK_HOME/bin/spark-class" $spark.master.Master --port 7077 --webui-port 8080 "$@" ;;
    worker) exec "$SPARK_HOME/bin/spark-class" $spark.worker.Worker --webui-port 8081 "$@" "${SPARK_MASTER:-spark://spark-master:7077}" ;;
    *)
        echo "error: '$role' is no part of a Spark cluster; say master or worker" >&2
        exit 2
        ;;
esac
