"""What `diagnose` asks of PostgreSQL, one statement for each check.

They run where `pg_catalog` alone is searched. None calls what evaluates a tenant's expression, and
none needs a lock on a tenant's table: sizes are the pages that the last VACUUM or ANALYZE counted.
"""

from typing import LiteralString

from psycopg import sql

ROWS_MAX = 20
"""Of one check; the worst come first."""
_USERS: LiteralString = (
    "n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'"
)

STATEMENTS_PLACE: LiteralString = """
select n.nspname::text from pg_catalog.pg_extension e
join pg_catalog.pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid
     and d.classid = 'pg_class'::regclass and d.deptype = 'e'
join pg_catalog.pg_class c on c.oid = d.objid and c.relname = 'pg_stat_statements'
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where e.extname = 'pg_stat_statements'
"""
"""Where the extension has its view: nothing else of that name is asked."""

SLOW = sql.SQL("""
with here as (
    select s.* from {view} s
    where s.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
)
select queryid::int8, left(query, {length}) as query, calls::int8,
       total_exec_time::float8 as total_ms, mean_exec_time::float8 as mean_ms,
       max_exec_time::float8 as max_ms, rows::int8,
       (total_exec_time / nullif(sum(total_exec_time) over (), 0))::float8 as share,
       left(query, 20) = '<insufficient privil' as hidden
from here order by total_exec_time desc limit {limit}
""")

INDEXES: LiteralString = f"""
select c.oid::int8 as table_oid, n.nspname::text as schema, c.relname::text as table,
       x.relname::text as index, m.amname::text as method,
       array(select k from unnest(i.indkey::int2[]) k)::int4[] as columns,
       i.indnkeyatts::int4 as keys,
       array(select k from unnest(i.indclass::oid[]) k)::text || ' '
           || array(select k from unnest(i.indcollation::oid[]) k)::text as classes,
       array(select o from unnest(i.indoption::int2[]) o)::int4[] as options,
       regexp_replace(coalesce(i.indexprs::text, ''), ':location -?[0-9]+', '', 'g')
           as expressions,
       regexp_replace(coalesce(i.indpred::text, ''), ':location -?[0-9]+', '', 'g')
           || case when i.indnullsnotdistinct then ' nulls not distinct' else '' end as predicate,
       i.indisunique as is_unique, i.indisvalid and i.indisready as valid,
       i.indisreplident or i.indisclustered
           or exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid)
           as needed,
       x.relispartition as of_partition, x.relkind = 'I' as partitioned,
       x.relpages::int8 * 8192 as bytes,
       coalesce(s.idx_scan, 0)::int8 as scans,
       coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0) > 0 as table_is_read
from pg_catalog.pg_index i
join pg_catalog.pg_class x on x.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = x.relam
join pg_catalog.pg_class c on c.oid = i.indrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_stat_all_indexes s on s.indexrelid = i.indexrelid
left join pg_catalog.pg_stat_all_tables t on t.relid = c.oid
where {_USERS} order by x.relpages desc, x.oid limit 20000
"""

FOREIGN_KEYS: LiteralString = f"""
select n.nspname::text as schema, c.relname::text as table, k.conname::text as constraint,
       array(select a.attname::text from unnest(k.conkey) with ordinality as key (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = key.number
             order by key.place) as columns,
       rn.nspname::text as to_schema, r.relname::text as to_table,
       c.relkind = 'p' as partitioned,
       case when c.reltuples < 0 then pg_catalog.pg_stat_get_live_tuples(c.oid)
            else c.reltuples::int8 end as rows
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class r on r.oid = k.confrelid
join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
where k.contype = 'f' and k.conparentid = 0 and {_USERS}
  and not exists (
      select from pg_catalog.pg_index i
      join pg_catalog.pg_class x on x.oid = i.indexrelid
      join pg_catalog.pg_am m on m.oid = x.relam
      where i.indrelid = c.oid and i.indisvalid and i.indpred is null and m.amname = 'btree'
        and i.indnkeyatts >= cardinality(k.conkey)
        and (select array_agg(key) from (
                 select key from unnest(i.indkey::int2[]) with ordinality as u (key, place)
                 where place <= cardinality(k.conkey)) first) @> k.conkey)
order by rows desc, 1, 2, 3 limit {ROWS_MAX}
"""

BLOAT: LiteralString = f"""
with tables as (
    select c.oid, n.nspname, c.relname, c.reltuples, c.relpages,
           coalesce((select option_value::numeric from pg_catalog.pg_options_to_table(c.reloptions)
                     where option_name = 'fillfactor'), 100) / 100 as fill,
           coalesce(t.n_dead_tup, 0) as dead, coalesce(t.n_live_tup, 0) as live
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_stat_all_tables t on t.relid = c.oid
    where c.relkind in ('r', 'm') and {_USERS} and c.relpages > 0
), widths as (
    select s.schemaname, s.tablename, count(*) as known,
           sum((1 - s.null_frac) * s.avg_width) as width
    from pg_catalog.pg_stats s where not s.inherited group by 1, 2
), estimates as (
    select t.*, (t.relpages * 8192.0)::float8 as bytes,
           case when t.reltuples >= 0 and w.known = (
                    select count(*) from pg_catalog.pg_attribute a
                    where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                      and a.attgenerated <> 'v')
                then ceil(t.reltuples * (28 + 8 * ceil(w.width / 8)) / (8168 * t.fill)) * 8192
           end::float8 as wanted
    from tables t left join widths w on w.schemaname = t.nspname and w.tablename = t.relname
)
select nspname::text as schema, relname::text as table, bytes, wanted, dead::int8, live::int8
from estimates
where dead > 1000 and dead > 0.2 * (dead + live)
   or bytes - wanted > 1e6 and wanted < 0.6 * bytes
order by greatest(bytes - wanted, 0) desc nulls last, dead desc limit {ROWS_MAX}
"""

