"""What the catalogs are asked about tables, and about what hangs on tables.

The columns of an answer are those of `objects`; tables are put together from three answers.
"""

from cluster_runtime.diff.schema.fragments import (
    FROM_DATABASE,
    NO_RIGHTS,
    OF_TENANT,
    exploded,
    not_of_an_extension,
    owner,
    rights,
    state,
)

_SEQUENCE = """concat_ws(' ', 'increment', s.seqincrement, 'minvalue', s.seqmin,
           'maxvalue', s.seqmax, 'start', s.seqstart, 'cache', s.seqcache,
           case when s.seqcycle then 'cycle' end)"""

SEQUENCES = f"""
select 'sequence', o.name, 'sequence ' || o.name,
       concat_ws(' ', case c.relpersistence when 'u' then 'create unlogged sequence'
                                            else 'create sequence' end,
           o.name, 'as', format_type(s.seqtypid, null), {_SEQUENCE},
           (select format('owned by %s.%I', d.refobjid::regclass, a.attname)
              from pg_catalog.pg_depend d
              join pg_catalog.pg_attribute a
                on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
             where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
               and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a')),
       {owner("c.relowner")}, {rights("s", "c.relacl", "c.relowner")},
       obj_description(c.oid, 'pg_class')
  from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select c.oid::regclass::text as name) o, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_class", "c.oid")}
   and c.relpersistence <> 't'
   and not exists (  -- that of an identity column is the column's to tell
       select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
          and d.deptype = 'i')
"""

VIEWS = f"""
select o.kind, o.name, o.kind || ' ' || o.name,
       format(E'create %s %s%s as\\n%s', o.kind, o.name,
              ' with (' || array_to_string(c.reloptions, ', ') || ')',
              pg_get_viewdef(c.oid, true))
       || case when c.relkind = 'm' and not c.relispopulated then E'\\nwith no data;' else '' end,
       {owner("c.relowner")}, {rights("r", "c.relacl", "c.relowner")},
       obj_description(c.oid, 'pg_class')
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select c.oid::regclass::text as name,
                       case c.relkind when 'm' then 'materialized view' else 'view' end as kind) o,
       {FROM_DATABASE}
 where c.relkind in ('v', 'm') and c.relpersistence <> 't'
   and {OF_TENANT} and {not_of_an_extension("pg_class", "c.oid")}
"""

INDEXES = f"""
select 'index', o.name, 'index ' || o.name,
       pg_get_indexdef(i.indexrelid)
       || case when i.indisvalid then '' else '  -- not valid' end
       || case when i.indisclustered
               then format(E';\\nalter table %s cluster on %I', i.indrelid::regclass, c.relname)
               else '' end,
       null::text, {NO_RIGHTS}, obj_description(c.oid, 'pg_class')
  from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select c.oid::regclass::text as name) o
 where {OF_TENANT} and c.relpersistence <> 't' and not c.relispartition
   and not exists (select from pg_catalog.pg_constraint k
                    where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
   and {not_of_an_extension("pg_class", "i.indrelid")}
"""

STATISTICS = f"""
select 'statistics', o.name, 'statistics ' || o.name, pg_get_statisticsobjdef(s.oid),
       {owner("s.stxowner")}, {NO_RIGHTS}, obj_description(s.oid, 'pg_statistic_ext')
  from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace,
       lateral (select format('%I.%I', n.nspname, s.stxname) as name) o, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_statistic_ext", "s.oid")}
"""


TRIGGERS = f"""
select 'trigger', o.name, 'trigger ' || o.name,
       pg_get_triggerdef(g.oid)
       || coalesce(E';\\nalter table ' || g.tgrelid::regclass || {state("g.tgenabled")}
                   || ' trigger ' || quote_ident(g.tgname), ''),
       null::text, {NO_RIGHTS}, obj_description(g.oid, 'pg_trigger')
  from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select format('%I on %s', g.tgname, g.tgrelid::regclass) as name) o
 where {OF_TENANT} and not g.tgisinternal and g.tgparentid = 0
   and {not_of_an_extension("pg_class", "c.oid")}
"""

RULES = f"""
select 'rule', o.name, 'rule ' || o.name,
       pg_get_ruledef(r.oid)
       || coalesce(E'\\nalter table ' || r.ev_class::regclass || {state("r.ev_enabled")}
                   || ' rule ' || quote_ident(r.rulename) || ';', ''),
       null::text, {NO_RIGHTS}, obj_description(r.oid, 'pg_rewrite')
  from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select format('%I on %s', r.rulename, r.ev_class::regclass) as name) o
 where {OF_TENANT} and r.rulename <> '_RETURN' and {not_of_an_extension("pg_class", "c.oid")}
"""

POLICIES = f"""
select 'policy', o.name, 'policy ' || o.name,
       concat_ws(E'\\n    ',
           format('create policy %I on %s', p.polname, p.polrelid::regclass),
           case when not p.polpermissive then 'as restrictive' end,
           'for ' || case p.polcmd when 'r' then 'select' when 'a' then 'insert'
                                   when 'w' then 'update' when 'd' then 'delete' else 'all' end,
           'to ' || (select string_agg(case role when 0 then 'public'
                                       else quote_ident(pg_get_userbyid(role)) end, ', '
                                       order by pg_get_userbyid(role))
                       from unnest(p.polroles) role),
           'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
           'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
       null::text, {NO_RIGHTS}, obj_description(p.oid, 'pg_policy')
  from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select format('%I on %s', p.polname, p.polrelid::regclass) as name) o
 where {OF_TENANT} and {not_of_an_extension("pg_class", "c.oid")}
"""

