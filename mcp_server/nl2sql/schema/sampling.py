"""What the rows of a table hold, from a bounded sample: ranges, distinct texts, shapes of codes.

One statement reads a table, within STATEMENT_SECONDS. Where it fails, each column is asked for by
itself, so that one of a type that has no order, of values that no client can read, or that takes
too long, hides no other.
"""

import datetime
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from mcp_server.nl2sql.database.guard.catalog_queries import DO_NOT_PRINT
from mcp_server.nl2sql.database.guard.checks import Limits, begin, check
from mcp_server.nl2sql.database.own_names import own_names
from mcp_server.nl2sql.database.steps import Script, Steps, run
from mcp_server.nl2sql.errors import RefusedError
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.tokens import normal_text, shape_of

VALUES_PER_COLUMN = 2_000
VALUE_MAX_CHARACTERS = 80
SHAPES_PER_COLUMN = 3
"""A column of texts in more shapes than this is of free text."""
STATEMENT_SECONDS = 2.0
"""How long one table, or one column of it, is waited for."""
SHORTEST_SECONDS = 0.05
UNBOUNDED = frozenset({"numeric", "double precision", "real"})
"""Types with values that are no number: NaN, and the infinities."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?", re.ASCII)


@contextmanager
def reading(conn: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """A transaction as the guard opens it, in which our own names mean PostgreSQL's objects.

    seconds: for each of its statements.
    """
    run(conn, begin(Limits(cost=math.inf, timeout=max(seconds, SHORTEST_SECONDS))))
    try:
        run(conn, own_names())
        yield
    finally:
        if not conn.broken:
            conn.execute("rollback; deallocate all")


def sample(
    conn: psycopg.Connection[Any],
    table: Table,
    rows: int,
    ends: float,
    go_on: Callable[[], None],
) -> None:
    """Look at the first rows of a table. ends: when, by the monotonic clock, to leave off.

    go_on: called before each statement; raises where nobody wants the profile any more.
    A table that cannot be read, or not in time, keeps what the statistics say of it.
    Raises psycopg.OperationalError where the connection is lost.
    """
    go_on()
    columns = [column for column in table.columns if column.kind in (Kind.TEXT, Kind.NUMBER)]
    if not columns and table.rows:
        return
    if not _tried(conn, table, columns, rows, ends) and len(columns) > 1:
        for column in columns:
            go_on()
            _tried(conn, table, [column], rows, ends)


def _tried(
    conn: psycopg.Connection[Any],
    table: Table,
    columns: Sequence[Column],
    rows: int,
    ends: float,
) -> bool:
    """Whether the columns could be read."""
    seconds = min(STATEMENT_SECONDS, ends - time.monotonic())
    if seconds <= 0:
        return False
    try:
        with reading(conn, seconds):
            _read(conn, table, columns, rows)
    except (psycopg.Error, RefusedError):
        # too slow, no right to a view's tables, one that writes or fails, a type without min(),
        # a text in another encoding, a materialized view without rows, a server far away
        if conn.broken:
            raise
        return False
    return True


def _read(
    conn: psycopg.Connection[Any], table: Table, columns: Sequence[Column], rows: int
) -> None:
    query = _statement(table, columns, rows)
    run(conn, _judged(query.as_string(conn)))
    count, *found = conn.execute(query).fetchone() or (0,)
    if not table.rows:  # never analysed
        table.rows = count
    for column, values in zip(columns, found, strict=True):
        if column.kind is Kind.TEXT:
            _take_texts(column, values)
        else:
            _take_range(column, *values)


def _judged(query: str) -> Steps[None]:
    """Have the guard look at what is about to be asked: a view may call anything.

    Raises RefusedError.
    """
    yield from check(query, Limits(cost=math.inf))
    yield Script(DO_NOT_PRINT)


def _statement(table: Table, columns: Sequence[Column], rows: int) -> sql.Composed:
    """How many rows there are, and of each column its distinct texts, or its range."""
    names = [sql.Identifier(f"v{number}") for number in range(len(columns))]
    cells = [
        sql.SQL("{} as {}").format(_cell(column), name)
        for column, name in zip(columns, names, strict=True)
    ]
    parts = [
        _texts(name) if column.kind is Kind.TEXT else _range(column, name)
        for column, name in zip(columns, names, strict=True)
    ]
    return sql.SQL(
        "with sample as materialized (select {cells} from {table} limit {rows}) "
        "select (select count(*) from sample){parts}"
    ).format(
        cells=sql.SQL(", ").join(cells),
        table=sql.Identifier(table.schema, table.name),
        rows=sql.Literal(rows),
        parts=sql.SQL("").join(sql.SQL(", {}").format(part) for part in parts),
    )


def _cell(column: Column) -> sql.Composed:
    name = sql.Identifier(column.name)
    if column.kind is Kind.TEXT:
        return sql.SQL("left({}::text, {})").format(name, sql.Literal(VALUE_MAX_CHARACTERS + 1))
    return sql.SQL("{}::numeric" if column.cast else "{}").format(name)


def _texts(name: sql.Identifier) -> sql.Composed:
    return sql.SQL("array(select distinct {0} from sample where {0} is not null limit {1})").format(
        name, sql.Literal(VALUES_PER_COLUMN)
    )


def _range(column: Column, name: sql.Identifier) -> sql.Composed:
    """Least and greatest as texts, for Python cannot hold every number, and how many there are."""
    finite = "where {0} < 'infinity' and {0} > '-infinity'" if column.base in UNBOUNDED else ""
    distinct = "0" if column.distinct else "count(distinct {0})"
    return sql.SQL(
        f"(select array[min({{0}})::text, max({{0}})::text, {distinct}::text] from sample {finite})"
    ).format(name)


def _take_texts(column: Column, values: Sequence[str]) -> None:
    take_values(column, values)
    column.dated_text = _dated(values)
    if column.dated_text and not (column.primary or column.foreign):
        # as texts they are in the order of the days, so only parts of them need the other type
        column.kind, column.base = Kind.DATE, column.dated_text
        column.values.clear()
        return
    filled = [value for value in column.values.values() if value.strip()]
    column.numeric_text = bool(filled) and all(_is_number(value) for value in filled)
    shapes = {shape_of(value) for value in filled}
    if len(shapes) <= SHAPES_PER_COLUMN and not column.numeric_text:
        column.shapes = frozenset(s for s in shapes if "9" in s and " " not in s)
    column.sorts_as_text = column.numeric_text and (
        len({len(value) for value in filled}) == 1 and all(v.isdigit() for v in filled)
    )
    if column.numeric_text:
        numbers = [float(value) for value in filled]
        column.low, column.high = min(numbers), max(numbers)


def _dated(values: Sequence[str]) -> str:
    """`date` or `timestamp` where all texts are days, or times, written as ISO 8601 has them."""
    if not values or not all(_DAY.fullmatch(value) for value in values):
        return ""
    try:
        for value in values:
            datetime.datetime.fromisoformat(value)
    except ValueError:  # the 30th of February
        return ""
    return "date" if all(len(value) == len("2020-01-31") for value in values) else "timestamp"


def take_values(column: Column, values: Iterable[str]) -> None:
    """Note the texts that a column holds."""
    count = 0
    for value in values:
        count += 1
        if not value.strip() or len(value) > VALUE_MAX_CHARACTERS:
            continue
        known = column.values.setdefault(normal_text(value), value)
        if len(value) < len(known):  # the plainest of texts that are written alike
            column.values[normal_text(value)] = value
    column.distinct = max(column.distinct, count)


def _take_range(column: Column, low: str | None, high: str | None, distinct: str) -> None:
    column.distinct = max(column.distinct, int(distinct))
    if low is None or high is None:
        return
    column.low, column.high = float(low), float(high)
    years = column.low.is_integer() and column.low >= 1000 and column.high <= 2100
    column.year_like = years and not column.only_numbered  # ids from 1001 on are no years


def _is_number(text: str) -> bool:
    """Whether PostgreSQL reads it as a number, and Python as one that is not infinite."""
    written = re.fullmatch(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", text, re.ASCII)
    return written is not None and math.isfinite(float(text))
