-- Each line is one query that the guard lets run.
select 1
select 1;
select name from sailor where age > 20 order by age desc nulls last limit 3
select Name from Sailor
select s.name, count(*) as voyages from sailor s join voyage c on c.sailor_id = s.id group by s.name having count(*) > 1
select "Venue Name" from voyage
select * from sailor where name like '100%' or name ilike '%a_b%'
select count(*) filter (where age > 20), avg(age) over (partition by country order by id rows between 1 preceding and current row) from sailor group by age, id, country
select distinct on (country) country, name from sailor order by country, age
select country from sailor intersect select country from sailor except all select 'x' union select 'y'
select * from sailor where id not in (select sailor_id from voyage where sailor_id is not null)
select * from sailor s where not exists (select from voyage c where c.sailor_id = s.id)
with a as (select id from sailor), b(x) as (select id from a) select x from b
with recursive n(i) as (values (1) union all select i + 1 from n where i < 10) select sum(i) from n
select * from generate_series(1, 3) as g(i), lateral (select g.i * 2 as twice) t
select unnest(array[1,2,3]), (array[1,2])[1], array(select id from sailor)
select row(1, 2), (1, 2) in (select 1, 2), cast('1' as numeric(10, 2)), '1'::varchar(3)
select extract(year from now()), date_trunc('month', current_date), now() - interval '1 day', to_char(now(), 'YYYY')
select substring(name from 1 for 2), position('a' in name), trim(both ' ' from name), overlay(name placing 'x' from 1) from sailor
select coalesce(nullif(age, 0), 1), greatest(1, 2), round(avg(age)::numeric, 2) from sailor group by age
select case when age > 20 then 'old' else 'young' end, string_agg(name, ', ' order by name) from sailor group by 1
select age, count(*) from sailor group by grouping sets ((age), ()), rollup (age), cube (age)
select percentile_cont(0.5) within group (order by age) from sailor
select jsonb_build_object('a', 1) -> 'a', '{"a": [1]}'::jsonb #>> '{a,0}', '{"a":1}'::jsonb ? 'a', '{}'::jsonb @> '{}'
select '[1,2,3]'::vector <-> '[1,2,4]'::vector, '[1,2,3]'::vector <=> '[1,2,4]'::vector, '[1]'::vector <#> '[1]'::vector, '[1]'::vector <+> '[1]'::vector
select random(), gen_random_uuid(), clock_timestamp()
select * from sailor tablesample system (50)
select fine(1), public.fine(2)
select * from adults
select * from other.secret
select relname from pg_class where relkind = 'r'
select table_name from information_schema.tables
select pg_size_pretty(pg_total_relation_size('sailor'))
select 'a;b', $$c;d$$, E'it\'s', 'it''s', B'101', X'1F', 1.5e3, .5, 0x1f, 1_000
select 'x' /* ; drop table sailor */ -- ; delete from sailor
select /* /* */ pg_sleep(1) -- */ 1
select
values (1, 'a'), (2, 'b')
table sailor
(select 1) union all (select 2) order by 1
explain select * from sailor
explain (analyze, costs off, format json) select * from sailor
explain analyze select count(*) from sailor
explain (select 1)
select sailor from sailor
select s from sailor s
select ctid, name from sailor
select age as years from sailor order by years
select count(*) as n from sailor group by country order by n
select * from json_table('[1]', '$[*]' columns (a int path '$')) j
select a.* from (select id, name from sailor) as a(x, y) where a.x > 1
select s.name from sailor s where s.age > (select avg(age) from sailor i where i.country = s.country)
select x.n from (select count(*) as n from sailor group by country) x
select "name" from "sailor" as "S" where "S"."age" is not distinct from 20
select * from sailor natural join adults
select version(), current_user, current_setting('server_version')
select sum(age) over w from sailor window w as (partition by country)
select name collate "C" from sailor fetch first 3 rows only
