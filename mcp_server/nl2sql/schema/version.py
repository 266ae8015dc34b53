"""What tells whether the tables of a database have changed since it was profiled."""

import psycopg

from mcp_server.nl2sql.database.guard.checks import Limits, begin
from mcp_server.nl2sql.database.steps import Fetch, Row, Script, Steps

VERSION_LIMITS = Limits(timeout=5.0)
SCHEMA_VERSION = """
select pg_catalog.sum(a.xmin::pg_catalog.text::pg_catalog.int8), pg_catalog.count(*),
       pg_catalog.sum(distinct c.reltuples),
       (select pg_catalog.count(*) from pg_catalog.pg_constraint k
        where k.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) a.attrelid
where a.attrelid operator(pg_catalog.>=) 16384::pg_catalog.oid
  and c.relpersistence operator(pg_catalog.<>) 't'::pg_catalog."char"
  and c.relkind operator(pg_catalog.=) any ('{r,p,v,m,f}'::pg_catalog."char"[])
"""
"""Any change of a column's definition writes new rows there; ANALYZE sets what tables hold."""


def schema_version() -> Steps[Row | None]:
    """What is another after any change of the schema; None where nothing says so."""
    yield from begin(VERSION_LIMITS)
    try:
        rows = (yield Fetch(SCHEMA_VERSION)).rows
    except psycopg.Error:
        yield Script("rollback")
        raise
    yield Script("rollback")
    return rows[0] if rows else None
