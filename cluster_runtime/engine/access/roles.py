"""The roles of every cluster and the runtime's own database, as SQL that the template runs once.

`rdsadmin` is the bootstrap superuser and exists for the runtime alone, on the private socket and
in the database of the same name. The master user is not a superuser: it creates roles, databases
and trusted extensions, and holds `rds_superuser`, which carries the few predefined roles that
never reach the host. It passes that one on with `rds_grant_superuser`, a function that acts as
`rds_grantor`: with the ADMIN OPTION itself it could rename or drop the role, or hand it to the
read-only one. `rds_iam` marks a role whose password is an IAM token; the master user grants it, so
the runtime knows it by its oid and not by its name. `borealis_reader` is who read-only tools
connect as: it may read what the master user creates, and nothing else unless granted.

Source: Amazon RDS User Guide, "Understanding PostgreSQL roles and permissions".
"""

from dataclasses import dataclass

from psycopg import sql

from cluster_runtime.engine.access.role_names import GRANTOR as GRANTOR
from cluster_runtime.engine.access.role_names import IAM_ROLE as IAM_ROLE
from cluster_runtime.engine.access.role_names import MASTER as MASTER
from cluster_runtime.engine.access.role_names import RDS_SUPERUSER as RDS_SUPERUSER
from cluster_runtime.engine.access.role_names import READER as READER
from cluster_runtime.engine.access.role_names import RESERVED_ROLES as RESERVED_ROLES
from cluster_runtime.engine.access.role_names import RUNTIME_ROLES as RUNTIME_ROLES
from cluster_runtime.engine.access.role_names import SUPERUSER as SUPERUSER

HARMLESS_PREDEFINED_ROLES = {
    "pg_read_all_stats": 16,
    "pg_stat_scan_tables": 16,
    "pg_signal_backend": 16,
    "pg_checkpoint": 16,
    "pg_maintain": 17,
}
"""Predefined roles that rds_superuser holds, with the major version that brought each."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A membership that the recipe gives: `grant role to member with admin, inherit, set`."""

    role: str
    member: str
    admin: bool = False
    inherit: bool = True
    set: bool = True

    @property
    def statement(self) -> sql.Composed:
        """The GRANT that makes it so."""
        return sql.SQL("grant {} to {} with admin {}, inherit {}, set {}").format(
            sql.Identifier(self.role),
            sql.Identifier(self.member),
            *(sql.SQL("true" if on else "false") for on in (self.admin, self.inherit, self.set)),
        )


def recipe_grants(major: int, master: str = MASTER) -> list[Grant]:
    """Every membership of a new cluster's roles; `master` is the master user's name."""
    predefined = [name for name, since in HARMLESS_PREDEFINED_ROLES.items() if major >= since]
    return [
        *(Grant(name, RDS_SUPERUSER) for name in predefined),
        Grant(IAM_ROLE, RDS_SUPERUSER, admin=True),
        Grant(RDS_SUPERUSER, GRANTOR, admin=True, inherit=False, set=False),
        Grant(RDS_SUPERUSER, master),
        Grant(READER, master, inherit=False),
        Grant(IAM_ROLE, master),
        Grant(IAM_ROLE, READER),
    ]


READER_SETTINGS = f"""
alter role {READER} set default_transaction_read_only = on;
alter role {READER} set track_activities = off;
alter role {READER} set log_min_messages = fatal;
"""
"""The last two are the superuser's to set: a reader's statements are shown to no other reader, and
what the server tells it about them, which the guard asks for, does not go to the server's log."""


def create_roles(major: int) -> str:
    """The statements that make the roles, for the bootstrap superuser."""
    grants = "".join(f"{grant.statement.as_string()};\n" for grant in recipe_grants(major))
    return f"""
    create role {RDS_SUPERUSER} nologin;
    create role {IAM_ROLE} nologin;
    create role {GRANTOR} nologin noinherit;
    create role {MASTER} login createdb createrole;
    create role {READER} login;
    {grants}
    {READER_SETTINGS}
    alter database postgres owner to {MASTER};
    """


