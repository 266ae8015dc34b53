"""What a database holds: tables, columns, keys, sizes, and the text values that people name.

Read from `pg_catalog` and `pg_statistic`'s view, and from bounded samples of the data, as the role
that asks: a column that it may not read is not in the profile.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from mcp_server.nl2sql.database.own_names import OWN_SCHEMAS
from mcp_server.nl2sql.schema.derived import LASTING, derived
from mcp_server.nl2sql.schema.inference import inferred
from mcp_server.nl2sql.schema.legends import legend
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table
from mcp_server.nl2sql.schema.naming import take_names_apart
from mcp_server.nl2sql.schema.sampling import reading, sample, take_values
from mcp_server.nl2sql.words.tokens import identifier_words

SAMPLE_ROWS = 20_000
SAMPLE_ROWS_TOTAL = 500_000
"""Of all tables together; a table gets its share, and at least SAMPLE_ROWS_MIN."""
SAMPLE_ROWS_MIN = 1_000
SAMPLE_SECONDS = 6.0
"""When this is over, the remaining tables keep what the statistics say of them."""
CATALOG_SECONDS = 6.0
"""As SAMPLE_SECONDS, for the definitions of tables; one statement reads TABLES_AT_ONCE of them."""
TABLES_AT_ONCE = 500
TABLES_MAX = 10_000

SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast", *OWN_SCHEMAS)


RELATIONS = """
select c.oid, n.nspname, c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''),
       case c.relkind when 'p' then (
           select coalesce(sum(greatest(leaf.reltuples, 0)), 0)::bigint
           from pg_partition_tree(c.oid) part join pg_class leaf on leaf.oid = part.relid
           where part.isleaf)
       else greatest(c.reltuples, 0)::bigint end,
       c.relkind in ('v', 'm')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> all (%s)
  and n.nspname not like 'pg\\_temp%%' and has_schema_privilege(n.oid, 'usage')
  and not (c.relispartition
           and has_any_column_privilege(pg_partition_root(c.oid)::oid, 'select'))
  and not exists (select from pg_depend d  -- those that belong to an extension
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname <> all (current_schemas(false)), c.relkind in ('v', 'm'), c.relname, c.oid
limit %s
"""
"""A partition is a part of its table, where that may be read; views come behind what they show."""

COLUMNS = """
select a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory,
       regexp_replace(o.proname::text, '_?out$', ''),
       coalesce(col_description(a.attrelid, a.attnum), ''),
       coalesce(s.n_distinct, 0)::float8,
       case when t.typcategory = 'S' then s.most_common_vals::text::text[] end, a.attnotnull
from pg_attribute a join pg_type t on t.oid = a.atttypid
join pg_proc o on o.oid = t.typoutput
join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_stats s
  on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
where a.attrelid = any (%s) and a.attnum > 0 and not a.attisdropped
  and has_column_privilege(a.attrelid, a.attnum, 'select')
order by a.attrelid, a.attnum
"""
"""A domain writes its values by the function of the type that it is over."""

BASES = {
    "int2": (Kind.NUMBER, "smallint"), "int4": (Kind.NUMBER, "integer"),
    "int8": (Kind.NUMBER, "bigint"), "numeric": (Kind.NUMBER, "numeric"),
    "float4": (Kind.NUMBER, "real"), "float8": (Kind.NUMBER, "double precision"),
    "cash": (Kind.NUMBER, "money"), "bool": (Kind.BOOLEAN, "boolean"),
    "date": (Kind.DATE, "date"), "timestamp": (Kind.DATE, "timestamp"),
    "timestamptz": (Kind.DATE, "timestamptz"), "uuid": (Kind.TEXT, "uuid"),
    "time": (Kind.OTHER, "time"),
}  # fmt: skip
"""By what writes their values, the types that are counted with, or compared."""

CONSTRAINTS = """
select conrelid, contype::text, confrelid,
       array(select attname::text from unnest(conkey) with ordinality k(num, at)
             join pg_attribute on attrelid = conrelid and attnum = num order by at),
       array(select attname::text from unnest(confkey) with ordinality k(num, at)
             join pg_attribute on attrelid = confrelid and attnum = num order by at)
from pg_constraint where contype in ('p', 'u', 'f') and conrelid = any (%s)
"""


def profile(conn: psycopg.Connection[Any], go_on: Callable[[], None] = lambda: None) -> Profile:
    """Profile the database of a connection in autocommit mode.

    go_on: called now and then; what it raises ends the work.
    All of it runs in READ ONLY transactions of the role that the guard reads as, and each statement
    is bounded in time. Raises psycopg.OperationalError where the connection is lost.
    """
    tables, foreign = _declared(conn)
    found = Profile([table for table in tables.values() if table.columns], foreign)
    share = SAMPLE_ROWS_TOTAL // max(1, len(found.tables))
    rows = min(SAMPLE_ROWS, max(SAMPLE_ROWS_MIN, share))
    ends = time.monotonic() + SAMPLE_SECONDS
    for table in sorted(found.tables, key=lambda each: (each.view, each.rows)):
        if time.monotonic() > ends:
            break
        sample(conn, table, rows, ends, go_on)
    take_names_apart(found)
    found.foreign_keys += inferred(found)
    for key in found.foreign_keys:
        if key.inferred and key.target.table is key.column.table:
            key.column.within = key.target
    index: dict[str, list[tuple[Column, str]]] = defaultdict(list)
    for column in found.columns:
        for code, meaning in legend(column).items():
            index[meaning].append((column, code))
    for column in found.columns:
        for normal, value in column.values.items():
            index[normal].append((column, value))
    found.value_index = dict(index)
    found.derived = [column for table in found.tables for column in derived(table)]
    named = {word for column in found.columns for word in column.words}
    for column in found.derived:  # the length of ships is not how long they stay
        column.aliases = tuple(
            alias for alias in column.aliases if not (alias[0] in LASTING and alias[0] in named)
        )
    return found


def _declared(conn: psycopg.Connection[Any]) -> tuple[dict[int, Table], list[ForeignKey]]:
    """Tables with their columns, and what their foreign keys join; no values but the commonest."""
    ends = time.monotonic() + CATALOG_SECONDS
    with reading(conn, CATALOG_SECONDS):
        relations = conn.execute(RELATIONS, [list(SYSTEM_SCHEMAS), TABLES_MAX]).fetchall()
        tables: dict[int, Table] = {}
        for oid, schema, name, comment, rows, view in relations:
            words = identifier_words(name)
            tables[oid] = Table(schema, name, comment, rows, words=words, view=view)
        known = list(tables)
        for at in range(0, len(known), TABLES_AT_ONCE):
            if time.monotonic() > ends:
                break
            _take_columns(conn, tables, known[at : at + TABLES_AT_ONCE])
        return tables, _constraints(conn, tables)


def _take_columns(
    conn: psycopg.Connection[Any], tables: dict[int, Table], oids: Sequence[int]
) -> None:
    for oid, name, type_name, category, output, comment, distinct, common, full in conn.execute(
        COLUMNS, [list(oids)]
    ):
        table = tables[oid]
        kind, base = _kind(category, output)
        column = Column(table, name, type_name, kind, comment, words=identifier_words(name))
        column.base = base or type_name
        column.full = full
        column.distinct = int(distinct if distinct >= 0 else -distinct * table.rows)
        take_values(column, common or ())
        table.columns.append(column)


def _kind(category: str, output: str) -> tuple[Kind, str]:
    """The kind of a type, and what it is counted as. output: the function that writes it."""
    text = (Kind.TEXT if category in "SE" else Kind.OTHER), ""
    return BASES.get(output, text)


def _foreign_key(
    pairs: Sequence[tuple[Column | None, Column | None]],
) -> ForeignKey | None:
    """A key, led by the column that is named for what it refers to; None if one may not be read."""
    seen = [(one, other) for one, other in pairs if one is not None and other is not None]
    if len(seen) < len(pairs):
        return None
    for one, other in seen:
        one.foreign = True
        if other.table is one.table and one is not other:
            one.within = other
    named = [pair for pair in seen if set(pair[1].table.words) & set(pair[0].words)]
    lead = (named or seen)[0]
    return ForeignKey(*lead, beside=tuple(pair for pair in seen if pair is not lead))


def _constraints(conn: psycopg.Connection[Any], tables: dict[int, Table]) -> list[ForeignKey]:
    found = []
    for oid, kind, target_oid, names, targets in conn.execute(CONSTRAINTS, [list(tables)]):
        columns = [tables[oid].column(name) for name in names]
        if kind == "f" and target_oid in tables:
            others = [tables[target_oid].column(name) for name in targets]
            key = _foreign_key(list(zip(columns, others, strict=True)))
            found += [key] if key is not None else []
        for column in columns:
            if column is not None and kind == "p":
                column.primary = True
            if column is not None and kind in "pu" and len(columns) == 1:
                column.unique = True
    return found
