"""The schema as a prompt shows it, read from the catalog and the planner's statistics.

Example values come from `pg_stats`, which hides columns that the role may not read and costs no
look at the tables.
"""

from typing import Any

from mcp_server.nl2sql.database.own_names import OWN_SCHEMAS
from mcp_server.nl2sql.database.steps import Fetch, Steps
from mcp_server.nl2sql.model.prompt import (
    PromptColumn,
    PromptKey,
    PromptSchema,
    PromptTable,
)

MOST_COLUMNS = 20_000

TABLES = """
select c.oid, case when pg_table_is_visible(c.oid) then quote_ident(c.relname)
              else quote_ident(n.nspname) || '.' || quote_ident(c.relname) end,
       coalesce(obj_description(c.oid, 'pg_class'), ''), c.reltuples::bigint,
       c.relkind in ('v', 'm')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and n.nspname <> 'information_schema' and n.nspname <> all (%s)
  and n.nspname not like 'pg\\_%%'
  and not exists (select from pg_depend d  -- those that belong to an extension
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  and has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select')
order by n.nspname, c.relname
"""
COLUMNS = """
select a.attrelid, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
       coalesce(col_description(a.attrelid, a.attnum), ''),
       exists (select from pg_index i
               where i.indrelid = a.attrelid and i.indisprimary and a.attnum = any (i.indkey)),
       coalesce(s.most_common_vals::text::text[], '{}')
         || coalesce(s.histogram_bounds::text::text[], '{}'),
       case when t.typcategory in ('N', 'D') then s.histogram_bounds::text::text[] end
from pg_attribute a join pg_type t on t.oid = a.atttypid
join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname
                    and s.attname = a.attname and not s.inherited
where a.attrelid = any (%s) and a.attnum > 0 and not a.attisdropped
  and has_column_privilege(a.attrelid, a.attnum, 'select')
order by a.attrelid, a.attnum
limit %s
"""
KEYS = """
select k.conrelid, k.confrelid,
       array(select quote_ident(a.attname) from unnest(k.conkey) with ordinality u(num, place)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.num order by place),
       array(select quote_ident(a.attname) from unnest(k.confkey) with ordinality u(num, place)
             join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.num order by place)
from pg_constraint k
where k.contype = 'f' and k.conrelid = any (%s) and k.confrelid = any (%s)
order by k.oid
"""


def describe() -> Steps[PromptSchema]:
    """Every table and view that the role may read, but for this package's and extensions' own."""
    tables = (yield Fetch(TABLES, (list(OWN_SCHEMAS),))).rows
    oids = [row[0] for row in tables]
    names = {row[0]: row[1] for row in tables}
    columns: dict[int, list[PromptColumn]] = {oid: [] for oid in oids}
    for oid, name, kind, comment, primary, values, ends in (
        yield Fetch(COLUMNS, (oids, MOST_COLUMNS))
    ).rows:
        low, high = (ends[0], ends[-1]) if ends else ("", "")
        columns[oid].append(
            PromptColumn(name, kind, primary, comment, _examples(values), low=low, high=high)
        )
    keys = tuple(
        PromptKey(names[own], tuple(mine), names[target], tuple(theirs))
        for own, target, mine, theirs in (yield Fetch(KEYS, (oids, oids))).rows
    )
    database = (yield Fetch("select current_database()", ())).rows[0][0]
    return PromptSchema(
        database,
        tuple(
            PromptTable(name, tuple(columns[oid]), comment, rows if rows >= 0 else None, view)
            for oid, name, comment, rows, view in tables
        ),
        keys,
    )


def _examples(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values[:3] if value is not None and str(value).strip())
