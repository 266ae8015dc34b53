"""What the schema tools ask pg_catalog. Each query answers for many tables at once."""

DATABASE = """
select current_database() as database,
       array(select datname::text from pg_catalog.pg_database
             where datallowconn and not datistemplate order by 1) as databases,
       array(select extname || ' ' || extversion from pg_catalog.pg_extension
             where extname <> 'plpgsql' order by 1) as extensions
"""

SCHEMAS = """
select n.nspname::text as name,
       count(c.oid) filter (where c.relkind in ('r', 'p', 'f') and not c.relispartition) as tables,
       count(c.oid) filter (where c.relkind in ('v', 'm')) as views,
       coalesce(sum(pg_total_relation_size(c.oid)) filter (where c.relkind in ('r', 'm')), 0)::int8
           as size_bytes,
       obj_description(n.oid, 'pg_namespace') as comment
from pg_catalog.pg_namespace n
left join pg_catalog.pg_class c on c.relnamespace = n.oid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
group by n.oid, n.nspname
order by 1
"""

TABLES = """
select c.oid::int8 as oid,
       n.nspname::text as schema_name,
       c.relname::text as name,
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
                      when 'm' then 'materialized view' else 'foreign table' end as kind,
       nullif(c.reltuples, -1)::int8 as estimated_rows,
       case when c.relkind in ('r', 'm') then pg_total_relation_size(c.oid) else 0 end
           as size_bytes,
       obj_description(c.oid, 'pg_class') as comment
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not c.relispartition
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and (%(schema)s::text is null or n.nspname = %(schema)s)
  and (cardinality(%(names)s::text[]) = 0
       or c.relname = any (%(names)s) or n.nspname || '.' || c.relname = any (%(names)s))
  and not exists (select from pg_catalog.pg_depend d  -- those that belong to an extension
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 2, 3
limit %(limit)s
"""

COLUMNS = """
select a.attrelid::int8 as table_oid,
       a.attname::text as name,
       format_type(a.atttypid, a.atttypmod) as type,
       not a.attnotnull as nullable,
       case when a.attidentity <> '' then 'generated as identity'
            when a.attgenerated <> '' then 'generated as ' || pg_get_expr(d.adbin, d.adrelid)
            else pg_get_expr(d.adbin, d.adrelid) end as default,
       col_description(a.attrelid, a.attnum) as comment,
       (select array_agg(e.enumlabel::text order by e.enumsortorder)
        from pg_catalog.pg_enum e where e.enumtypid = a.atttypid) as values
from pg_catalog.pg_attribute a
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = any (%(oids)s::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""

CONSTRAINTS = """
select k.conrelid::int8 as table_oid,
       k.contype::text as kind,
       array(select a.attname::text
             from unnest(k.conkey) with ordinality as key (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number
             order by key.place) as columns,
       case when k.confrelid <> 0 then
           (select n.nspname || '.' || r.relname from pg_catalog.pg_class r
            join pg_catalog.pg_namespace n on n.oid = r.relnamespace where r.oid = k.confrelid)
       end as references,
       array(select a.attname::text
             from unnest(k.confkey) with ordinality as key (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.number
             order by key.place) as referenced_columns,
       pg_get_constraintdef(k.oid) as definition
from pg_catalog.pg_constraint k
where k.conrelid = any (%(oids)s::oid[]) and k.contype in ('p', 'f', 'u', 'c', 'x')
order by k.conrelid, k.conname
"""

INDEXES = """
select i.indrelid::int8 as table_oid, pg_get_indexdef(i.indexrelid) as definition
from pg_catalog.pg_index i
where i.indrelid = any (%(oids)s::oid[])
  and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid
                  and k.contype in ('p', 'u', 'x'))
order by i.indrelid, 2
"""
