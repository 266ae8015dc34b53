"""What a database holds: tables, columns, keys, sizes, and the text values that people name.

Read from `pg_catalog` and `pg_statistic`'s view, and from bounded samples of the data, as the role
that asks: a column that it may not read is not in the profile.
"""

import math
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from mcp_server.nl2sql.database.guard.catalog_queries import DO_NOT_PRINT
from mcp_server.nl2sql.database.guard.checks import Limits, begin, check
from mcp_server.nl2sql.database.own_names import own_names
from mcp_server.nl2sql.database.steps import Script, Steps, run
from mcp_server.nl2sql.errors import RefusedError
from mcp_server.nl2sql.schema.inference import inferred
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table
from mcp_server.nl2sql.words.tokens import identifier_words, normal_text, shape_of

VALUES_PER_COLUMN = 2_000
VALUE_MAX_CHARACTERS = 80
SHAPES_PER_COLUMN = 3
"""A column of texts in more shapes than this is of free text."""
SAMPLE_ROWS = 20_000
SAMPLE_ROWS_TOTAL = 500_000
"""Of all tables together; a table gets its share, and at least SAMPLE_ROWS_MIN."""
SAMPLE_ROWS_MIN = 1_000
SAMPLE_SECONDS = 6.0
"""When this is over, the remaining tables keep what the statistics say of them."""
TABLES_MAX = 400
GUARD = Limits(cost=math.inf, timeout=SAMPLE_SECONDS)

SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")


RELATIONS = """
select c.oid, n.nspname, c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''),
       greatest(c.reltuples, 0)::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> all (%s)
  and n.nspname not like 'pg\\_temp%%' and has_schema_privilege(n.oid, 'usage')
order by n.nspname <> all (current_schemas(false)), c.relname
limit %s
"""

COLUMNS = """
select a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory, t.typname,
       coalesce(col_description(a.attrelid, a.attnum), ''), coalesce(s.n_distinct, 0)::float8,
       case when t.typcategory = 'S' then s.most_common_vals::text::text[] end
from pg_attribute a join pg_type t on t.oid = a.atttypid
join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_stats s
  on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
where a.attrelid = any (%s) and a.attnum > 0 and not a.attisdropped
  and has_column_privilege(a.attrelid, a.attnum, 'select')
order by a.attrelid, a.attnum
"""

CONSTRAINTS = """
select conrelid, contype::text, confrelid,
       array(select attname::text from unnest(conkey) with ordinality k(num, at)
             join pg_attribute on attrelid = conrelid and attnum = num order by at),
       array(select attname::text from unnest(confkey) with ordinality k(num, at)
             join pg_attribute on attrelid = confrelid and attnum = num order by at)
from pg_constraint where contype in ('p', 'u', 'f') and conrelid = any (%s)
"""


def profile(conn: psycopg.Connection[Any]) -> Profile:
    """Profile the database of a connection in autocommit mode.

    All of it runs in READ ONLY transactions of the role that the guard reads as.
    """
    with _reading(conn):
        tables, foreign = _declared(conn)
    found = Profile([table for table in tables.values() if table.columns], foreign)
    share = SAMPLE_ROWS_TOTAL // max(1, len(found.tables))
    rows = min(SAMPLE_ROWS, max(SAMPLE_ROWS_MIN, share))
    ends = time.monotonic() + SAMPLE_SECONDS
    for table in sorted(found.tables, key=lambda each: each.rows):
        if time.monotonic() > ends:
            break
        _sample(conn, table, rows)
    _take_names_apart(found)
    found.foreign_keys += inferred(found)
    index: dict[str, list[tuple[Column, str]]] = defaultdict(list)
    for column in found.columns:
        for normal, value in column.values.items():
            index[normal].append((column, value))
    found.value_index = dict(index)
    return found


