-- Each line is one query that the guard lets run.
select 1
select 1;
select name from singer where age > 20 order by age desc nulls last limit 3
select Name from Singer
select s.name, count(*) as concerts from singer s join concert c on c.singer_id = s.id group by s.name having count(*) > 1
select "Venue Name" from concert
select * from singer where name like '100%' or name ilike '%a_b%'
select count(*) filter (where age > 20), avg(age) over (partition by country order by id rows between 1 preceding and current row) from singer group by age, id, country
select distinct on (country) country, name from singer order by country, age
select country from singer intersect select country from singer except all select 'x' union select 'y'
select * from singer where id not in (select singer_id from concert where singer_id is not null)
select * from singer s where not exists (select from concert c where c.singer_id = s.id)
with a as (select id from singer), b(x) as (select id from a) select x from b
with recursive n(i) as (values (1) union all select i + 1 from n where i < 10) select sum(i) from n
select * from generate_series(1, 3) as g(i), lateral (select g.i * 2 as twice) t
select unnest(array[1,2,3]), (array[1,2])[1], array(select id from singer)
select row(1, 2), (1, 2) in (select 1, 2), cast('1' as numeric(10, 2)), '1'::varchar(3)
select extract(year from now()), date_trunc('month', current_date), now() - interval '1 day', to_char(now(), 'YYYY')
select substring(name from 1 for 2), position('a' in name), trim(both ' ' from name), overlay(name placing 'x' from 1) from singer
select coalesce(nullif(age, 0), 1), greatest(1, 2), round(avg(age)::numeric, 2) from singer group by age
select case when age > 20 then 'old' else 'young' end, string_agg(name, ', ' order by name) from singer group by 1
select age, count(*) from singer group by grouping sets ((age), ()), rollup (age), cube (age)
select percentile_cont(0.5) within group (order by age) from singer
select jsonb_build_object('a', 1) -> 'a', '{"a": [1]}'::jsonb #>> '{a,0}', '{"a":1}'::jsonb ? 'a', '{}'::jsonb @> '{}'
select '[1,2,3]'::vector <-> '[1,2,4]'::vector, '[1,2,3]'::vector <=> '[1,2,4]'::vector, '[1]'::vector <#> '[1]'::vector, '[1]'::vector <+> '[1]'::vector
select random(), gen_random_uuid(), clock_timestamp()
select * from singer tablesample system (50)
select fine(1), public.fine(2)
select * from adults
select * from other.secret
select relname from pg_class where relkind = 'r'
select table_name from information_schema.tables
select pg_size_pretty(pg_total_relation_size('singer'))
select 'a;b', $$c;d$$, E'it\'s', 'it''s', B'101', X'1F', 1.5e3, .5, 0x1f, 1_000
select 'x' /* ; drop table singer */ -- ; delete from singer
select /* /* */ pg_sleep(1) -- */ 1
select
values (1, 'a'), (2, 'b')
table singer
(select 1) union all (select 2) order by 1
explain select * from singer
explain (analyze, costs off, format json) select * from singer
explain analyze select count(*) from singer
explain (select 1)
select singer from singer
select s from singer s
select ctid, name from singer
select age as years from singer order by years
select count(*) as n from singer group by country order by n
select * from json_table('[1]', '$[*]' columns (a int path '$')) j
select a.* from (select id, name from singer) as a(x, y) where a.x > 1
select s.name from singer s where s.age > (select avg(age) from singer i where i.country = s.country)
select x.n from (select count(*) as n from singer group by country) x
select "name" from "singer" as "S" where "S"."age" is not distinct from 20
select * from singer natural join adults
select version(), current_user, current_setting('server_version')
select sum(age) over w from singer window w as (partition by country)
select name collate "C" from singer fetch first 3 rows only
