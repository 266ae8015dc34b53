"""What the catalog of a branch knows of tables; SQL about them whose names are quoted."""

from collections.abc import Sequence
from typing import LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from mcp_server.advice.indexing.candidates import Candidate, Table
from mcp_server.advice.indexing.statements import TableName
from mcp_server.databases.connections import Connection
from mcp_server.nl2sql.database.guard import checks
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.identifiers import written
from mcp_server.nl2sql.database.steps import arun

SAMPLED_PAGES = 300.0
PINNED: LiteralString = "set search_path = pg_catalog, pg_temp"
PINNED_HERE: LiteralString = "set local search_path = pg_catalog, pg_temp"

RESOLVE: LiteralString = """
select pg_catalog.to_regclass(given.name)::pg_catalog.oid::pg_catalog.int8
from pg_catalog.unnest(%s::pg_catalog.text[]) with ordinality as given (name, place)
order by given.place
"""
"""On the search path that the reader's sessions have."""

TABLES: LiteralString = """
select c.oid::int8 as oid, n.nspname::text as schema, c.relname::text as name,
       greatest(c.reltuples, 0)::float8 as rows, c.relkind = 'p' as partitioned,
       case when c.relkind = 'p'
            then (select coalesce(sum(l.relpages), 0) from pg_catalog.pg_partition_tree(c.oid) t
                  join pg_catalog.pg_class l on l.oid = t.relid)
            else c.relpages end::int8 as pages,
       array(select a.attname::text from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       coalesce((
           select jsonb_agg((
               select jsonb_agg(a.attname order by key.place)
               from unnest(i.indkey::int2[]) with ordinality as key (number, place)
               join pg_catalog.pg_attribute a
                 on a.attrelid = i.indrelid and a.attnum = key.number
               where key.place <= i.indnkeyatts))
           from pg_catalog.pg_index i
           join pg_catalog.pg_class x on x.oid = i.indexrelid
           join pg_catalog.pg_am m on m.oid = x.relam
           where i.indrelid = c.oid and i.indisvalid and i.indpred is null
             and m.amname = 'btree' and 0 <> all (i.indkey::int2[])), '[]') as indexed
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any (%s::oid[]) and c.relkind in ('r', 'p', 'm') and c.relpersistence = 'p'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
BUILT: LiteralString = """
select sum(pg_relation_size(c.oid))::int8, array_agg(c.relname::text)
from (select %(name)s::regclass union select relid from pg_partition_tree(%(name)s::regclass))
     as part (oid) join pg_class c on c.oid = part.oid
"""
"""The bytes of an index, and its name with those of its parts."""


async def tables(
    connection: Connection, names: Sequence[TableName], limits: Limits
) -> dict[TableName, Table]:
    """Those of some names that are tables with rows of their own.

    It opens a READ ONLY transaction. Raises psycopg.Error.
    """
    await arun(connection, checks.begin(limits))
    texts = [written(*(part for part in name if part)) for name in names]
    cursor = await connection.execute(RESOLVE, [texts])
    oids = [oid for (oid,) in await cursor.fetchall()]
    await connection.execute(PINNED_HERE)
    rows = connection.cursor(row_factory=dict_row)
    await rows.execute(TABLES, [[oid for oid in oids if oid is not None]])
    facts = {
        row.pop("oid"): Table(**row | {"columns": frozenset(row["columns"])})
        for row in await rows.fetchall()
    }
    return {name: facts[oid] for name, oid in zip(names, oids, strict=True) if oid in facts}


def some_rows(table: Table, columns: Sequence[str]) -> str:
    """A query for the values of some columns in three rows, from different parts of a sample."""
    values = sql.SQL(", ").join(
        sql.SQL("{}::text as {}").format(sql.Identifier(column), sql.Identifier(f"v{number}"))
        for number, column in enumerate(columns)
    )
    return (
        sql.SQL(
            "select {names} from (select {values}, row_number() over () as row_number, "
            "count(*) over () as row_count from {sample} where {known}) as sampled "
            "where row_number in (1 + row_count / 6, 1 + row_count / 2, 1 + row_count * 5 / 6)"
        )
        .format(
            names=sql.SQL(", ").join(sql.Identifier(f"v{n}") for n in range(len(columns))),
            values=values,
            sample=_sample(table),
            known=sql.SQL(" and ").join(
                sql.SQL("{} is not null").format(sql.Identifier(column)) for column in columns
            ),
        )
        .as_string()
    )


def quantiles(table: Table, column: str) -> str:
    """A query for where a column has 1, 49.5, 50.5 and 99 % of a sample's rows below."""
    name = sql.Identifier(column)
    each = sql.SQL("(percentile_disc({}) within group (order by {}))::text")
    return (
        sql.SQL("select {} from {}")
        .format(
            sql.SQL(", ").join(each.format(part, name) for part in (0.01, 0.99, 0.495, 0.505)),
            _sample(table),
        )
        .as_string()
    )


def _sample(table: Table) -> sql.Composed:
    share = 100.0 if table.pages <= SAMPLED_PAGES else 100 * SAMPLED_PAGES / table.pages
    return sql.SQL("{} tablesample system ({}) repeatable (1)").format(
        sql.Identifier(table.schema, table.name), share
    )


def create(candidate: Candidate, index: str) -> str:
    """The statement that builds a candidate on a branch, where nobody writes."""
    return f"create index {written(index)} on {candidate.place}"


def drop(candidate: Candidate, index: str) -> str:
    """The statement that removes it again."""
    return f"drop index {index_name(candidate, index)}"


def index_name(candidate: Candidate, index: str) -> str:
    """The name of one that was built, as SQL writes it: it is in the schema of its table."""
    return f"{candidate.schema}.{written(index)}"
