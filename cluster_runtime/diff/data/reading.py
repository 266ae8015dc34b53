"""Compares the rows of two databases by hashes: a summary of buckets, then what lies in some.

Each side works in a thread of its own, so that both servers work at the same time. What is held
here is a summary, a batch of marks of each side, and the rows to show: nothing grows with the
number of differences.
"""

import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from psycopg import errors, sql

from cluster_runtime.diff.data.merging import Difference, Mark, Place, differences
from cluster_runtime.diff.data.sequences import compare_sequences
from cluster_runtime.diff.data.statements import (
    TABLES,
    VALUE_CHARACTERS_MAX,
    Parameters,
    TableStatements,
    chosen,
)
from cluster_runtime.diff.data.tables import (
    Bucket,
    ColumnFacts,
    Comparison,
    TableFacts,
    blocks_to_look_into,
    comparison,
    differing,
    range_count,
    runs,
    sampled_percent,
)
from cluster_runtime.diff.results import Change, Method, RowChange, SequenceDiff, TableDiff
from cluster_runtime.diff.session import Reading, Sides
from cluster_runtime.errors import InvalidParameterError

MARKS_OF_A_BATCH = 10_000
ROWS_OF_ALL = 10_000
REFUSALS = (
    errors.InsufficientPrivilege,
    errors.LockNotAvailable,
    errors.ObjectNotInPrerequisiteState,
    errors.UndefinedTable,
    errors.WrongObjectType,
)
"""What one table may meet, and the others need not."""

Values = tuple[str | None, ...]
Changed = Mapping[int, Collection[int]]


def compare_rows(
    source: Reading,
    target: Reading,
    only: Collection[str],
    rows_max: int,
    changed: Changed | None = None,
) -> tuple[list[TableDiff], list[SequenceDiff]]:
    """Every table of either side, and every sequence that stands elsewhere.

    only: tables by their names, with schema; all where none is named. rows_max: how many changed
    rows of each are shown, while that makes no more than ROWS_OF_ALL. changed: of databases that
    were one once, blocks by the number of a file that either has changed since; None: any may be.
    Raises InvalidParameterError for a table that neither side has, and psycopg.Error.
    """
    sides = Sides(source, target)
    ours, theirs = sides.both(_tables)
    sequences = [] if only else compare_sequences(sides)
    names = ours.keys() | theirs.keys()
    for name in only:
        if name not in names:
            raise InvalidParameterError(f"neither side has a table {name!r}")
    tables: list[TableDiff] = []
    left = ROWS_OF_ALL
    for name in sorted(only or names):
        most = min(rows_max, left)
        found = _compare(sides, ours.get(name), theirs.get(name), most, changed)
        left -= len(found.rows)
        tables.append(found)
    return tables, sequences


def _tables(reading: Reading) -> dict[str, TableFacts]:
    found = {}
    for label, schema, name, partitioned, columns, keys, pages, files, why in reading.conn.execute(
        TABLES
    ):
        found[label] = TableFacts(
            label,
            schema,
            name,
            partitioned,
            tuple(ColumnFacts(*each) for each in columns),
            tuple(tuple(key) for key in keys),
            pages,
            tuple((oid, number) for oid, number in files),
            why,
        )
    return found


def _compare(
    sides: Sides,
    source: TableFacts | None,
    target: TableFacts | None,
    rows_max: int,
    changed: Changed | None,
) -> TableDiff:
    for side, facts in (("source", source), ("target", target)):
        if facts is not None and facts.unreadable is not None:
            return _not_compared(facts, f"in the {side}: {facts.unreadable}")
    try:
        with sides.source.conn.transaction(), sides.target.conn.transaction():
            if source is not None and target is not None:
                both = _Both(sides, comparison(source, target), rows_max)
                blocks = None
                if changed is not None:
                    blocks = blocks_to_look_into(source, target, changed)
                return both.diff() if blocks is None else both.diff_in(blocks)
            if source is not None:
                return _only(sides.source, source, "removed", rows_max)
            assert target is not None
            return _only(sides.target, target, "added", rows_max)
    except REFUSALS as error:
        either = source or target
        assert either is not None
        return _not_compared(either, f"PostgreSQL refused: {error}".strip())


