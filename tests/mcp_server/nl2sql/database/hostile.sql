-- Each line is one text that the guard refuses; \n stands for a new line.
insert into sailor values (99, 'x', 1, 'x')
update sailor set age = 1
delete from sailor
truncate sailor
merge into sailor s using voyage c on s.id = c.id when matched then delete
drop table sailor
create table t (a int)
create table t as select * from sailor
alter table sailor add column x int
alter system set work_mem = '1GB'
grant select on sailor to public
revoke select on sailor from public
comment on table sailor is 'x'
copy sailor to stdout
copy sailor from '/etc/passwd'
copy sailor to program 'id'
copy (select 1) to '/tmp/x'
do $$ begin perform 1; end $$
call proc()
set role postgres
set session authorization postgres
reset role
reset all
set statement_timeout = 0
set transaction read write
begin
commit
rollback
savepoint a
lock table sailor
listen x
notify x
notify x, 'y'
unlisten *
prepare p as select 1
execute p
deallocate all
declare c cursor for select 1
fetch 1 from c
close c
discard all
vacuum
analyze sailor
cluster
reindex table sailor
checkpoint
load 'plpgsql'
refresh materialized view x
security label on table sailor is 'x'
import foreign schema x from server y into z
show all
show data_directory
explain analyze delete from sailor
explain delete from sailor
explain (analyze) insert into sailor values (1)
explain analyze create table t as select 1
with gone as (delete from sailor returning *) select * from gone
with new as (insert into sailor values (99, 'x', 1, 'x') returning id) select * from new
with changed as (update sailor set age = 1 returning id) select count(*) from changed
with m as (merge into sailor s using voyage c on s.id = c.id when matched then delete returning s.id) select 1
select * into copy_of from sailor
select * into temp copy_of from sailor
select * from sailor for update
select * from sailor for share
select * from sailor for no key update
select * from sailor for key share skip locked
select * from (select * from sailor for update) x
select 1; select 2
select 1; drop table sailor
select 1;;drop table sailor
;select 1; delete from sailor
select 1 /* */ ; /* */ truncate sailor
select ';' ; delete from sailor
select $$;$$ ; delete from sailor
select $a$ $$;$$ $a$ ; delete from sailor
select 1 -- ; innocent\n; delete from sailor
select pg_sleep(10)
select pg_catalog.pg_sleep(10)
select "pg_sleep"(10)
select "pg_catalog"."pg_sleep"(10)
select PG_SLEEP(10)
select pg_sleep /* x */ (10)
select pg_sleep -- x\n (10)
select * from pg_sleep(10)
select * from rows from (pg_sleep(10))
select 1 from sailor where pg_sleep(1) is null
select 1 from sailor order by pg_sleep(1)
select (select pg_sleep(1))
select array(select pg_sleep(1))
select case when true then pg_sleep(1) end
select count(*) filter (where pg_sleep(1) is null) from sailor
select coalesce(pg_sleep(1)::text, '')
select * from sailor join lateral pg_sleep(1) on true
values (pg_sleep(1))
with a as (select pg_sleep(1)) select * from a
with recursive pg_sleep(a) as (select 1) select pg_sleep(1) from pg_sleep
select pg_sleep_for('5 minutes')
select pg_sleep_until('tomorrow')
select U&"pg\\005fsleep"(1)
select u&'x'
select 'a\\'||pg_sleep(5)--'
select E'a\\\\'||pg_sleep(5)--'
select E'\\''||pg_sleep(5)||'x'
select $$a$$||pg_sleep(5)||$$b$$
select /* */ pg_sleep(1)
select pg_read_file('/etc/passwd')
select pg_read_binary_file('/etc/passwd')
select * from pg_ls_dir('/')
select pg_stat_file('/etc/passwd')
select pg_ls_waldir()
select pg_current_logfile()
select lo_import('/etc/passwd')
select lo_export(1, '/tmp/x')
select lo_create(0)
select lo_creat(-1)
select lo_get(1)
select lo_from_bytea(0, 'x')
select lo_put(1, 0, 'x')
select lo_unlink(1)
select loread(1, 10)
select dblink('dbname=postgres', 'select 1')
select * from dblink('dbname=postgres', 'select 1') as t(a int)
select dblink_exec('dbname=postgres', 'drop table x')
select set_config('role', 'postgres', false)
select set_config('transaction_read_only', 'off', true)
select nextval('counter')
select setval('counter', 1)
select currval('counter')
select lastval()
select pg_advisory_lock(1)
select pg_try_advisory_lock(1)
select pg_advisory_xact_lock(1)
select pg_advisory_lock_shared(1)
select pg_advisory_unlock_all()
select pg_terminate_backend(1)
select pg_cancel_backend(1)
select pg_reload_conf()
select pg_rotate_logfile()
select pg_switch_wal()
select pg_create_restore_point('x')
select pg_backup_start('x')
select pg_promote()
select pg_wal_replay_pause()
select pg_create_physical_replication_slot('x')
select pg_create_logical_replication_slot('x', 'test_decoding')
select pg_logical_emit_message(true, 'a', 'b')
select pg_drop_replication_slot('x')
select pg_replication_origin_create('x')
select pg_export_snapshot()
select pg_notify('x', 'y')
select pg_stat_reset()
select pg_log_backend_memory_contexts(1)
select pg_import_system_collations('pg_catalog')
select pg_nextoid('pg_class', 'oid', 'pg_class_oid_index')
select txid_current()
select pg_current_xact_id()
select setseed(0.5)
select query_to_xml('delete from sailor', true, true, '')
select query_to_xml('select * from pg_authid', true, true, '')
select table_to_xml('pg_authid', true, true, '')
select schema_to_xml('public', true, true, '')
select database_to_xml(true, true, '')
select cursor_to_xml('c', 1, true, true, '')
select * from ts_stat('select to_tsvector(name) from sailor')
select ts_rewrite('a'::tsquery, 'select 1')
select currtid2('sailor', '(0,1)')
select binary_upgrade_set_next_pg_type_oid(1)
select quiet_write()
select public.quiet_write()
select "quiet_write"()
select * from quiet_write()
select sneaky(age) from sailor
select other.fine(1)
select within(1)
select proc()
select no_such_function(1)
select * from pg_authid
select rolpassword from pg_catalog.pg_authid
select * from pg_shadow
select * from pg_user_mappings
select * from pg_hba_file_rules
table pg_authid
select * from pg_largeobject
select * from pg_file_settings
select * from pg_catalog.pg_statistic
select $1
select * from sailor where id = :id
select * from sailor where id = ?
explain select pg_sleep(1)
explain analyze select pg_sleep(1)
explain (analyze, buffers) select quiet_write()
explain
selec * from sailor
select * from sailor where
select |/ pg_sleep(1)
select 'unclosed
select "unclosed
select $x$ unclosed
select /* unclosed
select (1
\\! id