@contextmanager
def _reading(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """A transaction as the guard opens it, in which our own names mean PostgreSQL's objects."""
    run(conn, begin(GUARD))
    try:
        run(conn, own_names())
        yield
    finally:
        if not conn.broken:
            conn.execute("rollback; deallocate all")


def _declared(conn: psycopg.Connection[Any]) -> tuple[dict[int, Table], list[ForeignKey]]:
    """Tables with their columns, and what their foreign keys join; no values but the commonest."""
    tables: dict[int, Table] = {}
    for oid, schema, name, comment, rows in conn.execute(
        RELATIONS, [list(SYSTEM_SCHEMAS), TABLES_MAX]
    ):
        tables[oid] = Table(schema, name, comment, rows, words=identifier_words(name))
    for oid, name, type_name, category, base, comment, distinct, common in conn.execute(
        COLUMNS, [list(tables)]
    ):
        table = tables[oid]
        kind = _kind(category, base)
        column = Column(table, name, type_name, kind, comment, words=identifier_words(name))
        column.distinct = int(distinct if distinct >= 0 else -distinct * table.rows)
        _take_values(column, common or ())
        table.columns.append(column)
    return tables, _constraints(conn, tables)


_ENDINGS = ("id", "name", "type", "code", "date", "number", "no")


def _take_names_apart(found: Profile) -> None:
    """`petid` and `stuid` are two words where the first is, or begins, a word of a table."""
    words = {word for table in found.tables for word in table.words if len(word) > 2}
    for column in found.columns:
        if len(column.words) != 1:
            continue
        name = column.words[0]
        initial = column.table.words[-1][:1] if column.table.words else ""
        if column.primary and name.endswith("id") and len(name) <= 4:
            column.words = (column.table.words[-1], "id")
            continue
        if name == f"{initial}name" and initial not in ("f", "l", "m"):
            column.words = (column.table.words[-1], "name")
            continue
        for ending in _ENDINGS:
            start = name.removesuffix(ending)
            own = any(word.startswith(start) for word in column.table.words)
            if start == name or len(start) < (2 if own else 3):
                continue
            whole = next((w for w in sorted(words) if w == start), None) or next(
                (w for w in (*column.table.words, *sorted(words)) if w.startswith(start)), None
            )
            if whole is not None:
                column.words = (whole, ending)
            break


def _kind(category: str, base: str) -> Kind:
    match category:
        case "N":
            return Kind.NUMBER
        case "S" | "E":
            return Kind.TEXT
        case "D":
            return Kind.DATE
        case "B":
            return Kind.BOOLEAN
        case _:
            return Kind.TEXT if base == "uuid" else Kind.OTHER


def _constraints(conn: psycopg.Connection[Any], tables: dict[int, Table]) -> list[ForeignKey]:
    found = []
    for oid, kind, target_oid, names, targets in conn.execute(CONSTRAINTS, [list(tables)]):
        columns = [tables[oid].column(name) for name in names]
        if kind == "f":
            target = tables.get(target_oid)
            for column, name in zip(columns, targets, strict=True):
                other = target.column(name) if target is not None else None
                if column is not None and other is not None:
                    column.foreign = True
                    column.within = other if other.table is column.table else column.within
                    found.append(ForeignKey(column, other))
        for column in columns:
            if column is not None and kind == "p":
                column.primary = True
            if column is not None and kind in "pu" and len(columns) == 1:
                column.unique = True
    return found


def _sample(conn: psycopg.Connection[Any], table: Table, rows: int) -> None:
    """Distinct text values, and which text columns hold numbers, from the first rows."""
    text = [column for column in table.columns if column.kind is Kind.TEXT]
    numbers = [column for column in table.columns if column.kind is Kind.NUMBER]
    if not text and not numbers:
        return
    named = [sql.Identifier(column.name) for column in (*text, *numbers)]
    source = sql.SQL("(select {} from {} limit {}) as sample").format(
        sql.SQL(", ").join(named),
        sql.Identifier(table.schema, table.name),
        sql.Literal(rows),
    )
    try:
        with _reading(conn):
            run(conn, _judged(conn, text, numbers, source))
            _read_values(conn, table, text, numbers, source)
    except pg.QueryCanceled:
        return  # a view that takes longer than there is time for
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, RefusedError):
        return  # a view over what this role may not read, or one that writes or fails