TABLES = f"""
select o.kind, o.name, o.kind || ' ' || o.name,
       format('create %s%s %s%s', case c.relpersistence when 'u' then 'unlogged ' end, o.kind,
              o.name, case when c.relispartition then
                  (select ' partition of ' || h.inhparent::regclass
                     from pg_catalog.pg_inherits h where h.inhrelid = c.oid)
                  when c.reloftype <> 0 then ' of ' || format_type(c.reloftype, null) end),
       {owner("c.relowner")}, {rights("r", "c.relacl", "c.relowner")},
       obj_description(c.oid, 'pg_class'),
       array_remove(array[
           pg_get_expr(c.relpartbound, c.oid),
           'inherits (' || case when not c.relispartition then
               (select string_agg(h.inhparent::regclass::text, ', ' order by h.inhseqno)
                  from pg_catalog.pg_inherits h where h.inhrelid = c.oid) end || ')',
           'partition by ' || case c.relkind when 'p' then pg_get_partkeydef(c.oid) end,
           'using ' || (select nullif(m.amname, 'heap') from pg_catalog.pg_am m
                         where m.oid = c.relam),
           'with (' || nullif(array_to_string(c.reloptions || array(
               select 'toast.' || opt from pg_catalog.pg_class t, unnest(t.reloptions) opt
                where t.oid = c.reltoastrelid), ', '), '') || ')',
           'server ' || (select quote_ident(s.srvname)
                        || coalesce(' options (' || array_to_string(f.ftoptions, ', ') || ')', '')
                           from pg_catalog.pg_foreign_table f
                           join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
                          where f.ftrelid = c.oid),
           'tablespace ' || (select quote_ident(spcname) from pg_catalog.pg_tablespace s
                              where s.oid = c.reltablespace)], null),
       array_remove(array[
           case when c.relrowsecurity then 'enable row level security' end,
           case when c.relforcerowsecurity then 'force row level security' end,
           'replica identity ' || case c.relreplident when 'f' then 'full' when 'n' then 'nothing'
               when 'i' then 'using index ' || (
                   select quote_ident(r.relname) from pg_catalog.pg_index i
                     join pg_catalog.pg_class r on r.oid = i.indexrelid
                    where i.indrelid = c.oid and i.indisreplident) end], null),
       array(select h.inhparent::regclass::text from pg_catalog.pg_inherits h
              where h.inhrelid = c.oid)
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace,
       lateral (select c.oid::regclass::text as name,
                       case c.relkind when 'f' then 'foreign table' else 'table' end as kind) o,
       {FROM_DATABASE}
 where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't'
   and {OF_TENANT} and {not_of_an_extension("pg_class", "c.oid")}
"""

_TABLES_OF_TENANT = f"""pg_catalog.pg_class c
  join pg_catalog.pg_namespace n
    on n.oid = c.relnamespace and {OF_TENANT} and c.relkind in ('r', 'p', 'f', 'v', 'm')"""

COLUMNS = f"""
select a.attrelid::regclass::text, quote_ident(a.attname),
       concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
           'storage ' || case nullif(a.attstorage, t.typstorage) when 'p' then 'plain'
               when 'e' then 'external' when 'm' then 'main' when 'x' then 'extended' end,
           'compression ' || case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end,
           'collate ' || case when a.attcollation <> t.typcollation
                              then a.attcollation::regcollation end,
           case when a.attidentity <> '' then
                   case a.attidentity when 'a' then 'generated always as identity ('
                                      else 'generated by default as identity (' end
                   || {_SEQUENCE} || ')'
                when a.attgenerated <> '' then
                   format('generated always as (%s) %s', pg_get_expr(d.adbin, d.adrelid),
                          case a.attgenerated when 's' then 'stored' else 'virtual' end)
                else 'default ' || pg_get_expr(d.adbin, d.adrelid) end,
           case when a.attnotnull then 'not null' end),
       a.attinhcount > 0 and not a.attislocal,
       case when a.attacl is not null then coalesce({exploded("a.attacl")}, '[]') end,
       e.description,
       array_remove(array[
           'set statistics ' || nullif(a.attstattarget, -1),
           'set (' || array_to_string(a.attoptions, ', ') || ')',
           'options (' || array_to_string(a.attfdwoptions, ', ') || ')'], null)
  from {_TABLES_OF_TENANT}
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_catalog.pg_description e
    on e.classoid = 'pg_catalog.pg_class'::regclass and e.objoid = a.attrelid
       and e.objsubid = a.attnum
  left join pg_catalog.pg_depend p
    on p.classid = 'pg_catalog.pg_class'::regclass
       and p.refclassid = 'pg_catalog.pg_class'::regclass
       and p.refobjid = a.attrelid and p.refobjsubid = a.attnum and p.deptype = 'i'
       and a.attidentity <> ''
  left join pg_catalog.pg_sequence s on s.seqrelid = p.objid
 where c.relkind in ('r', 'p', 'f') or a.attacl is not null or e.description is not null
 order by a.attrelid, a.attnum
"""
"""Of views too, where there is something to say that their definition does not."""

CONSTRAINTS = f"""
select k.conrelid::regclass::text, quote_ident(k.conname), pg_get_constraintdef(k.oid),
       obj_description(k.oid, 'pg_constraint')
  from {_TABLES_OF_TENANT}
  join pg_catalog.pg_constraint k on k.conrelid = c.oid
 where k.contype <> 't' and (k.conislocal or k.coninhcount = 0) and k.conparentid = 0
   and (k.contype <> 'n' or not k.convalidated)
 order by k.conrelid, k.contype <> 'p', k.conname
"""
"""A valid NOT NULL, which PostgreSQL 18 has as a constraint too, is the column's to tell."""

OF_RELATIONS = (SEQUENCES, VIEWS, INDEXES, STATISTICS, TRIGGERS, RULES, POLICIES)
