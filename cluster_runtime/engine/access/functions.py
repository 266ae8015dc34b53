"""What drivers for Amazon Aurora ask, in every database: functions, and rows of `pg_settings`.

They are the superuser's, in pg_catalog, where no tenant makes, alters or shadows anything. Their
bodies are parsed when they are made, so no name in them is looked up later; they take no argument
that reaches what they do, and read one file of the data directory (`access.instance_facts`).

Source: Amazon Aurora User Guide, "Aurora PostgreSQL functions reference" (`aurora_version`,
`aurora_db_instance_identifier`, `aurora_replica_status`, `aurora_global_db_status`,
`aurora_global_db_instance_status`); the queries of the AWS Advanced wrappers for Python, JDBC and
Node.js; PostgreSQL `catalog/system_views.sql` (pg_settings).
"""

from cluster_runtime.engine.access import decoding
from cluster_runtime.engine.access.instance_facts import FACTS_FILE
from cluster_runtime.engine.access.role_names import SUPERUSER

RECIPE = 2
"""Which functions a cluster has, as its database `rdsadmin` says of itself. 0: none of these.
1: without those of logical decoding.
A number in the cluster itself: a restore or a rewind brings it back with what it is about."""

MAKE_RECIPE = f"""
create table if not exists runtime.recipe (number pg_catalog.int4 not null);
truncate runtime.recipe;
insert into runtime.recipe values ({RECIPE});
"""

_FACTS = f"(pg_catalog.pg_read_file('{FACTS_FILE}', true))::pg_catalog.jsonb"
_LSN = "(({}) operator(pg_catalog.-) '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8"
_IN_RECOVERY = "pg_catalog.pg_is_in_recovery()"


def _own(on_reader: str, on_writer: str, of_others: str) -> str:
    """A column: of the instance that is asked as it knows it, of the others as the host does."""
    return f"""case when not o.own then {of_others}
              when {_IN_RECOVERY} then {on_reader} else {on_writer} end"""


_RECEIVED = _LSN.format("pg_catalog.pg_last_wal_receive_lsn()")
_REPLAYED = _LSN.format("pg_catalog.pg_last_wal_replay_lsn()")
_WRITTEN = _LSN.format("pg_catalog.pg_current_wal_lsn()")
_DURABLE = _LSN.format("(select pg_catalog.max(s.flush_lsn) from pg_catalog.pg_stat_replication s)")
"""The storage driver is a standby of the writer, and confirms what four of six segments have."""
_LAG = """case when pg_catalog.pg_last_wal_receive_lsn() operator(pg_catalog.=)
                        pg_catalog.pg_last_wal_replay_lsn() then 0
                   else pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()
                        operator(pg_catalog.-) pg_catalog.pg_last_xact_replay_timestamp())
                        operator(pg_catalog.*) 1000 end"""

