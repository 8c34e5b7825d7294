"""An outcome in; a table on the terminal, a chart in a file, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Case, Outcome

CHART_DPI = 110
MOST_COLUMNS = 8  # of figures


def show(outcome: Outcome, console: Console) -> None:
    """A table for each case: medians, and how many times better ours is."""
    for case in outcome.cases:
        console.print(_table(outcome.name, case))
        for note in case.notes:
            console.print(f"  {note}", markup=False)
        if case.spent:
            console.print(_spent_table(outcome.name, case))
    if outcome.left_out:
        console.print(f"{outcome.name}: left out here: {'; '.join(outcome.left_out)}", markup=False)


def _table(name: str, case: Case) -> Table:
    """A row a contender; where there are many figures, a row each of those, so that none is cut to a few letters."""
    keys = list(dict.fromkeys(key for contender in case.rounds for key in case.medians(contender)))
    better = f"{case.base} is better by"
    heads = ["rounds", *(key.replace("_", " ") for key in keys), better]
    lines = [_line(case, contender, keys) for contender in case.rounds]
    names = list(case.rounds)
    if len(keys) > MOST_COLUMNS:
        heads, names, lines = names, heads, [list(column) for column in zip(*lines, strict=True)]
    table = Table(title=f"{name}: {case.name}", title_justify="left")
    table.add_column("")
    for head in heads:
        table.add_column(head, justify="right")
    for first, line in zip(names, lines, strict=True):
        table.add_row(first, *line)
    return table


def _line(case: Case, contender: str, keys: Sequence[str]) -> list[str]:
    """How many rounds it had, its medians, and how many times better the base is."""
    medians = case.medians(contender)
    ratio = None if contender == case.base else case.ratio(contender)
    better = "" if ratio is None else f"{ratio:.2f} x"
    return [str(len(case.rounds[contender])), *(_number(medians.get(key)) for key in keys), better]


def _spent_table(name: str, case: Case) -> Table:
    """What the CPU time went into: a column a contender, a row for what is more than a hundredth of the first's."""
    columns = {contender: case.spent_by(contender) for contender in case.spent}
    first = next(iter(columns.values()))
    groups = list(dict.fromkeys(group for column in columns.values() for group in column))
    totals = {contender: sum(column.values()) for contender, column in columns.items()}
    table = Table(title=f"{name}: {case.name}: microseconds of CPU an image, services' with it", title_justify="left")
    table.add_column("")
    for contender in columns:
        table.add_column(contender, justify="right")
        table.add_column("share", justify="right")
    least = 0.01 * sum(first.values())
    for group in groups:
        values = [column.get(group, 0.0) for column in columns.values()]
        if max(values) >= least:
            table.add_row(group, *_with_shares(values, totals))
    table.add_section()
    table.add_row("all", *_with_shares(list(totals.values()), totals))
    return table


def _with_shares(values: Sequence[float], totals: Mapping[str, float]) -> list[str]:
    cells = []
    for value, total in zip(values, totals.values(), strict=True):
        cells += [f"{value:.1f}", f"{value / total:.0%}" if total else ""]
    return cells


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw(outcomes: Sequence[Outcome], file: Path) -> None:
    """Bars for each case, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    cases = [(outcome.name, case) for outcome in outcomes for case in outcome.cases]
    if not cases:
        return
    figure = Figure(figsize=(9, 0.6 + 0.35 * sum(len(case.rounds) + 2 for _, case in cases)), layout="constrained")
    heights = [len(case.rounds) + 1 for _, case in cases]
    axes = figure.subplots(len(cases), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, (name, case) in zip(axes, cases, strict=True):
        contenders = list(case.rounds)
        values = [case.medians(contender).get(case.figure, 0.0) for contender in contenders]
        colours = ["#0f766e" if contender == case.base else "#94a3b8" for contender in contenders]
        bars = axis.barh(contenders, values, color=colours)
        axis.bar_label(bars, labels=[_number(value) for value in values], padding=3)
        axis.invert_yaxis()
        axis.margins(x=0.15)
        better = "more is better" if case.more else "less is better"
        axis.set_title(f"{name}: {case.name}, {case.figure.replace('_', ' ')} ({better})", loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=CHART_DPI)
