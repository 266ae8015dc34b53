-- Each line would run the CHECK of loud.number, most of them while PostgreSQL analyses the query.
select 1::loud.number
select '1'::loud.number
select cast('1' as loud.again)
select '{1}'::loud.number[]
select '(1,2)'::loud.row
select '(1,"(1,2)","{1}")'::loud.deep
select row(1, 2)::loud.row
select '[1,2]'::loud.span
select loud.span '[1,2]'
select loud.row '(1,2)'
select loud.row E'(1,2)'
select * from loud.kept where r = '(1,2)'
select * from loud.kept where r = $$(1,2)$$
select * from loud.kept where l = '{1}'
select * from loud.kept where l @> '{1}'
select * from loud.kept where s = '[1,2]'
select * from loud.kept where n = any ('{1}'::loud.number[])
select * from loud.kept where r in ('(1,2)')
select coalesce(r, '(1,2)') from loud.kept
select nullif(r, '(1,2)') from loud.kept
select case when true then '(1,2)' else r end from loud.kept
select r from loud.kept union all select '(1,2)'
values (null::loud.row), ('(1,2)')
select loud.takes('(1,2)')
select loud.many('1')
select loud.inside()
select json_populate_record(null::loud.row, '{"b": 1}')
select * from jsonb_populate_recordset(null::loud.row, '[{"b": 1}]')
select * from json_to_record('{"b": 1}') as x (b loud.number)
select * from jsonb_to_recordset('[{"b": 1}]') as x (b loud.again)
select * from json_table('[1]', '$[*]' columns (b loud.number path '$'))
select json_value('1', '$' returning loud.number)
select json_query('{"b": 1}', '$' returning loud.row)
select pg_input_is_valid('1', 'loud.number')
select * from pg_input_error_info('(1,2)', 'loud.row')
select domain_in('1', 'loud.number'::regtype, -1)
select array_in('{1}', 'loud.number'::regtype, -1)
select record_in('(1,2)', 'loud.row'::regtype, -1)
select range_in('[1,2]', 'loud.span'::regtype, -1)
select ('1'::text)::loud.number
select array['1']::loud.number[]
select array[1, 2]::loud.again[]
explain select '(1,2)'::loud.row
select * from loud.kept where r = U&'(1,2)'
select * from loud.kept where r = N'(1,2)'