ADMIN_SCHEMA = f"""
create schema if not exists runtime;
create table if not exists runtime.role (name pg_catalog.name primary key, oid oid not null);
insert into runtime.role
select rolname, oid from pg_catalog.pg_authid
 where rolname operator(pg_catalog.=) any (array['{"', '".join(RUNTIME_ROLES)}']::name[])
    on conflict do nothing;
grant usage on schema runtime to {IAM_ROLE};
"""
"""What the database `rdsadmin` holds: which roles are the runtime's, whatever they are called now.
The grant, which nobody without a connection can use or revoke, keeps rds_iam from being dropped."""

CLOSE_ADMIN_DATABASE = "revoke all on database rdsadmin from public"

SHRINK_ADMIN_DATABASE = """
set allow_system_table_mods = on;
truncate pg_catalog.pg_description, pg_catalog.pg_statistic;
reset allow_system_table_mods;
"""
"""Takes 0.7 of 6 MB, which every new cluster would copy: nobody reads descriptions there."""

_RESERVED = ", ".join(f"'{name}'" for name in sorted(RESERVED_ROLES))

_FUNCTION = """
create or replace function pg_catalog.{name}({parameter} pg_catalog.name) returns pg_catalog.void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $body$
begin
  if {parameter} operator(pg_catalog.=) any (array[{reserved}]::pg_catalog.name[])
     or pg_catalog.starts_with({parameter}::pg_catalog.text, 'pg_') then
    raise insufficient_privilege using message =
      pg_catalog.format('role %I belongs to the runtime or to PostgreSQL', {parameter});
  end if;
  execute pg_catalog.format('{statement}', {parameter});
end $body$;
alter function pg_catalog.{name}(pg_catalog.name) owner to {grantor};
revoke all on function pg_catalog.{name}(pg_catalog.name) from public;
grant execute on function pg_catalog.{name}(pg_catalog.name) to {holder};
"""


def _function(name: str, parameter: str, statement: str) -> str:
    return _FUNCTION.format(
        name=name,
        parameter=parameter,
        statement=statement,
        reserved=_RESERVED,
        grantor=GRANTOR,
        holder=RDS_SUPERUSER,
    )


PASSING_ON = f"""
{_function("rds_grant_superuser", "grantee", f"grant {RDS_SUPERUSER} to %I")}
{_function("rds_revoke_superuser", "grantee", f"revoke {RDS_SUPERUSER} from %I")}
set allow_system_table_mods = on;
insert into pg_catalog.pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
select oid, 'pg_catalog.pg_proc'::pg_catalog.regclass, 0, 'i', proacl
  from pg_catalog.pg_proc p
 where proname operator(pg_catalog.=)
       any (array['rds_grant_superuser', 'rds_revoke_superuser']::pg_catalog.name[])
   and pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
   and not exists (select from pg_catalog.pg_init_privs i
                    where i.objoid operator(pg_catalog.=) p.oid
                      and i.classoid operator(pg_catalog.=)
                          'pg_catalog.pg_proc'::pg_catalog.regclass);
set allow_system_table_mods = off;
"""
"""How rds_superuser is passed on, in each database that a tenant uses.

The functions act with the rights of `rds_grantor`, which are to grant this one role. Their rights
are noted as the initial ones, so that pg_dump takes them for part of PostgreSQL and leaves them
out of a tenant's dump.
"""

READER_DEFAULTS = f"""
alter default privileges for role {MASTER} grant select on tables to {READER};
alter default privileges for role {MASTER} grant select on sequences to {READER};
alter default privileges for role {MASTER} grant usage on schemas to {READER};
"""

IN_EACH_DATABASE = PASSING_ON + READER_DEFAULTS
