"""A manifest in, the tables that a person reads out."""

from __future__ import annotations

from rich.table import Table

from inkstream.dataset.manifest import SPLITS, Manifest
from inkstream.records import REASON_CODES

_REASONS = {
    **REASON_CODES,
    "duplicate": "another picture has the same pixels",
    "conflicting_labels": "pictures with the same pixels have other labels",
    "unknown_label": "no label, or none of the data set's",
    "missing": "the file or its bytes are not there",
}


def manifest_tables(manifest: Manifest) -> list[Table]:
    """Pictures by label and split; pictures by source; what was left out, where something was."""
    tables = [_counts(manifest), _sources(manifest)]
    return [*tables, _left_out(manifest)] if manifest.left_out else tables


def _counts(manifest: Manifest) -> Table:
    table = Table("label", *SPLITS, title="pictures")
    for column in table.columns[1:]:
        column.justify = "right"
    for label in manifest.labels:
        table.add_row(label, *(f"{manifest.counts.get(split, {}).get(label, 0):,}" for split in SPLITS))
    table.add_section()
    table.add_row("all", *(f"{sum(manifest.counts.get(split, {}).values()):,}" for split in SPLITS))
    if manifest.copies:
        table.add_row("augmented copies", f"{manifest.copies:,}", "", "")
    return table


def _sources(manifest: Manifest) -> Table:
    table = Table("source", *SPLITS)
    for column in table.columns[1:]:
        column.justify = "right"
    for source, counts in manifest.sources.items():
        table.add_row(source, *(f"{counts.get(split, 0):,}" for split in SPLITS))
    return table


def _left_out(manifest: Manifest) -> Table:
    table = Table("source", "left out", "reason", "", title="left out")
    table.columns[1].justify = "right"
    for source, counts in manifest.left_out.items():
        for code, count in counts.items():
            table.add_row(source, f"{count:,}", code, _REASONS.get(code, ""))
    return table