def _read_values(
    conn: psycopg.Connection[Any],
    table: Table,
    text: Sequence[Column],
    numbers: Sequence[Column],
    source: sql.Composed,
) -> None:
    if not table.rows:  # never analysed
        table.rows = _count(conn, source)
    for column in text:
        _take_values(column, _distinct(conn, column, source))
        filled = [value for value in column.values.values() if value.strip()]
        column.numeric_text = bool(filled) and all(_is_number(value) for value in filled)
        shapes = {shape_of(value) for value in filled}
        if len(shapes) <= SHAPES_PER_COLUMN and not column.numeric_text:
            column.shapes = frozenset(s for s in shapes if "9" in s and " " not in s)
        column.sorts_as_text = column.numeric_text and (
            len({len(value) for value in filled}) == 1 and all(v.isdigit() for v in filled)
        )
        if column.numeric_text:
            numbers_in = [float(value.replace(",", "")) for value in filled]
            column.low, column.high = min(numbers_in), max(numbers_in)
    if numbers:
        _take_ranges(conn, numbers, source)


def _judged(
    conn: psycopg.Connection[Any],
    text: Sequence[Column],
    numbers: Sequence[Column],
    source: sql.Composed,
) -> Steps[None]:
    """Have the guard look at all that is about to be asked of one table: a view may call anything.

    Raises RefusedError.
    """
    parts = [sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in text]
    parts += [
        sql.SQL("{0}, min({0}) over ()").format(sql.Identifier(column.name)) for column in numbers
    ]
    query = sql.SQL("select distinct {} from {}").format(sql.SQL(", ").join(parts), source)
    yield from check(query.as_string(conn), GUARD)
    yield Script(DO_NOT_PRINT)


def _count(conn: psycopg.Connection[Any], source: sql.Composed) -> int:
    row = conn.execute(sql.SQL("select count(*) from {}").format(source)).fetchone()
    return int(row[0]) if row else 0


def _distinct(conn: psycopg.Connection[Any], column: Column, source: sql.Composed) -> Iterable[str]:
    query = sql.SQL("select distinct left({0}::text, {1}) from {2} where {0} is not null limit {3}")
    found = conn.execute(
        query.format(
            sql.Identifier(column.name),
            sql.Literal(VALUE_MAX_CHARACTERS + 1),
            source,
            sql.Literal(VALUES_PER_COLUMN),
        )
    )
    return [value for (value,) in found]


def _take_values(column: Column, values: Iterable[str]) -> None:
    count = 0
    for value in values:
        count += 1
        if not value.strip() or len(value) > VALUE_MAX_CHARACTERS:
            continue
        known = column.values.setdefault(normal_text(value), value)
        if len(value) < len(known):  # the plainest of texts that are written alike
            column.values[normal_text(value)] = value
    column.distinct = max(column.distinct, count)


def _take_ranges(
    conn: psycopg.Connection[Any], numbers: Sequence[Column], source: sql.Composed
) -> None:
    known = all(column.distinct for column in numbers)
    of_one = "min({0}), max({0}), 0" if known else "min({0}), max({0}), count(distinct {0})"
    parts = sql.SQL(", ").join(
        sql.SQL(of_one).format(sql.Identifier(column.name)) for column in numbers
    )
    row = conn.execute(sql.SQL("select {} from {}").format(parts, source)).fetchone() or ()
    for number, column in enumerate(numbers):
        low, high, distinct = row[3 * number : 3 * number + 3]
        column.distinct = max(column.distinct, distinct)
        if low is not None:
            column.low, column.high = float(low), float(high)
        column.year_like = bool(
            low is not None and low >= 1000 and high <= 2100 and low == int(low)
        )


def _is_number(text: str) -> bool:
    """Whether PostgreSQL reads it as a number."""
    return re.fullmatch(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", text) is not None