def _not_compared(facts: TableFacts, why: str) -> TableDiff:
    return TableDiff(facts.label, (), (), None, None, 0, 0, 0, (), why)


def _only(reading: Reading, facts: TableFacts, change: Change, rows_max: int) -> TableDiff:
    """A table of one side: all its rows are added, or removed."""
    columns = tuple(column.name for column in facts.columns)
    key = facts.keys[0] if facts.keys else ()
    statements = TableStatements(facts, columns, key, None)
    ((count,),) = reading.conn.execute(statements.count())
    rows = [
        _row_change(change, columns, key, _cut(values), None)
        if change == "removed"
        else _row_change(change, columns, key, None, _cut(values))
        for (values,) in reading.conn.execute(statements.first_rows(), {"limit": rows_max})
    ]
    added, removed = (count, 0) if change == "added" else (0, count)
    return TableDiff(
        facts.label,
        columns,
        key,
        count if change == "removed" else None,
        count if change == "added" else None,
        added,
        removed,
        0,
        tuple(rows),
    )


class _Both:
    """A table that both sides have."""

    def __init__(self, sides: Sides, plan: Comparison, rows_max: int) -> None:
        self._sides = sides
        self._plan = plan
        self._rows_max = rows_max
        self._ours, self._theirs = (
            TableStatements(facts, plan.columns, plan.key, plan.ranged_by)
            for facts in (plan.source, plan.target)
        )
        self._salt: Parameters = {"salt": secrets.token_hex(16)}

    def diff(self) -> TableDiff:
        """Its rows, compared. Raises psycopg.Error."""
        bounds = self._bounds()
        asked: Parameters = {**self._salt, "bounds": bounds}
        ours, theirs = self._sides.each(
            lambda reading: _summary(reading, self._ours, asked),
            lambda reading: _summary(reading, self._theirs, asked),
        )
        rows = [sum(bucket.rows for bucket in each.values()) for each in (ours, theirs)]
        buckets = differing(ours, theirs)
        found = runs(buckets, len(bounds)) if self._plan.ranged_by is not None else ()
        statements = self._ours.marks(found), self._theirs.marks(found)
        asked = chosen(buckets, found, bounds)
        return self._told(self._differences(*statements, asked) if buckets else (), "hash", *rows)

    def diff_in(self, blocks: Sequence[int]) -> TableDiff:
        """The same, of the rows in some blocks: those in others are the same."""
        statements = self._ours.marks_in_blocks(), self._theirs.marks_in_blocks()
        asked: Parameters = {"blocks": list(blocks)}
        return self._told(self._differences(*statements, asked) if blocks else (), "log")

    def _told(
        self,
        differences: Iterable[Difference],
        method: Method,
        source_rows: int | None = None,
        target_rows: int | None = None,
    ) -> TableDiff:
        counts = Counter[Change]()
        shown: list[Difference] = []
        for each in differences:
            counts[each.change] += 1
            if len(shown) < self._rows_max:
                shown.append(each)
        return TableDiff(
            self._plan.source.label,
            self._plan.columns,
            self._plan.key,
            source_rows,
            target_rows,
            counts["added"],
            counts["removed"],
            counts["changed"],
            self._rows(shown),
            self._plan.left_out,
            method,
        )

    def _bounds(self) -> list[str]:
        """Where to cut the table into ranges; nowhere, where buckets are none or one is enough."""
        pages = max(self._plan.source.pages, self._plan.target.pages)
        count = range_count(pages)
        if self._plan.ranged_by is None or count == 1:
            return []
        bigger = self._plan.source.pages >= self._plan.target.pages
        reading = self._sides.source if bigger else self._sides.target
        statements = self._ours if bigger else self._theirs
        parts = [place / count for place in range(1, count)]
        rows = reading.conn.execute(
            statements.sample(), {"parts": parts, "percent": sampled_percent(pages)}
        )
        return [bound for (bound,) in rows]

    def _differences(
        self, source: sql.Composed, target: sql.Composed, asked: Parameters
    ) -> Iterator[Difference]:
        ours = _Marks(self._sides.source, source, {**self._salt, **asked})
        theirs = _Marks(self._sides.target, target, {**self._salt, **asked})
        with ours, theirs:
            self._sides.each(ours.begin, theirs.begin)
            yield from differences(ours, theirs)

    def _rows(self, shown: Sequence[Difference]) -> tuple[RowChange, ...]:
        ours, theirs = self._sides.each(
            lambda reading: _values(reading, self._ours, [each.source for each in shown]),
            lambda reading: _values(reading, self._theirs, [each.target for each in shown]),
        )
        rows = [
            _row_change(
                each.change,
                self._plan.columns,
                self._plan.key,
                ours[each.source] if each.source else None,
                theirs[each.target] if each.target else None,
            )
            for each in shown
        ]
        return tuple(sorted(rows, key=_order))


