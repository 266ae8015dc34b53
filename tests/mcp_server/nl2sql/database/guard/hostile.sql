-- Each line is one query that runs something which a read may not, and is refused. See traps.sql.
select (8.0::float8).pg_sleep
select (77::bigint).pg_advisory_lock
select (pid).pg_terminate_backend from pg_stat_activity where pid <> pg_backend_pid()
select ('select to_tsvector(name) from app.customer'::text).ts_stat
select (1::bigint).pg_advisory_xact_lock from app.customer
select ('a'::text).pg_read_file
select ('trap.counter'::regclass).nextval
select (r).nextval from (values ('trap.counter'::regclass)) as v (r)
select * from app.customer where (id::bigint).pg_try_advisory_lock
select * from app.customer order by (0.5::float8).pg_sleep
select count(*) filter (where (1::bigint).pg_try_advisory_lock) from app.customer
select sum(id) over (order by (1::bigint).pg_try_advisory_lock) from app.customer
select case when (1::bigint).pg_try_advisory_lock then 1 end
select array(select (1::float8).pg_sleep)
with x as materialized (select (1::float8).pg_sleep) select 1 from x
select 1 from app.customer c join lateral (select (1::float8).pg_sleep) s on true
select 1 group by (0.1::float8).pg_sleep
values ((1::float8).pg_sleep)
explain select (8.0::float8).pg_sleep
explain (analyze, costs off) select (77::bigint).pg_advisory_lock
select pg_logical_emit_message(false, 'a', 'b')
select pg_logical_emit_message(true, 'a', 'b'::bytea)
select pg_current_xact_id()
select txid_current()
select nextval('trap.counter')
select setval('trap.counter', 5)
select lo_create(0)
select lo_from_bytea(0, 'x')
select lo_put(1, 0, 'x')
select lo_open(1, 131072)
select lowrite(0, 'x')
select pg_notify('a', 'b')
select set_config('transaction_read_only', 'off', true)
select * from query_to_xml('select 1', true, true, '')
select cursor_to_xml('c', 1, true, true, '')
select pg_cancel_backend(pid) from pg_stat_activity
select pg_advisory_unlock_all()
select pg_try_advisory_xact_lock_shared(1)
select pg_export_snapshot()
select pg_stat_reset_single_table_counters('app.customer'::regclass)
select pg_stat_force_next_flush()
select setseed(0.1)
select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, ''b''::tsquery')
select * from crosstab('select 1, 2, 3') as c (a int, b int)
select * from connectby('app.purchase', 'id', 'customer_id', '1', 0) as c (a int, b int, c int)
select * from normal_rand(1, 1, 1)
select 'a'::text operator(trap.+) 'b'::text
select name operator(trap.+) city from app.customer
select * from app.customer where name operator(trap.<<>>) 'x'
select * from app.customer where not (name operator(trap.<<>>) 'x')
select * from app.customer where name operator(trap.+) any (array['x']) = 'x'
select (row(1)::trap.money)::text
select cast(row(1)::trap.money as text)
select text(row(1)::trap.money)
select to_json(row(1)::trap.coin)
select json_build_object('a', row(1)::trap.coin)
select jsonb_agg(x) from (select row(1)::trap.coin as x) s
select json_array(row(1)::trap.coin)
select to_jsonb(s) from (select row(1)::trap.coin as x) s
select (pair)::int from app.person
select pair + 1 from app.person
select trap.wal()
select trap.calls_volatile()
select trap.calls_lock()
select trap.nested()
select * from trap.nested()
select trap.liar()
select trap.liar_next()
select * from generate_series(1, trap.liar())
select trap.definer()
select trap.definer_text()
select trap.role_setter()
select trap.leads()
select trap.leads_further()
select picks(), trap.leads()
select trap.leads(), trap.follows(1)
select trap.hider()
select trap.hider2()
select trap.with_default()
select trap.with_default(a => default)
select trap.deletes()
select trap.lo()
select trap.notify()
select app.of_a_stranger()
select trap.agg(id) from app.customer
select trap.agg(id) over (order by id) from app.customer
select trap.agg_final(id) from app.customer
select x from trap.view
select name from trap.view
select count(*) from trap.view
select x from trap.view_of_view
table trap.view_of_view
explain select x from trap.view
with v as (select * from trap.view) select 1 from v
select * from app.customer where id in (select x from trap.view)
select * from trap.sleepy
select * from trap.locking
select * from trap.by_operator
select * from trap.policed
select * from trap.indexed
select id from trap.indexed where id = 1
select * from trap.checked
select * from trap.parent
select * from trap.child
select * from trap.stats
select count(*) from trap.policed where false
with gone as (delete from trap.log returning *) select * from gone
with new as (insert into trap.log values ('x') returning *) select * from new
with m as (merge into trap.log l using app.customer c on l.what = c.name when matched then delete returning 1) select 1 from m
with recursive t as (select 1 as n union all select n + 1 from t where n < 3), u as (update trap.log set what = 'x' returning 1) select * from t
select * from app.customer for update
select * from app.customer c where exists (select from app.purchase p where p.customer_id = c.id for share)
select * into trap.copy from app.customer
select name into temp copy from app.customer
select rolpassword from pg_authid
select * from pg_catalog.pg_shadow
select * from pg_user_mapping
select x.* from (select * from pg_statistic) x
select fmgr_sql_validator('trap.calls_lock'::regproc), pg_sleep(1)
select dblink('dbname=postgres', 'select 1')
show all
show work_mem; delete from trap.log
explain show work_mem
explain analyze execute p
execute p
fetch 1 from c
declare c cursor for select 1
call trap.wal()
do $$ begin perform pg_sleep(1); end $$
prepare p as select 1
copy app.customer to program 'id'
set search_path = trap
notify a, 'b'
lock table app.customer
begin
select 1; commit; delete from trap.log
select * from crosstab2('select 1, 2, 3')
select * from crosstab3('select 1, 2, 3')
select * from crosstab4('select 1, 2, 3')
select cursor_to_xmlschema('c', true, true, '')
select database_to_xml_and_xmlschema(true, true, '')
select database_to_xmlschema(true, true, '')
select query_to_xml_and_xmlschema('select 1', true, true, '')
select query_to_xmlschema('select 1', true, true, '')
select schema_to_xml_and_xmlschema('app', true, true, '')
select schema_to_xmlschema('app', true, true, '')
select table_to_xml_and_xmlschema('app.customer', true, true, '')
select table_to_xmlschema('app.customer', true, true, '')
select * from pg_config()
select * from pg_cursor()
select * from pg_prepared_statement()
select * from pg_get_replication_slots()
select pg_relation_filepath('app.customer')
select pg_tablespace_location(1663)
