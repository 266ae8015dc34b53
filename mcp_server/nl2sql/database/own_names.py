"""The search path for statements of our own, which are not looked at by the guard.

They read the catalog with PostgreSQL's operators and functions. Whoever owns a database can make
others of the same names and put them where they are found first, so then only PostgreSQL's own
schema is searched; names of types and tables come out with their schemas.
"""

from mcp_server.nl2sql.database.steps import Script, Steps

SET_IF_SHADOWED = """
with searched as (
    select n.oid from pg_catalog.pg_namespace n
    where n.nspname operator(pg_catalog.=) any (pg_catalog.current_schemas(true))
      and n.oid operator(pg_catalog.<>) 11::pg_catalog.oid
)
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)
where (pg_catalog.current_schemas(true))[1] operator(pg_catalog.<>) 'pg_catalog'::pg_catalog.name
   or exists (
       select from searched
       join pg_catalog.pg_operator o on o.oprnamespace operator(pg_catalog.=) searched.oid
       where o.oprleft operator(pg_catalog.<) 16384::pg_catalog.oid
         and o.oprright operator(pg_catalog.<) 16384::pg_catalog.oid
         and exists (select from pg_catalog.pg_operator b
                     where b.oprname operator(pg_catalog.=) o.oprname
                       and b.oprnamespace operator(pg_catalog.=) 11::pg_catalog.oid)
         and not exists (select from pg_catalog.pg_depend d
                         where d.classid operator(pg_catalog.=) 2617::pg_catalog.oid
                           and d.objid operator(pg_catalog.=) o.oid
                           and d.deptype operator(pg_catalog.=) 'e'::pg_catalog."char"))
   or exists (
       select from searched
       join pg_catalog.pg_proc p on p.pronamespace operator(pg_catalog.=) searched.oid
       where exists (select from pg_catalog.pg_proc b
                     where b.proname operator(pg_catalog.=) p.proname
                       and b.pronamespace operator(pg_catalog.=) 11::pg_catalog.oid)
         and not exists (select from pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) a (oid)
                         where a.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
         and not exists (select from pg_catalog.pg_depend d
                         where d.classid operator(pg_catalog.=) 1255::pg_catalog.oid
                           and d.objid operator(pg_catalog.=) p.oid
                           and d.deptype operator(pg_catalog.=) 'e'::pg_catalog."char"))
"""
# 11 is pg_catalog, 1255 pg_proc, 2617 pg_operator. What an extension brings is a superuser's.


def own_names(before: str = "") -> Steps[None]:
    """See to it that names in our own statements mean PostgreSQL's objects in this transaction.

    before: statements that are sent first, such as those that open the transaction.
    """
    yield Script(f"{before}; {SET_IF_SHADOWED}")


OWN_SCHEMAS = ("borealis_nl2sql", "borealis_migrations", "borealis_memories")
"""Where this package keeps what is its own in a database: no question is about that."""

PINNED = "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)"


def pinned_names(before: str) -> Steps[None]:
    """The same without a look: for a session with more rights than whoever shaped the database."""
    yield Script(f"{before}; {PINNED}")