FUNCTIONS = f"""
create or replace function pg_catalog.aurora_version() returns pg_catalog.text
language sql stable security definer parallel safe
return {_FACTS} operator(pg_catalog.->>) 'version';

create or replace function pg_catalog.aurora_db_instance_identifier() returns pg_catalog.text
language sql stable security definer parallel safe
return {_FACTS} operator(pg_catalog.->>) 'server_id';

create or replace function pg_catalog.aurora_replica_status(
    out server_id pg_catalog.text,
    out session_id pg_catalog.text,
    out durable_lsn pg_catalog.int8,
    out highest_lsn_rcvd pg_catalog.int8,
    out current_read_lsn pg_catalog.int8,
    out cur_replay_latency_in_usec pg_catalog.int8,
    out active_txns pg_catalog.int4,
    out is_current pg_catalog.bool,
    out last_transport_error pg_catalog.int4,
    out last_error_timestamp pg_catalog.timestamptz,
    out last_update_timestamp pg_catalog.timestamptz,
    out feedback_xmin pg_catalog.xid,
    out feedback_epoch pg_catalog.int4,
    out replica_lag_in_msec pg_catalog.float8,
    out log_stream_speed_in_kib_per_second pg_catalog.float8,
    out log_buffer_sequence_number pg_catalog.int8,
    out oldest_read_view_trx_id pg_catalog.xid,
    out oldest_read_view_lsn pg_catalog.int8,
    out pending_read_ios pg_catalog.int4,
    out read_ios pg_catalog.int4,
    out iops pg_catalog.int4,
    out cpu pg_catalog.float4)
returns setof pg_catalog.record
language sql stable security definer parallel safe
begin atomic
  select m.server_id, m.session_id,
         {_own(_RECEIVED, _DURABLE, "m.durable_lsn")},
         {_own(_RECEIVED, "null::pg_catalog.int8", "m.highest_lsn_rcvd")},
         {_own(_REPLAYED, _WRITTEN, "m.current_read_lsn")},
         null::pg_catalog.int8,
         case when o.own then
           (select pg_catalog.count(*)::pg_catalog.int4 from pg_catalog.pg_stat_activity a
             where a.backend_type operator(pg_catalog.=) 'client backend'
               and a.xact_start is not null) end,
         null::pg_catalog.bool, 0, null::pg_catalog.timestamptz,
         case when not o.own then m.last_update_timestamp end,
         null::pg_catalog.xid, null::pg_catalog.int4,
         {_own(_LAG, "null::pg_catalog.float8", "m.replica_lag_in_msec")},
         null::pg_catalog.float8, null::pg_catalog.int8, null::pg_catalog.xid,
         null::pg_catalog.int8, null::pg_catalog.int4, null::pg_catalog.int4,
         null::pg_catalog.int4, 0::pg_catalog.float4
    from (select {_FACTS}) as f(said),
         lateral pg_catalog.jsonb_to_recordset(f.said operator(pg_catalog.->) 'members')
      as m(server_id pg_catalog.text, session_id pg_catalog.text, durable_lsn pg_catalog.int8,
           highest_lsn_rcvd pg_catalog.int8, current_read_lsn pg_catalog.int8,
           replica_lag_in_msec pg_catalog.float8,
           last_update_timestamp pg_catalog.timestamptz),
         lateral (select m.server_id operator(pg_catalog.=)
                         (f.said operator(pg_catalog.->>) 'server_id')) as o(own);
end;

create or replace function pg_catalog.aurora_global_db_status(
    out aws_region pg_catalog.text,
    out highest_lsn_written pg_catalog.int8,
    out durability_lag_in_msec pg_catalog.float8,
    out rpo_lag_in_msec pg_catalog.float8,
    out last_lag_calculation_time pg_catalog.timestamptz,
    out feedback_epoch pg_catalog.int4,
    out feedback_xmin pg_catalog.xid)
returns setof pg_catalog.record
language sql stable security definer parallel safe
begin atomic
  select g.aws_region, g.highest_lsn_written, g.durability_lag_in_msec, g.rpo_lag_in_msec,
         g.last_lag_calculation_time, g.feedback_epoch, g.feedback_xmin
    from pg_catalog.jsonb_to_recordset({_FACTS} operator(pg_catalog.->) 'regions')
      as g(aws_region pg_catalog.text, highest_lsn_written pg_catalog.int8,
           durability_lag_in_msec pg_catalog.float8, rpo_lag_in_msec pg_catalog.float8,
           last_lag_calculation_time pg_catalog.timestamptz, feedback_epoch pg_catalog.int4,
           feedback_xmin pg_catalog.xid);
end;

create or replace function pg_catalog.aurora_global_db_instance_status(
    out server_id pg_catalog.text,
    out session_id pg_catalog.text,
    out aws_region pg_catalog.text,
    out durable_lsn pg_catalog.int8,
    out highest_lsn_rcvd pg_catalog.int8,
    out feedback_epoch pg_catalog.int4,
    out feedback_xmin pg_catalog.xid,
    out oldest_read_view_lsn pg_catalog.int8,
    out visibility_lag_in_msec pg_catalog.float8)
returns setof pg_catalog.record
language sql stable security definer parallel safe
begin atomic
  select i.server_id, i.session_id, i.aws_region, i.durable_lsn, i.highest_lsn_rcvd,
         i.feedback_epoch, i.feedback_xmin, i.oldest_read_view_lsn, i.visibility_lag_in_msec
    from pg_catalog.jsonb_to_recordset({_FACTS} operator(pg_catalog.->) 'instances_of_regions')
      as i(server_id pg_catalog.text, session_id pg_catalog.text, aws_region pg_catalog.text,
           durable_lsn pg_catalog.int8, highest_lsn_rcvd pg_catalog.int8,
           feedback_epoch pg_catalog.int4, feedback_xmin pg_catalog.xid,
           oldest_read_view_lsn pg_catalog.int8, visibility_lag_in_msec pg_catalog.float8);
end;
"""

SETTINGS = {
    "rds.extensions": ("string", "Extensions that may be created in a database."),
    "rds.force_ssl": ("bool", "Whether the gateway takes connections in TLS only."),
}
"""Settings of RDS that are no settings of PostgreSQL: their types and what they say."""


def _setting(name: str, kind: str, description: str) -> str:
    value = f"pg_catalog.borealis_setting('{name}')"
    text = "null::pg_catalog.text"
    return f"""
union all
select '{name}', {value}, {text}, 'Customized Options', '{description}', {text}, 'internal',
       '{kind}', 'configuration file', {text}, {text}, null::pg_catalog._text, {text}, {value},
       {text}, null::pg_catalog.int4, false"""


PG_SETTINGS = f"""
create or replace function pg_catalog.borealis_setting(wanted pg_catalog.text)
returns pg_catalog.text
language sql stable security definer parallel safe
return ({_FACTS} operator(pg_catalog.->) 'settings') operator(pg_catalog.->>) wanted;

set allow_system_table_mods = on;
create or replace view pg_catalog.pg_settings as
select a.name, a.setting, a.unit, a.category, a.short_desc, a.extra_desc, a.context, a.vartype,
       a.source, a.min_val, a.max_val, a.enumvals, a.boot_val, a.reset_val, a.sourcefile,
       a.sourceline, a.pending_restart
  from pg_catalog.pg_show_all_settings() a
{"".join(_setting(name, *about) for name, about in SETTINGS.items())};
set allow_system_table_mods = off;
"""
"""`pg_settings` shows no placeholder of a configuration file. Its rules, by which UPDATE sets a
parameter, are others than that of its rows, and stay."""

_SIGNATURES = {
    "aurora_version": "",
    "aurora_db_instance_identifier": "",
    "aurora_replica_status": "",
    "aurora_global_db_status": "",
    "aurora_global_db_instance_status": "",
    "borealis_setting": "pg_catalog.text",
    **decoding.SIGNATURES,
}
NAMES = tuple(_SIGNATURES)
"""Functions of pg_catalog that run as the superuser, by the runtime's will."""

_OWNED = "\n".join(
    f"alter function pg_catalog.{name}({arguments}) owner to {SUPERUSER};"
    for name, arguments in _SIGNATURES.items()
)
"""Who replaces a function leaves it to its owner: here it may be one that was a superuser once."""

FOR_DRIVERS = f"{FUNCTIONS}\n{PG_SETTINGS}\n{decoding.FUNCTIONS}\n{_OWNED}"
