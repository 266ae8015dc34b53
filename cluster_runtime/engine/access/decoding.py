"""Logical decoding for the master user, in every database: slots, and what they hold.

PostgreSQL asks for the attribute REPLICATION, which nobody gets: with it a role names any library
as an output plugin, and the server loads that. On RDS members of `rds_replication` have it; here
members of `rds_superuser`, which holds that role there, have these functions, which name the two
plugins that come with PostgreSQL. They run as the superuser, with nothing of a tenant's in reach.

Source: PostgreSQL documentation, "Replication management functions"; RDS User Guide, "Performing
logical replication for Amazon RDS for PostgreSQL".
"""

from cluster_runtime.engine.access.role_names import RDS_SUPERUSER

PLUGINS = ("pgoutput", "test_decoding")
_OF_THE_RUNTIME = "borealis"
_PINNED = "security definer set search_path = pg_catalog, pg_temp"
_READ = ("get_changes", "peek_changes", "get_binary_changes", "peek_binary_changes")

SIGNATURES = {
    "rds_create_logical_replication_slot": "pg_catalog.name, pg_catalog.name",
    "rds_drop_logical_replication_slot": "pg_catalog.name",
    **{
        f"rds_logical_slot_{each}": (
            "pg_catalog.name, pg_catalog.pg_lsn, pg_catalog.int4, pg_catalog._text"
        )
        for each in _READ
    },
}
"""Arguments of the functions, by their names."""

_MANAGED = f"""
create or replace function pg_catalog.rds_create_logical_replication_slot(
    slot pg_catalog.name, plugin pg_catalog.name,
    out slot_name pg_catalog.name, out lsn pg_catalog.pg_lsn)
language plpgsql {_PINNED}
as $body$
begin
  if plugin operator(pg_catalog.<>) all (array['{"', '".join(PLUGINS)}']::pg_catalog.name[]) then
    raise insufficient_privilege using message =
      pg_catalog.format('output plugin %L is none of: {", ".join(PLUGINS)}', plugin);
  end if;
  if pg_catalog.starts_with(slot::pg_catalog.text, '{_OF_THE_RUNTIME}') then
    raise insufficient_privilege using message =
      pg_catalog.format('slots named as %L belong to the runtime', slot);
  end if;
  select s.slot_name, s.lsn into slot_name, lsn
    from pg_catalog.pg_create_logical_replication_slot(slot, plugin) s;
end $body$;

create or replace function pg_catalog.rds_drop_logical_replication_slot(slot pg_catalog.name)
returns pg_catalog.void
language plpgsql {_PINNED}
as $body$
begin
  if not exists (select from pg_catalog.pg_replication_slots s
                  where s.slot_name operator(pg_catalog.=) slot
                    and s.slot_type operator(pg_catalog.=) 'logical') then
    raise undefined_object using message =
      pg_catalog.format('this instance has no logical replication slot %L', slot);
  end if;
  perform pg_catalog.pg_drop_replication_slot(slot);
end $body$;
"""


def _reading(name: str) -> str:
    data = "pg_catalog.bytea" if "binary" in name else "pg_catalog.text"
    return f"""
create or replace function pg_catalog.rds_logical_slot_{name}(
    slot pg_catalog.name, upto_lsn pg_catalog.pg_lsn, upto_nchanges pg_catalog.int4,
    options pg_catalog._text default '{{}}',
    out lsn pg_catalog.pg_lsn, out xid pg_catalog.xid, out data {data})
returns setof pg_catalog.record
language sql volatile {_PINNED}
as $body$
  select c.lsn, c.xid, c.data
    from pg_catalog.pg_logical_slot_{name}(slot, upto_lsn, upto_nchanges, variadic options) c
$body$;
"""


def _for_whom(name: str, arguments: str) -> str:
    return f"""
revoke all on function pg_catalog.{name}({arguments}) from public;
grant execute on function pg_catalog.{name}({arguments}) to {RDS_SUPERUSER};
"""


_NAMES = ", ".join(f"'{name}'" for name in SIGNATURES)

FUNCTIONS = f"""
{_MANAGED}
{"".join(_reading(each) for each in _READ)}
{"".join(_for_whom(name, arguments) for name, arguments in SIGNATURES.items())}
set allow_system_table_mods = on;
insert into pg_catalog.pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
select oid, 'pg_catalog.pg_proc'::pg_catalog.regclass, 0, 'i', proacl
  from pg_catalog.pg_proc p
 where proname operator(pg_catalog.=) any (array[{_NAMES}]::pg_catalog.name[])
   and pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
   and not exists (select from pg_catalog.pg_init_privs i
                    where i.objoid operator(pg_catalog.=) p.oid
                      and i.classoid operator(pg_catalog.=)
                          'pg_catalog.pg_proc'::pg_catalog.regclass);
set allow_system_table_mods = off;
"""
"""Their rights are noted as the initial ones: so pg_dump takes them for part of PostgreSQL."""
