"""Differences between two databases, drawn: a unified diff of DDL, and tables of changed rows."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from cluster_runtime.diff.results import DataDiff, RowChange, SchemaDiff, SequenceDiff, TableDiff
from mcp_server.cli.console import CELL_WIDTH

SIGNS = {
    "added": Text("+", "green"),
    "removed": Text("-", "red"),
    "changed": Text("~", "yellow"),
}
STYLES = {"+": "green", "-": "red", "@": "cyan"}


def draw_schema(diff: SchemaDiff) -> RenderableType:
    """The unified diff, in colours."""
    if not diff.changes:
        return Text("the schemas are the same")
    return Text("\n").join(
        Text(line, STYLES.get(line[:1], "bold" if line.startswith(("---", "+++")) else ""))
        for line in diff.text.splitlines()
    )


def draw_data(diff: DataDiff) -> RenderableType:
    """For each table that differs how many rows, and some of them."""
    parts: list[RenderableType] = [part for each in diff.tables for part in _table(each)]
    parts += [_sequence(each) for each in diff.sequences]
    if not parts:
        return Text(f"all rows of {_tables(diff.compared_tables)} are the same")
    return Group(Text(f"{_tables(diff.compared_tables)} compared by {diff.method}"), *parts)


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"


def _table(diff: TableDiff) -> Iterator[RenderableType]:
    counts = [
        f"{count} {what}"
        for count, what in (
            (diff.added, "added"),
            (diff.removed, "removed"),
            (diff.changed, "changed"),
        )
        if count
    ]
    yield Text(f"{diff.name}: {', '.join(counts) or 'no row differs'}", "bold")
    if diff.not_compared:
        yield Text(f"not compared: {diff.not_compared}", "yellow")
    if not diff.rows:
        return
    table = Table(Column("", style="bold"))
    for name in diff.columns:
        table.add_column(Text(name, "underline" if name in diff.key else ""))
    for row in diff.rows:
        table.add_row(SIGNS[row.change], *_cells(row, len(diff.columns)))
    yield table
    left = diff.added + diff.removed + diff.changed - len(diff.rows)
    if left:
        yield Text(f"... and {left} more rows", "dim")


def _cells(row: RowChange, count: int) -> Iterator[Text]:
    """The values; of one that changed both, the old one first."""
    if row.source is None or row.target is None:
        style = "green" if row.source is None else "red"
        for value in row.source or row.target or ():
            yield _cell(value, style)
        return
    for place in range(count):
        before, after = row.source[place], row.target[place]
        if before == after:
            yield _cell(before)
        else:
            yield Text(" → ").join([_cell(before, "red"), _cell(after, "green")])


def _cell(value: str | None, style: str = "") -> Text:
    if value is None:
        return Text("null", style=f"{style} dim".strip())
    return Text(value if len(value) <= CELL_WIDTH else f"{value[: CELL_WIDTH - 1]}…", style)


def _sequence(diff: SequenceDiff) -> Text:
    before, after = (
        "not used" if each is None else str(each) for each in (diff.source, diff.target)
    )
    return Text(f"sequence {diff.name}: {before} → {after}")
