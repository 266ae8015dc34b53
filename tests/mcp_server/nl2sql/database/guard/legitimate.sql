-- Each line is one query that only reads, and runs. See traps.sql for the tables.
select user
select current_user, session_user, current_role, current_catalog, current_schema, system_user
select current_role, name from app.customer
select user, current_catalog, c.* from app.customer c
select user from app.customer where name <> user
select c.total from app.customer c
select c.name, c.total from app.customer c order by c.total desc limit 3
select total(c) from app.customer c union all select app.total(c) from app.customer c
select (c).total from app.customer c
select sum(c.total) from app.customer c group by c.city
select 1 operator(pg_catalog.+) 2
select id operator(pg_catalog.*) 2 from app.customer where id operator(pg_catalog.<) 5
select @ -5
select @ -5.5 as absolute, @ id, - @ id from app.customer
select |/ 25.0 as root, ||/ 27.0 as cube, @ (-3) as absolute, ~ 1 as inverted
select 2 ^ 3, 5 % 3, 5 & 3, 5 | 3, 5 # 3, 1 << 4, 16 >> 2
select ip >>= '10.0.0.0/8' from app.customer
select ip << '10.0.0.0/8'::inet, ip >> '10.0.0.1', ip <<= '10.0.0.0/8', ip && '10.0.0.0/8', ip + 1, ip - 1, ~ ip, ip & ip, ip | ip from app.customer
select host(ip), masklen(ip), network(ip), family(ip) from app.customer
select json_query('{"a": [1, 2]}', '$.a' with wrapper)
select json_query('{"a": 1}'::jsonb, '$.a' with conditional wrapper), json_query('{"a": "x"}'::jsonb, '$.a' omit quotes)
select json_value('{"a": 1}', '$.a' returning int default 0 on empty error on error), json_exists('{"a": 1}'::jsonb, '$.a')
select json_query(extra, '$.list[*]' returning jsonb with unconditional wrapper) from app.customer
select * from json_table('[{"a": 1, "b": [1, 2]}]', '$[*]' columns (n for ordinality, a int path '$.a', nested path '$.b[*]' columns (b int path '$'))) t
select placed at local from app.purchase
select placed at time zone 'UTC', timezone('Europe/Rome', placed), now() at time zone 'UTC' from app.purchase
select count(*) from only (app.event)
select count(*) from only app.event
select * from app.event *
show work_mem
show server_version
show transaction isolation level
show time zone
show search_path
SHOW TimeZone;
explain select * from app.customer
explain analyze select count(*) from app.customer
explain (analyze, buffers, costs off, timing off, summary off) select * from app.customer where id = 1
explain (format json) select * from app.big
explain (format yaml, verbose, settings) select c.total from app.customer c
explain (verbose) table app.customer
explain verbose select 1
explain (select 1)
explain with x as (select 1) select * from x
explain (generic_plan) select 1
table app.customer
values (1, 'a'), (2, 'b') order by 1 desc limit 1
(select 1) union all (select 2) order by 1
with a as (select 1 as x), b as materialized (select x + 1 as y from a), c as not materialized (select y from b) select * from c
with recursive n (i) as (values (1) union all select i + 1 from n where i < 10) select sum(i) from n
with recursive n (i) as (values (1) union select i + 1 from n where i < 10) search depth first by i set o select * from n
with recursive n (i) as (select 1 union all select i + 1 from n where i < 5) cycle i set looped using path select * from n
with recursive n (i) as (select 1 union all select i + 1 from n where i < 5) search breadth first by i set o cycle i set looped to true default false using path select * from n
select * from app.customer c join app.purchase p on p.customer_id = c.id
select * from app.customer c left join app.purchase p on p.customer_id = c.id and p.paid
select * from app.customer c full join app.purchase p on p.customer_id = c.id
select * from app.customer c cross join app.purchase p limit 1
select * from app.customer join app.purchase using (id)
select j.id from (app.customer join app.purchase using (id) as j)
select * from app.customer natural join app.purchase
select c.name, x.amount from app.customer c, lateral (select amount from app.purchase p where p.customer_id = c.id order by amount desc limit 1) x
select c.name, g from app.customer c left join lateral generate_series(1, c.id) g on true
select city, count(*), sum(id), avg(id)::numeric(10, 2), min(name), max(name) from app.customer group by city having count(*) > 1 order by 2 desc, city
select city, vip, count(*), grouping(city, vip) from app.customer group by grouping sets ((city, vip), (city), ())
select city, vip, count(*) from app.customer group by rollup (city, vip)
select city, vip, count(*) from app.customer group by cube (city, vip)
select distinct city, vip from app.customer group by distinct rollup (city, vip)
select count(*) filter (where vip), count(distinct city), bool_and(vip), bool_or(vip), every(vip) from app.customer
select array_agg(name order by id desc), string_agg(name, ', ' order by name), json_agg(name), jsonb_object_agg(id, name) from app.customer
select percentile_cont(0.5) within group (order by id), percentile_disc(array[0.1, 0.9]) within group (order by id), mode() within group (order by city) from app.customer
select rank(5) within group (order by id), dense_rank(5) within group (order by id), cume_dist(5) within group (order by id) from app.customer
select corr(id, id), regr_slope(id, id), covar_pop(id, id), stddev(id), variance(id), stddev_samp(id) from app.customer
select bit_and(id), bit_or(id), bit_xor(id), any_value(city) from app.customer
select name, row_number() over w, rank() over w, dense_rank() over w, ntile(4) over w, percent_rank() over w, cume_dist() over w from app.customer window w as (partition by city order by id)
select id, lag(id) over (order by id), lead(id, 2, 0) over (order by id), first_value(id) over (order by id), last_value(id) over (order by id), nth_value(id, 2) over (order by id) from app.customer
select sum(id) over (order by id rows between 2 preceding and current row), sum(id) over (order by id range between 3 preceding and 3 following exclude ties), avg(id) over (order by id groups between 1 preceding and 1 following) from app.customer
select placed, sum(amount) over (order by placed range between '3 days' preceding and current row) from app.purchase
select count(*) over (partition by city), sum(count(*)) over (order by city) from app.customer group by city
select distinct on (city) city, name from app.customer order by city, id desc
select name from app.customer order by name collate "C" desc nulls last, id using > fetch first 3 rows with ties
select * from app.customer offset 2 limit 3
select * from app.customer limit all
select city from app.customer union select note from app.purchase except select 'x' intersect all select 'y'
select * from app.customer where id in (select customer_id from app.purchase) and exists (select from app.purchase p where p.customer_id = app.customer.id)
select * from app.customer where id = any (array[1, 2, 3]) or id <> all ('{4, 5}') or id = some (select 6)
select * from app.customer where (id, name) in ((1, 'x'), (2, 'y')) and (id, name) >= (1, 'a')
select * from app.customer where (id, city) = (select 1, 'Rome')
select row(1, 'a') = row(1, 'a'), row(1, 2) is distinct from row(1, 3), (row(1, null)).f1 is null
select row(1, 'a'), (1, 2, 3), row(c.*) from app.customer c
select c from app.customer c
select (c).name, (c.*)::text from app.customer c
select to_jsonb(c), row_to_json(c), c::text from app.customer c
select name is null, vip is true, vip is not unknown, vip isnull, vip notnull from app.customer
select case city when 'Rome' then 1 when 'Oslo' then 2 else 0 end, case when vip then 'x' end from app.customer
select coalesce(note, 'none'), nullif(id, 1), greatest(id, 3), least(id, 3, 5) from app.purchase
select name like 'c%', name not like '%x', name ilike 'C_S%' escape '\', name similar to '(c|d)%', name ~ '^c', name !~* 'X', name ^@ 'cust' from app.customer
select starts_with(name, 'c'), name between 'a' and 'z', id between symmetric 5 and 1 from app.customer
select substring(name from 1 for 3), substring(name from '^c'), substring(name similar 'c#"ust#"%' escape '#'), overlay(name placing 'XX' from 2 for 1), position('s' in name), trim(leading 'c' from name), trim(both from name) from app.customer
select upper(name), initcap(name), length(name), char_length(name), octet_length(name), reverse(name), repeat(name, 2), lpad(name, 20, '*'), rpad(name, 20), left(name, 3), right(name, 3), split_part(name, ' ', 1), translate(name, 'abc', 'xyz'), replace(name, 'c', 'k'), md5(name), ascii(name), chr(65) from app.customer
select concat(name, id), concat_ws('-', name, city), format('%s-%I-%L', name, city, id), quote_literal(name), quote_ident(name), quote_nullable(null) from app.customer
select regexp_replace(name, 'c(u)', '\1'), regexp_match(name, '\d+'), regexp_matches(name, '\d', 'g'), regexp_split_to_array(name, ' '), regexp_count(name, 'c'), regexp_substr(name, 'c.'), regexp_instr(name, 'u'), regexp_like(name, 'c') from app.customer
select string_to_table(name, ' '), unnest(string_to_array(name, ' ')) from app.customer
select to_char(placed, 'YYYY-MM-DD HH24:MI'), to_char(amount, '999D99'), to_date('2024', 'YYYY'), to_timestamp(0), to_number('12', '99') from app.purchase
select extract(year from placed), extract(epoch from placed), date_part('dow', placed), date_trunc('month', placed), date_bin('15 minutes', placed, '2001-01-01') from app.purchase
select placed + interval '1 day', placed - interval '1 month 2 days', placed - '2024-01-01'::timestamptz, age(placed), age(placed, now()), placed::date - current_date, (placed, placed + interval '1 day') overlaps (now(), now()) from app.purchase
select current_date, current_time, current_timestamp(0), localtime, localtimestamp, now(), statement_timestamp(), transaction_timestamp(), clock_timestamp(), timeofday()
select make_date(2024, 1, 2), make_interval(days => 3), make_timestamp(2024, 1, 2, 3, 4, 5), justify_days('40 days'), isfinite(now()), date '2024-01-01' + 3, time '12:00' + interval '1 hour', timestamp '2024-01-01', interval '1' year, interval '1-2' year to month, date '2024-01-01' - date '2023-01-01'
select round(1.5), round(2.345, 2), ceil(1.2), floor(1.8), trunc(1.9), abs(-3), sign(-3), sqrt(2), power(2, 3), exp(1), ln(2), log(10), log(2, 8), mod(7, 3), div(7, 3), gcd(4, 6), lcm(4, 6), factorial(5), pi(), degrees(1), sin(1), cos(1), tan(1), atan2(1, 2), width_bucket(5, 0, 10, 5), scale(1.20), trim_scale(1.20), random() between 0 and 1
select 1::text, '1'::int, cast('1.5' as numeric(3, 1)), 1::bool, '{1,2}'::int[], 'a'::varchar(3), 'x'::char(2), '1'::bit(3), 1.5::float4, '2024-01-01'::date, '10:00'::timetz, 'infinity'::float8, 'NaN'::numeric
select 0x1f, 0o17, 0b101, 1_000_000, 1.5e3, .5, B'101', X'1F', E'a\tb', $$x$$, $q$y$q$
select array[1, 2, 3], array[[1, 2], [3, 4]], (array[1, 2, 3])[2], (array[1, 2, 3])[2:], array[1] || 2, array[1, 2] @> array[1], array[1] && array[2], array_length(array[1], 1), cardinality(array[1]), array_position(array[1, 2], 2), array_remove(array[1, 2], 1), array_to_string(array[1, 2], ','), array_append(array[1], 2), array_cat(array[1], array[2]), array_dims(array[1])
select tags[1], tags[1:1], 'a' = any (tags), tags @> '{a}', unnest(tags) from app.customer
select * from unnest(array[1, 2], array['a', 'b']) with ordinality as u (n, s, place)
select * from rows from (generate_series(1, 3), unnest(array['a', 'b'])) with ordinality as t (a, b, n)
select * from generate_series('2024-01-01'::date, '2024-01-05', '1 day') d
select generate_series(1, 3), generate_subscripts(array[1, 2], 1)
select extra -> 'n', extra ->> 'n', extra #> '{list,0}', extra #>> '{list,0}', extra ? 'n', extra ?| array['n'], extra ?& array['n'], extra @> '{"n": 1}', extra <@ '{}', extra || '{"a": 1}', extra - 'n', extra #- '{list,0}', extra @? '$.n', extra @@ '$.n == 1' from app.customer
select extra['n'], extra['list'][0] from app.customer
select jsonb_build_object('a', 1, 'b', array[1]), jsonb_build_array(1, 'x'), jsonb_set(extra, '{n}', '5'), jsonb_insert(extra, '{m}', '1'), jsonb_typeof(extra), jsonb_array_length(extra -> 'list'), jsonb_pretty(extra), jsonb_strip_nulls(extra), jsonb_path_query_array(extra, '$.list[*]'), jsonb_path_exists(extra, '$.n'), jsonb_path_query_first(extra, '$.n') from app.customer
select key, value from app.customer, jsonb_each(extra)
select key, value from app.customer, jsonb_each_text(extra)
select jsonb_array_elements(extra -> 'list'), jsonb_object_keys(extra) from app.customer
select * from jsonb_to_recordset('[{"a": 1, "b": "x"}]') as t (a int, b text)
select * from jsonb_to_record('{"a": 1}') as t (a int)
select (jsonb_populate_record(null::app.pair, '{"a": 1, "b": 2}')).a
select json_object('a': 1, 'b': 2 absent on null returning jsonb), json_array(1, 2, null null on null), json_array(select id from app.purchase where id < 3), json_objectagg('k': id), json_arrayagg(id order by id) from app.purchase where id < 3
select json('{"a": 1}'), json_scalar(1), json_serialize('{"a": 1}'), '1' is json, '[1]' is json array, '{}' is json object with unique keys
select location <-> point(0, 0), location <@ box '((0,0),(5,5))', circle(location, 1), location[0] from app.customer order by location <-> point(1, 1) limit 3
select span @> 3, span && int4range(1, 5), lower(span), upper(span), isempty(span), span * int4range(1, 3), span -|- int4range(9, 10), range_merge(span, span) from app.customer
select int4multirange(int4range(1, 3), int4range(5, 7)), unnest('{[1,3),[5,7)}'::int4multirange), range_agg(span) from app.customer
select to_tsvector('english', name) @@ to_tsquery('english', 'customer'), plainto_tsquery('a b'), phraseto_tsquery('a b'), websearch_to_tsquery('"a b" -c'), ts_rank(to_tsvector(name), to_tsquery('customer')), ts_headline(name, to_tsquery('customer')), to_tsvector(name) || to_tsvector('x'), setweight(to_tsvector(name), 'A'), strip(to_tsvector(name)), numnode('a & b'::tsquery) from app.customer
select gen_random_uuid(), random(), random_normal(), uuidv7() is not null
select encode('abc', 'base64'), decode('YWJj', 'base64'), sha256('abc'), '\x01'::bytea || '\x02', get_byte('\x01', 0), length('\x01'::bytea), convert_from('abc', 'UTF8')
select amount::money, amount::text, amount::int, amount::float8 from app.purchase
select name, embedding <-> '[1,2,3]', embedding <=> '[1,2,3]', embedding <#> '[1,2,3]', embedding <+> '[1,2,3]' from app.person, app.customer order by embedding <-> '[1,2,4]' limit 3
select embedding + embedding, vector_norm(embedding), vector_dims(embedding), avg(embedding) over (), embedding::real[], '{1,2,3}'::real[]::vector(3), cosine_distance(embedding, embedding), binary_quantize(embedding) from app.person
select name % 'custmer', similarity(name, 'custmer'), name <-> 'custmer', word_similarity('cust', name), 'cust' <% name, name %> 'cust', name <<-> 'x', show_trgm(name), strict_word_similarity('a', name) from app.customer order by name <-> 'customer 1' limit 3
select attributes -> 'a', attributes ? 'a', attributes @> 'a=>1', attributes || 'c=>3', akeys(attributes), (each(attributes)).key, hstore_to_jsonb(attributes), attributes::json, attributes['a'], exist(attributes, 'a'), delete(attributes, 'a'), hstore('x', 'y'), attributes ?& array['a'], %% attributes from app.person
select path <@ 'top', path ~ '*.sub', subpath(path, 0, 1), nlevel(path), path || 'x', lca(path, path), path @> 'top.sub', path ? array['top.*']::lquery[] from app.person
select nick = 'NICK', nick like 'n%', nick || 'x', max(nick) over () from app.person
select array[1, 2, 3] & array[2], array[1, 2] | 3, array[1] @@ '1'::query_int, sort(array[3, 1]), uniq(array[1, 1]), idx(array[1, 2], 2), # array[1, 2], icount(array[1])
select levenshtein('a', 'b'), soundex('a'), metaphone('abc', 3), dmetaphone('x'), unaccent('é'), daitch_mokotoff('x')
select cube(1, 2) <-> cube(2, 3), cube_enlarge(cube(1), 1, 1), '0-393-04002-X'::isbn, isbn13('0-393-04002-X'::isbn)
select * from app.customer tablesample system (50)
select * from app.customer tablesample bernoulli (50) repeatable (1)
select * from app.customer tablesample system_rows (3)
select mood, email, age, pair, (pair).a, (pair).b from app.person
select mood > 'sad', max(mood) over (), enum_range(mood), enum_first(null::app.mood), 'happy'::app.mood from app.person order by mood
select 5::app.positive, 'a@b.c'::app.email, '3'::app.positive + 1, row(1, 2)::app.pair, '(1,2)'::app.pair, '{1,2}'::app.positive[], array[row(1, 2)::app.pair]
select count(*), mood from app.person where email like '%@%' and age > 3 group by mood
select to_json(p), p.pair::text, json_agg(p) over () from app.person p
select app.shout(name), shout from app.customer c, app.shout(c.name) shout where app.shout(name) like 'C%'
select id, loud from app.shouted where loud is not null
select app.label(3), app.label(n => 4, prefix => 'x'), app.label(5, 'y')
select app.newest(), app.with_path(5), app.same(3), app.same('x'::text), app.total_of(amount) from app.purchase
select app.total_of(amount) over (order by id), app.total_of(amount) filter (where paid) over () from app.purchase
select app.total_of(distinct amount) filter (where paid) from app.purchase
select * from app.of_city('Rome')
select o.name from app.of_city('Oslo') o join app.purchase p on p.customer_id = o.id
select name operator(app.~=~) 'customer 1' from app.customer
select * from app.big where paid
select * from app.summary
select * from app.secured
select * from app.validated
select * from app.event where at > '2025-01-01' and payload @> '{"x": [1]}'
select tableoid::regclass, ctid, xmin, * from app.event
select count(*) from app.event_2025
select c.relname, n.nspname, pg_get_userbyid(c.relowner), obj_description(c.oid) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' limit 5
select table_schema, table_name from information_schema.tables where table_schema = 'app'
select column_name, data_type, is_nullable from information_schema.columns where table_name = 'customer'
select constraint_name, constraint_type from information_schema.table_constraints
select * from pg_catalog.pg_tables limit 3
select schemaname, viewname, definition from pg_views where schemaname = 'app'
select indexname, indexdef from pg_indexes where schemaname = 'app'
select * from pg_stats where tablename = 'customer'
select * from pg_stat_user_tables
select * from pg_stat_activity
select * from pg_locks
select name, setting from pg_settings where name like 'work%'
select * from pg_roles
select * from pg_timezone_names limit 1
select * from pg_available_extensions limit 1
select extname, extversion from pg_extension
select * from pg_sequences
select * from pg_prepared_statements
select * from pg_cursors
select * from pg_stat_database limit 1
select * from pg_statio_user_tables limit 1
select pg_size_pretty(pg_total_relation_size('app.customer')), pg_relation_size('app.customer'), pg_database_size(current_database()), pg_indexes_size('app.customer'), pg_table_size('app.customer')
select pg_typeof(1), pg_column_size('x'::text), format_type(23, -1), col_description('app.customer'::regclass, 1), pg_get_viewdef('app.big'::regclass), pg_get_functiondef('app.total'::regproc), pg_get_indexdef(indexrelid), pg_get_constraintdef(k.oid) from pg_index, pg_constraint k limit 1
select to_regclass('app.customer'), 'app.customer'::regclass::oid, 'app'::regnamespace, 'int4'::regtype, 'lower(text)'::regprocedure, to_regtype('int')
select has_table_privilege('app.customer', 'select'), has_schema_privilege('app', 'usage'), pg_has_role('pg_read_all_data', 'member')
select version(), current_setting('server_version_num')::int > 0, current_database(), current_schemas(true), pg_backend_pid(), inet_server_addr(), pg_postmaster_start_time(), pg_is_in_recovery(), current_query(), pg_current_snapshot(), txid_current_if_assigned(), pg_conf_load_time()
select pg_input_is_valid('x', 'integer'), pg_input_is_valid('5', 'app.positive')
select * from pg_partition_tree('app.event')
select sum(n) from (select 1 as n union all select 2) s
select x.n from (values (1), (2)) as x (n) where x.n > 1
select "name" as "Na me", "c"."city" from "app"."customer" as "c" where "c"."name" <> ''
select name as "a (b) {c} \d :e", 1 as "x y", 2 as ":location", 3 as "<>", 4 as "[1]", 5 as "[", 6 as """q""" from app.customer
select 2 as "é ü 漢字", 3 as "tab	tab" from app.customer where 'x' <> '(:{'
select (select max(amount) from app.purchase p where p.customer_id = c.id), (select count(*) from app.purchase) from app.customer c
select array(select id from app.purchase where customer_id = c.id order by 1) from app.customer c
select exists (select 1 from app.purchase where amount > 1000), not exists (select from app.customer)
select * from app.customer where name = (select name from app.customer order by id limit 1)
select * from (select *, row_number() over (partition by city order by id) as r from app.customer) t where r = 1
select city, string_agg(distinct name, ',' order by name) from app.customer group by city
select count(*) from app.customer a join app.customer b on a.city = b.city and a.id < b.id
select sum(amount) filter (where paid) * 100 / nullif(sum(amount), 0) from app.purchase
select date_trunc('month', placed)::date as month, sum(amount), lag(sum(amount)) over (order by date_trunc('month', placed)::date) from app.purchase group by date_trunc('month', placed)::date order by 1
select c.city, p.paid, sum(p.amount) from app.customer c join app.purchase p on p.customer_id = c.id group by c.city, p.paid order by 1, 2
select c.*, p.amount from app.customer c left join app.purchase p on c.id = p.customer_id where p.id is null
select /* a comment; with a semicolon */ 1 -- and another; one
select ';', '--', '/*', $$;$$
select 1;
  select 2 ;  