LOCKS: LiteralString = f"""
with blocked as (
    select a.pid, unnest(pg_catalog.pg_blocking_pids(a.pid)) as blocker
    from pg_catalog.pg_stat_activity a where a.wait_event_type = 'Lock'
)
select b.pid, b.blocker,
       extract(epoch from now() - w.state_change)::float8 as waits_seconds,
       w.usename::text as waiting_user, left(w.query, 300) as waiting_query,
       h.usename::text as holding_user, h.state::text as holding_state,
       left(h.query, 300) as holding_query,
       exists (select from blocked o where o.pid = b.blocker) as blocker_waits
from blocked b
left join pg_catalog.pg_stat_activity w on w.pid = b.pid
left join pg_catalog.pg_stat_activity h on h.pid = b.blocker
order by blocker_waits, waits_seconds desc nulls last limit {ROWS_MAX}
"""

TRANSACTIONS: LiteralString = f"""
select a.pid, a.usename::text as user, left(a.application_name, 60) as application,
       a.state::text as state, extract(epoch from now() - a.xact_start)::float8 as seconds,
       extract(epoch from now() - a.state_change)::float8 as in_state_seconds,
       left(a.query, 300) as query
from pg_catalog.pg_stat_activity a
where a.datname = current_database() and a.xact_start is not null
  and a.pid <> pg_catalog.pg_backend_pid()
  and a.backend_type = 'client backend'
  and extract(epoch from clock_timestamp() - a.xact_start) >= %(seconds)s
order by a.xact_start limit {ROWS_MAX}
"""

PREPARED: LiteralString = f"""
select gid::text as gid, owner::text as user,
       extract(epoch from now() - prepared)::float8 as seconds
from pg_catalog.pg_prepared_xacts
where database = current_database() and extract(epoch from now() - prepared) >= %(seconds)s
order by prepared limit {ROWS_MAX}
"""

SEQUENCES: LiteralString = f"""
with sequences as (
    select n.nspname, c.relname, c.oid, q.seqincrement, q.seqmin, q.seqmax,
           case when has_sequence_privilege(c.oid, 'SELECT, USAGE')
                then pg_catalog.pg_sequence_last_value(c.oid) end as last,
           q.seqtypid,
           o.refobjid as table_oid, o.refobjsubid as number
    from pg_catalog.pg_sequence q
    join pg_catalog.pg_class c on c.oid = q.seqrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join lateral (
        select d.refobjid, d.refobjsubid from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i')
          and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 limit 1) o on true
    where not q.seqcycle and {_USERS}
), limited as (
    select s.*, tn.nspname as table_schema, t.relname as table_name, a.attname,
           a.atttypid::int8 as column_type,
           case a.atttypid when 21 then 32767 when 23 then 2147483647
                else 9223372036854775807 end as column_max
    from sequences s
    left join pg_catalog.pg_class t on t.oid = s.table_oid
    left join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    left join pg_catalog.pg_attribute a on a.attrelid = s.table_oid and a.attnum = s.number
)
select nspname::text as schema, relname::text as sequence, last::int8 as last,
       (case when seqincrement > 0 then least(seqmax, column_max) else seqmin end)::int8 as most,
       seqtypid = 20 as is_bigint,
       table_schema::text, table_name::text, attname::text as column, column_type,
       (case when seqincrement > 0
             then (last::numeric - seqmin) / nullif(least(seqmax, column_max)::numeric - seqmin, 0)
             else (seqmax::numeric - last) / nullif(seqmax::numeric - seqmin, 0) end)::float8
           as used
from limited
where last is not null
order by used desc nulls last limit {ROWS_MAX}
"""

WRAPAROUND: LiteralString = f"""
select n.nspname::text as schema, c.relname::text as table,
       greatest(age(c.relfrozenxid), age(t.relfrozenxid))::int8 as age,
       greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid))::int8 as multixact_age,
       current_setting('autovacuum_freeze_max_age')::int8 as frozen_at,
       current_setting('autovacuum_multixact_freeze_max_age')::int8 as multixact_frozen_at
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_class t on t.oid = c.reltoastrelid
where c.relkind in ('r', 'm') and c.relpersistence <> 't'
order by greatest(age(c.relfrozenxid), age(t.relfrozenxid)) desc limit {ROWS_MAX}
"""

CACHE: LiteralString = """
select blks_hit::int8 as hit, blks_read::int8 as read, stats_reset::text as since
from pg_catalog.pg_stat_database where datname = current_database()
"""

SEES_ALL: LiteralString = (
    "select pg_catalog.pg_has_role('pg_read_all_stats', 'usage'), current_user::text"
)
"""Whether statements of others are shown to the role, and its name."""
