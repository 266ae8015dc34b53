"""Whether a table that this package writes to is its own: a write runs nothing that others made.

Whoever may create a schema can make one of that name first, with a trigger, a rule or a view in the
table's place, and what they made would run with the rights of the role that writes. So a write and
this look are one transaction: `lock` first, then `is_own`, then the write.
"""

from mcp_server.nl2sql.database.guard.references import FIRST_USER_OID


def lock(schema: str, table: str) -> str:
    """The statement after which nobody alters the table, or hangs something on it, meanwhile."""
    return f"lock table only {schema}.{table} in row exclusive mode"


def is_own(schema: str, table: str) -> str:
    """A query with one row if the name is that of the table that this transaction has locked.

    It and its schema are this role's, which so alone can give the name to something else; and a
    write to it runs nothing but PostgreSQL's own functions.
    """
    return IS_OWN.format(schema=schema, table=table, user=FIRST_USER_OID)


# 1247 is pg_type, 1255 pg_proc, 1259 pg_class, 2604 pg_attrdef, 2606 pg_constraint,
# 2616 pg_opclass, 2617 pg_operator, 2753 pg_opfamily.
IS_OWN = """
select 1 from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
    join pg_catalog.pg_locks l on l.relation operator(pg_catalog.=) c.oid
        and l.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()
where n.nspname operator(pg_catalog.=) '{schema}' and c.relname operator(pg_catalog.=) '{table}'
  and c.relkind operator(pg_catalog.=) 'r'
  and pg_catalog.pg_get_userbyid(c.relowner) operator(pg_catalog.=) current_user
  and pg_catalog.pg_get_userbyid(n.nspowner) operator(pg_catalog.=) current_user
  and not c.relrowsecurity and not c.relispartition
  and not exists (select from pg_catalog.pg_trigger t where t.tgrelid operator(pg_catalog.=) c.oid)
  and not exists (select from pg_catalog.pg_rewrite r where r.ev_class operator(pg_catalog.=) c.oid)
  and not exists (select from pg_catalog.pg_inherits i
                  where i.inhparent operator(pg_catalog.=) c.oid
                     or i.inhrelid operator(pg_catalog.=) c.oid)
  and not exists (select from pg_catalog.pg_attribute a
                  where a.attrelid operator(pg_catalog.=) c.oid
                    and a.atttypid operator(pg_catalog.>=) {user}::pg_catalog.oid)
  and not exists (
      select from (
          select 1259::pg_catalog.oid, x.indexrelid from pg_catalog.pg_index x
          where x.indrelid operator(pg_catalog.=) c.oid
          union all select 2604::pg_catalog.oid, f.oid from pg_catalog.pg_attrdef f
          where f.adrelid operator(pg_catalog.=) c.oid
          union all select 2606::pg_catalog.oid, k.oid from pg_catalog.pg_constraint k
          where k.conrelid operator(pg_catalog.=) c.oid) part (class, oid)
      join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) part.class
          and d.objid operator(pg_catalog.=) part.oid
      where d.refclassid operator(pg_catalog.=)
              any ('{{1247,1255,2616,2617,2753}}'::pg_catalog.oid[])
        and d.refobjid operator(pg_catalog.>=) {user}::pg_catalog.oid)
limit 1
"""
