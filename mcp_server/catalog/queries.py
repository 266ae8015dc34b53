"""What is asked of pg_catalog. Each query answers for many objects at once.

They run where `pg_catalog` alone is searched. Texts that anybody may have written are clipped in
the server: a comment may have a gigabyte.
"""

DATABASE = """
select current_database()::text as database,
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
       left(obj_description(n.oid, 'pg_namespace'), 300) as comment
from pg_catalog.pg_namespace n
left join pg_catalog.pg_class c on c.relnamespace = n.oid
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
group by n.oid, n.nspname
order by 1
"""

SCHEMA_NAMES = """
select nspname::text from pg_catalog.pg_namespace
where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1
"""

_KIND = """
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
                      when 'm' then 'materialized view' else 'foreign table' end as kind"""

TABLES = f"""
select c.oid::int8 as oid, n.nspname::text as schema, c.relname::text as name, {_KIND},
       c.relnatts::int4 as width
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and (n.nspname = %(schema)s or (%(schema)s::text is null and n.nspname <> all (%(own)s)))
  and not exists (select from pg_catalog.pg_depend d  -- those that belong to an extension
                  where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 2, 3
limit %(limit)s
"""

NAMED_TABLES = f"""
select wanted.place, c.oid::int8 as oid, n.nspname::text as schema, c.relname::text as name,
       {_KIND}, c.relnatts::int4 as width
from unnest(%(places)s::int4[], %(schemas)s::text[], %(names)s::text[])
     as wanted (place, schema, name)
join pg_catalog.pg_class c on c.relname = wanted.name
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and n.nspname = coalesce(wanted.schema, %(schema)s, n.nspname)
order by wanted.place, 3, 4
"""

FACTS = """
select c.oid::int8 as oid,
       nullif(c.reltuples, -1)::int8 as estimated_rows,
       left(obj_description(c.oid, 'pg_class'), 300) as comment,
       case when %(full)s and c.relkind = 'p' then
                (select sum(pg_total_relation_size(t.relid)) from pg_partition_tree(c.oid) t)
            when %(full)s and c.relkind in ('r', 'm') then pg_total_relation_size(c.oid)
       end::int8 as size_bytes,
       case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
       case when c.relkind = 'p' then
           (select count(*) from pg_catalog.pg_inherits i where i.inhparent = c.oid) end
           as partitions,
       case when c.relispartition then
           (select array[pn.nspname::text, p.relname::text,
                         left(pg_get_expr(c.relpartbound, c.oid), 300)]
            from pg_catalog.pg_inherits i
            join pg_catalog.pg_class p on p.oid = i.inhparent
            join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
            where i.inhrelid = c.oid) end as partition_of,
       case when %(full)s and c.relkind in ('v', 'm') then left(pg_get_viewdef(c.oid, true), 2000)
       end as definition
from pg_catalog.pg_class c where c.oid = any (%(oids)s::oid[])
"""

COLUMNS = """
select a.attrelid::int8, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       case when a.attidentity <> '' then 'generated as identity'
            when not a.atthasdef or not %(full)s then null
            when a.attgenerated <> ''
                then 'generated as ' || left(pg_get_expr(d.adbin, d.adrelid), 300)
            else left(pg_get_expr(d.adbin, d.adrelid), 300) end,
       left(said.description, 300), coalesce(nullif(t.typelem, 0), t.oid)::int8
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_catalog.pg_description said
       on said.objoid = a.attrelid and said.objsubid = a.attnum
      and said.classoid = 'pg_catalog.pg_class'::regclass
where a.attrelid = any (%(oids)s::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""

LABELS = """
select enumtypid::int8, array_agg(left(enumlabel::text, 100) order by enumsortorder)
from pg_catalog.pg_enum where enumtypid = any (%(types)s::oid[]) group by 1
"""

CONSTRAINTS = """
select k.conrelid::int8 as table_oid,
       k.contype::text as kind,
       array(select a.attname::text
             from unnest(k.conkey) with ordinality as key (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number
             order by key.place) as columns,
       case when k.confrelid <> 0 then
           (select array[n.nspname::text, r.relname::text] from pg_catalog.pg_class r
            join pg_catalog.pg_namespace n on n.oid = r.relnamespace where r.oid = k.confrelid)
       end as references,
       array(select a.attname::text
             from unnest(k.confkey) with ordinality as key (number, place)
             join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = key.number
             order by key.place) as referenced_columns,
       case when %(full)s then left(pg_get_constraintdef(k.oid), 500) end as definition
from pg_catalog.pg_constraint k
where k.conrelid = any (%(oids)s::oid[])
  and (k.conparentid = 0  -- or one for each partition of the table that is referred to
       or exists (select from pg_catalog.pg_class c where c.oid = k.conrelid and c.relispartition))
  and (k.contype in ('p', 'f') or %(full)s and k.contype in ('u', 'c', 'x'))
order by k.conrelid, k.conname
"""

INDEXES = """
select i.indrelid::int8 as table_oid, left(pg_get_indexdef(i.indexrelid), 500) as definition
from pg_catalog.pg_index i
where i.indrelid = any (%(oids)s::oid[])
  and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid
                  and k.contype in ('p', 'u', 'x'))
order by i.indrelid, 2
"""
