"""What can go wrong, in one look.

* InkstreamError                 the process cannot go on; the command prints one sentence and ends non-zero
  - SettingError          2      a setting, flag or argument is wrong; names it and its value
  - SetupError            2      the installation is incomplete (Java, jars, packages, a folder)
  - ServiceError          3      Kafka, Cassandra or Spark cannot be reached, or answered with an error
  - BundleError           1      a model bundle is damaged or does not fit
  - SchemaError           1      a table or a data set has not the columns that records.py declares
  - FoundError            1      the command ran to its end and found something wrong (a failed file, a lost row)

* Rejected                       no error of ours: a picture that cannot be answered. Data, with a reason

The number is the exit status of a command that ends with it.
"""

from __future__ import annotations


class InkstreamError(Exception):
    """The process cannot go on. The message is one sentence that names the thing, the value and what to do."""

    exit_status = 1
    retriable = False


class SettingError(InkstreamError):
    """A setting, flag or argument is wrong."""

    exit_status = 2


class SetupError(InkstreamError):
    """The installation is incomplete."""

    exit_status = 2


class ServiceError(InkstreamError):
    """Kafka, Cassandra or Spark cannot be reached, or answered with an error."""

    exit_status = 3
    retriable = True


class BundleError(InkstreamError):
    """A model bundle is damaged or does not fit."""


class SchemaError(InkstreamError):
    """A table or a data set has not the declared columns."""


class FoundError(InkstreamError):
    """The command ran to its end and found something wrong."""


class Rejected(Exception):
    """A picture that cannot be answered; `code` is one of `records.REASON_CODES`, `reason` a sentence for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
