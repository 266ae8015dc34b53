"""What the functions that SQL calls do, as far as their source tells."""

from collections.abc import Collection
from typing import Any

import psycopg

from mcp_server.safety.destructive import destroys_in_body

# Operators have their schema, for the owner of a database chooses what else they could be.
VOLATILE = """
select p.oid::pg_catalog.regprocedure::pg_catalog.text, l.lanname::pg_catalog.text,
       coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc)
from pg_catalog.pg_proc p
join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
where p.proname operator(pg_catalog.=) any(%s::pg_catalog.name[])
  and p.provolatile operator(pg_catalog.=) 'v'::pg_catalog."char"
  and n.nspname operator(pg_catalog.<>) all('{pg_catalog,information_schema}'::pg_catalog.name[])
  and not exists (
    select 1 from pg_catalog.pg_depend d
    where d.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
      and d.objid operator(pg_catalog.=) p.oid
      and d.deptype operator(pg_catalog.=) 'e'::pg_catalog."char")
order by 1
"""
READABLE = frozenset({"sql", "plpgsql"})


async def that_destroy(
    connection: psycopg.AsyncConnection[Any], names: Collection[str]
) -> tuple[str, ...]:
    """Why functions of these names may destroy something. What they call in turn is not known."""
    cursor = await connection.execute(VOLATILE, [sorted(names)])
    return tuple(
        f"{function}, whose body "
        + ("may destroy something" if language in READABLE else f"is in {language}")
        for function, language, source in await cursor.fetchall()
        if language not in READABLE or destroys_in_body(source)
    )