class _Marks:
    """The marks of one side, a batch at a time."""

    def __init__(self, reading: Reading, statement: sql.Composed, asked: Parameters) -> None:
        self._cursor = reading.conn.cursor(name="marks")
        self._statement = statement
        self._asked = asked
        self._batch: list[tuple[Any, ...]] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._cursor.close()

    def begin(self, reading: Reading) -> None:
        """Have the server find and sort them."""
        self._cursor.execute(self._statement, self._asked)
        self._batch = self._cursor.fetchmany(MARKS_OF_A_BATCH)

    def __iter__(self) -> Iterator[Mark]:
        while self._batch:
            for identity, digest, relation, ctid in self._batch:
                yield Mark(identity, digest, Place(relation, ctid))
            self._batch = self._cursor.fetchmany(MARKS_OF_A_BATCH)


def _summary(reading: Reading, statements: TableStatements, asked: Parameters) -> dict[int, Bucket]:
    rows = reading.conn.execute(statements.summary(), asked)
    return {bucket: Bucket(count, int(digests)) for bucket, count, digests in rows}


def _values(
    reading: Reading, statements: TableStatements, places: Sequence[Place | None]
) -> dict[Place, Values]:
    """What the rows at some places hold."""
    wanted = {place for place in places if place is not None}
    if not wanted:
        return {}
    rows = reading.conn.execute(
        statements.rows(), {"places": [place.ctid for place in sorted(wanted)]}
    )
    found = {Place(relation, ctid): _cut(values) for relation, ctid, values in rows}
    return {place: found[place] for place in wanted}


def _row_change(
    change: Change,
    columns: Sequence[str],
    key: Sequence[str],
    source: Values | None,
    target: Values | None,
) -> RowChange:
    either = source if source is not None else target or ()
    values = dict(zip(columns, either, strict=True))
    return RowChange(change, tuple(values[name] for name in key), source, target)


def _cut(values: Sequence[str | None]) -> Values:
    return tuple(
        value
        if value is None or len(value) <= VALUE_CHARACTERS_MAX
        else f"{value[:VALUE_CHARACTERS_MAX]}…"
        for value in values
    )


def _order(row: RowChange) -> list[tuple[bool, int, str]]:
    """Whole numbers by their value, all else by its text."""
    said = row.key or row.source or row.target or ()
    return [(False, int(value), "") if _whole(value) else (True, 0, value or "") for value in said]


def _whole(value: str | None) -> TypeGuard[str]:
    return value is not None and value.isascii() and value.removeprefix("-").isdigit()