select
select from app.customer
select all id, id as id from app.customer
select name from app.customer where name ~~ 'c%' and name !~~ 'x%' and name ~~* 'C%'
select not true, true and false or true, (1 = 1) is true
select 1 = 1 and 2 > 1 and 3 <> 4 and 5 != 6 and 7 <= 8
select 'a' || 'b' || 1, 1 || 'a', array['a'] || 'b'::text
select - id, + id, - (- id) from app.customer
select (array_agg(id order by id))[1:3] from app.customer
select unnest(enum_range(null::app.mood)) as mood
select a.*, b.* from (select 1 as x) a, (select 2 as y) b
select t from (select 1 as a, 2 as b) t
select max(placed) - min(placed), avg(amount)::numeric(6, 2), sum(amount)::money from app.purchase
select case when count(*) > 10 then 'many' else 'few' end from app.purchase
select cast(row(1, 2) as app.pair), (row(1, 2)::app.pair).b
select convert('abc', 'UTF8', 'LATIN1'), normalize('é', NFC), 'é' is nfc normalized, parse_ident('a.b'), to_hex(255), to_bin(5), to_oct(8)
select count(*) from pg_class, pg_attribute where attrelid = pg_class.oid
select name, ip, location, span, price from app.customer where price between 1 and 20 and ip <<= inet '10.0.0.0/8' and span @> 5
select merge_action is null from (select 1 as merge_action) s
select array_sample(array[1, 2, 3], 2), array_shuffle(array[1, 2])
select hashtext('x'), hash_array(array[1]), record_eq(row(1), row(1))
select mod(id, 2) as "odd?", name as "Name" from app.customer order by "odd?", "Name"
select pg_sleep_until is null from (select 1 as pg_sleep_until) s
select '{12345,54321}'::app.zip[], '12345'::app.zip, (array['12345']::app.zip[])[1]
select count(*) from app.customer where name::app.email is null and false
select picks(), trap.follows(1), app.with_path(3)
select * from pg_partition_ancestors('app.event_2025')
select uuidv4() is not null as made
explain select count(*) from pg_stat_statements
explain select count(*) from pg_stat_statements_info
