#!/bin/sh
# The Python that spark-submit starts a job with. Spark puts its own Python side on the path as zips, from which every
# module is compiled anew at each start; the package pyspark that is installed is the same, and compiled.
path=
IFS=:
for entry in ${PYTHONPATH:-}; do
    case $entry in
        *.zip | *.jar) ;;
        *) path=$path${path:+:}$entry ;;
    esac
done
export PYTHONPATH="$path"
exec "$PYSPARK_PYTHON" "$@"
