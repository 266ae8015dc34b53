"""What the catalogs are asked, a statement for each kind of object.

Each answers with the same columns: kind, name, what `comment on` calls it, DDL, owner (null for
that of the database), rights (null where they are as they come), those that come with such an
object, comment. Sessions have nothing but pg_catalog to resolve names in (`session`), so that what
is not qualified is PostgreSQL's; and so that what PostgreSQL writes of a tenant's is qualified.
What belongs to an extension is the extension's to tell.

Source: PostgreSQL manual, "System Catalogs"; pg_dump.
"""

from cluster_runtime.diff.schema.fragments import (
    FROM_DATABASE,
    NO_RIGHTS,
    OF_TENANT,
    not_of_an_extension,
    owner,
    rights,
    state,
)
from cluster_runtime.diff.schema.relations import OF_RELATIONS

FIRST_NORMAL_OID = 16384
"""Objects below it came with PostgreSQL (access/transam.h, FirstNormalObjectId)."""

SCHEMAS = f"""
select 'schema', quote_ident(n.nspname), 'schema ' || quote_ident(n.nspname),
       'create schema ' || quote_ident(n.nspname),
       {owner("n.nspowner")}, {rights("n", "n.nspacl", "n.nspowner")},
       obj_description(n.oid, 'pg_namespace')
  from pg_catalog.pg_namespace n, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_namespace", "n.oid")}
"""

EXTENSIONS = f"""
select 'extension', quote_ident(e.extname), 'extension ' || quote_ident(e.extname),
       format('create extension %I with schema %I version %L', e.extname, n.nspname, e.extversion),
       null::text, {NO_RIGHTS}, null::text
  from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
"""

COLLATIONS = f"""
select 'collation', o.name, 'collation ' || o.name,
       format('create collation %s (%s)', o.name, concat_ws(', ',
           'provider = ' || case c.collprovider when 'i' then 'icu' when 'c' then 'libc'
                                 when 'b' then 'builtin' else c.collprovider::text end,
           'locale = ' || quote_literal(coalesce(
               to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)),
           'lc_ctype = ' || quote_literal(nullif(c.collctype, c.collcollate)),
           'rules = ' || quote_literal(to_jsonb(c) ->> 'collicurules'),
           case when not c.collisdeterministic then 'deterministic = false' end)),
       {owner("c.collowner")}, {NO_RIGHTS}, obj_description(c.oid, 'pg_collation')
  from pg_catalog.pg_collation c join pg_catalog.pg_namespace n on n.oid = c.collnamespace,
       lateral (select format('%I.%I', n.nspname, c.collname) as name) o, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_collation", "c.oid")}
"""
"""The column of the locale has had three names since PostgreSQL 15."""

_COMPOSITE = """
       (select coalesce(string_agg(format(E'    %I %s%s', a.attname,
                   format_type(a.atttypid, a.atttypmod),
                   case when a.attcollation <> u.typcollation
                        then ' collate ' || a.attcollation::regcollation end),
                   E',\\n' order by a.attnum), '')
          from pg_catalog.pg_attribute a join pg_catalog.pg_type u on u.oid = a.atttypid
         where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)"""

TYPES = f"""
select case t.typtype when 'd' then 'domain' else 'type' end, o.name,
       case t.typtype when 'd' then 'domain ' else 'type ' end || o.name,
       case t.typtype
       when 'e' then format(E'create type %s as enum (\\n%s\\n)', o.name,
           (select string_agg('    ' || quote_literal(e.enumlabel), E',\\n' order by enumsortorder)
              from pg_catalog.pg_enum e where e.enumtypid = t.oid))
       when 'c' then format(E'create type %s as (\\n%s\\n)', o.name, {_COMPOSITE})
       when 'r' then (
           select format('create type %s as range (%s)', o.name, concat_ws(', ',
                      'subtype = ' || format_type(r.rngsubtype, null),
                      'subtype_opclass = ' || format('%I.%I', cn.nspname, oc.opcname),
                      'collation = ' || nullif(r.rngcollation, 0)::regcollation,
                      'canonical = ' || nullif(r.rngcanonical, 0)::regprocedure,
                      'subtype_diff = ' || nullif(r.rngsubdiff, 0)::regprocedure,
                      'multirange_type_name = ' || format_type(r.rngmultitypid, null)))
             from pg_catalog.pg_range r
             join pg_catalog.pg_opclass oc on oc.oid = r.rngsubopc
             join pg_catalog.pg_namespace cn on cn.oid = oc.opcnamespace
            where r.rngtypid = t.oid)
       when 'd' then concat_ws(E'\\n    ',
           format('create domain %s as %s', o.name, format_type(t.typbasetype, t.typtypmod)),
           'collate ' || (select nullif(t.typcollation, b.typcollation)::regcollation
                            from pg_catalog.pg_type b where b.oid = t.typbasetype),
           'default ' || t.typdefault,
           case when t.typnotnull then 'not null' end,
           (select string_agg(format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid)),
                              E'\\n    ' order by k.conname)
              from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c'))
       else 'create type ' || o.name
       end,
       {owner("t.typowner")}, {rights("T", "t.typacl", "t.typowner")},
       obj_description(t.oid, 'pg_type')
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace,
       lateral (select format('%I.%I', n.nspname, t.typname) as name) o, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_type", "t.oid")}
   and (t.typtype in ('e', 'r', 'd')
        or t.typtype = 'b' and not exists (  -- no array of another one
            select from pg_catalog.pg_type e where e.typarray = t.oid)
        or t.typtype = 'c' and exists (
            select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
"""

_ROUTINE_KIND = (
    "case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end"
)
_AGGREGATE = """
       (select format(E'create aggregate %s (\\n    %s\\n)', o.name, concat_ws(E',\\n    ',
                   'sfunc = ' || a.aggtransfn::regprocedure,
                   'stype = ' || format_type(a.aggtranstype, null),
                   'sspace = ' || nullif(a.aggtransspace, 0),
                   'finalfunc = ' || nullif(a.aggfinalfn, 0)::regprocedure,
                   case when a.aggfinalextra then 'finalfunc_extra' end,
                   'finalfunc_modify = ' || a.aggfinalmodify::text,
                   'combinefunc = ' || nullif(a.aggcombinefn, 0)::regprocedure,
                   'serialfunc = ' || nullif(a.aggserialfn, 0)::regprocedure,
                   'deserialfunc = ' || nullif(a.aggdeserialfn, 0)::regprocedure,
                   'initcond = ' || quote_literal(a.agginitval),
                   'msfunc = ' || nullif(a.aggmtransfn, 0)::regprocedure,
                   'minvfunc = ' || nullif(a.aggminvtransfn, 0)::regprocedure,
                   'mstype = ' || format_type(nullif(a.aggmtranstype, 0), null),
                   'mfinalfunc = ' || nullif(a.aggmfinalfn, 0)::regprocedure,
                   'minitcond = ' || quote_literal(a.aggminitval),
                   'sortop = ' || nullif(a.aggsortop, 0)::regoperator,
                   'parallel = ' || p.proparallel::text,
                   'kind = ' || nullif(a.aggkind, 'n')::text))
          from pg_catalog.pg_aggregate a where a.aggfnoid = p.oid)"""

ROUTINES = f"""
select {_ROUTINE_KIND}, o.name, {_ROUTINE_KIND} || ' ' || o.name,
       case p.prokind when 'a' then {_AGGREGATE}
                      else rtrim(pg_get_functiondef(p.oid), E'\\n') end,
       {owner("p.proowner")}, {rights("f", "p.proacl", "p.proowner")},
       obj_description(p.oid, 'pg_proc')
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace,
       lateral (select format('%I.%I(%s)', n.nspname, p.proname,
                              pg_get_function_identity_arguments(p.oid)) as name) o,
       {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_proc", "p.oid")}
   and not exists (  -- constructors of a range
       select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i')
"""

OPERATORS = f"""
select 'operator', r.name, 'operator ' || r.name,
       format(E'create operator %I.%s (\\n    %s\\n)', n.nspname, p.oprname, concat_ws(E',\\n    ',
           'function = ' || p.oprcode::regprocedure,
           'leftarg = ' || format_type(nullif(p.oprleft, 0), null),
           'rightarg = ' || format_type(nullif(p.oprright, 0), null),
           'commutator = ' || nullif(p.oprcom, 0)::regoperator,
           'negator = ' || nullif(p.oprnegate, 0)::regoperator,
           'restrict = ' || nullif(p.oprrest, 0)::regprocedure,
           'join = ' || nullif(p.oprjoin, 0)::regprocedure,
           case when p.oprcanhash then 'hashes' end,
           case when p.oprcanmerge then 'merges' end)),
       {owner("p.oprowner")}, {NO_RIGHTS}, obj_description(p.oid, 'pg_operator')
  from pg_catalog.pg_operator p join pg_catalog.pg_namespace n on n.oid = p.oprnamespace,
       lateral (select p.oid::regoperator::text as name) r, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_operator", "p.oid")} and p.oprcode <> 0
"""

CASTS = f"""
select 'cast', o.name, 'cast ' || o.name,
       'create cast ' || o.name || case c.castmethod
           when 'f' then ' with function ' || c.castfunc::regprocedure
           when 'i' then ' with inout' else ' without function' end
           || case c.castcontext when 'a' then ' as assignment' when 'i' then ' as implicit'
                                 else '' end,
       null::text, {NO_RIGHTS}, obj_description(c.oid, 'pg_cast')
  from pg_catalog.pg_cast c,
       lateral (select format('(%s as %s)', format_type(c.castsource, null),
                              format_type(c.casttarget, null)) as name) o
 where c.oid >= {FIRST_NORMAL_OID} and {not_of_an_extension("pg_cast", "c.oid")}
   and not exists (  -- that of a range to its multirange
       select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_cast'::regclass and d.objid = c.oid and d.deptype = 'i')
"""

TEXT_SEARCH = f"""
select 'text search configuration', o.name, 'text search configuration ' || o.name,
       format('create text search configuration %s (parser = %I.%I)', o.name, pn.nspname, r.prsname)
       || coalesce((select string_agg(format(
              E';\\nalter text search configuration %s add mapping for %s with %s', o.name,
              (select t.alias from ts_token_type(c.cfgparser) t where t.tokid = m.maptokentype),
              m.dictionaries), '' order by m.maptokentype)
            from (select m.maptokentype, string_agg(m.mapdict::regdictionary::text, ', '
                                                    order by m.mapseqno) as dictionaries
                    from pg_catalog.pg_ts_config_map m
                   where m.mapcfg = c.oid group by m.maptokentype) m), ''),
       {owner("c.cfgowner")}, {NO_RIGHTS}, obj_description(c.oid, 'pg_ts_config')
  from pg_catalog.pg_ts_config c join pg_catalog.pg_namespace n on n.oid = c.cfgnamespace
  join pg_catalog.pg_ts_parser r on r.oid = c.cfgparser
  join pg_catalog.pg_namespace pn on pn.oid = r.prsnamespace,
       lateral (select format('%I.%I', n.nspname, c.cfgname) as name) o, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_ts_config", "c.oid")}
union all
select 'text search dictionary', o.name, 'text search dictionary ' || o.name,
       format('create text search dictionary %s (%s)', o.name,
              concat_ws(', ', format('template = %I.%I', tn.nspname, t.tmplname),
                        c.dictinitoption)),
       {owner("c.dictowner")}, {NO_RIGHTS}, obj_description(c.oid, 'pg_ts_dict')
  from pg_catalog.pg_ts_dict c join pg_catalog.pg_namespace n on n.oid = c.dictnamespace
  join pg_catalog.pg_ts_template t on t.oid = c.dicttemplate
  join pg_catalog.pg_namespace tn on tn.oid = t.tmplnamespace,
       lateral (select format('%I.%I', n.nspname, c.dictname) as name) o, {FROM_DATABASE}
 where {OF_TENANT} and {not_of_an_extension("pg_ts_dict", "c.oid")}
"""
"""`ts_token_type` asks the parser, which only a superuser can make."""

EVENT_TRIGGERS = f"""
select 'event trigger', quote_ident(e.evtname), 'event trigger ' || quote_ident(e.evtname),
       format('create event trigger %I on %s%s execute function %s', e.evtname, e.evtevent,
              ' when tag in (' || (select string_agg(quote_literal(tag), ', ' order by tag)
                                     from unnest(e.evttags) tag) || ')',
              e.evtfoid::regprocedure)
       || coalesce(E';\\nalter event trigger ' || quote_ident(e.evtname)
                   || {state("e.evtenabled")}, ''),
       {owner("e.evtowner")}, {NO_RIGHTS}, obj_description(e.oid, 'pg_event_trigger')
  from pg_catalog.pg_event_trigger e, {FROM_DATABASE}
 where {not_of_an_extension("pg_event_trigger", "e.oid")}
"""

PUBLICATIONS = f"""
select 'publication', quote_ident(p.pubname), 'publication ' || quote_ident(p.pubname),
       concat_ws(' ', 'create publication ' || quote_ident(p.pubname),
           case when p.puballtables then 'for all tables' end,
           'for ' || nullif(concat_ws(', ',
               (select string_agg(concat_ws(' ', 'table', t.prrelid::regclass,
                           '(' || (select string_agg(quote_ident(a.attname), ', ' order by attnum)
                                     from pg_catalog.pg_attribute a
                                    where a.attrelid = t.prrelid
                                      and a.attnum = any (t.prattrs)) || ')',
                           'where (' || pg_get_expr(t.prqual, t.prrelid) || ')'),
                           ', ' order by t.prrelid::regclass::text)
                  from pg_catalog.pg_publication_rel t where t.prpubid = p.oid),
               (select string_agg('tables in schema ' || t.pnnspid::regnamespace, ', '
                                  order by t.pnnspid::regnamespace::text)
                  from pg_catalog.pg_publication_namespace t where t.pnpubid = p.oid)), ''),
           format('with (publish = %L%s)', concat_ws(', ',
               case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
               case when p.pubdelete then 'delete' end,
               case when p.pubtruncate then 'truncate' end),
               case when p.pubviaroot then ', publish_via_partition_root = true' end)),
       {owner("p.pubowner")}, {NO_RIGHTS}, obj_description(p.oid, 'pg_publication')
  from pg_catalog.pg_publication p, {FROM_DATABASE}
"""

DEFAULT_PRIVILEGES = f"""
select 'default privileges', o.name, o.name, string_agg(format(
           'alter default privileges%s%s grant %s on %s to %s%s',
           ' for role ' || k.role, k.schema, lower(x.privilege_type), k.what,
           case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end,
           case when x.is_grantable then ' with grant option' end),
           E';\\n' order by x.privilege_type, pg_get_userbyid(x.grantee)),
       null::text, {NO_RIGHTS}, null::text
  from pg_catalog.pg_default_acl a,
       {FROM_DATABASE},
       lateral (select {owner("a.defaclrole")} as role,
                       ' in schema ' || nullif(a.defaclnamespace, 0)::regnamespace as schema,
                       case a.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'
                           when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas'
                           else 'large objects' end as what) k,
       lateral (select format('of %s%s on %s', coalesce(k.role, 'the owner'), k.schema,
                              k.what) as name) o,
       lateral aclexplode(a.defaclacl) x
 where x.grantee <> a.defaclrole
 group by o.name
"""

OBJECTS = (
    SCHEMAS,
    EXTENSIONS,
    COLLATIONS,
    TYPES,
    ROUTINES,
    OPERATORS,
    CASTS,
    TEXT_SEARCH,
    EVENT_TRIGGERS,
    PUBLICATIONS,
    DEFAULT_PRIVILEGES,
    *OF_RELATIONS,
)

KINDS = (
    "schema",
    "extension",
    "collation",
    "type",
    "domain",
    "sequence",
    "function",
    "procedure",
    "aggregate",
    "operator",
    "cast",
    "text search dictionary",
    "text search configuration",
    "table",
    "foreign table",
    "index",
    "view",
    "materialized view",
    "statistics",
    "rule",
    "trigger",
    "policy",
    "event trigger",
    "publication",
    "default privileges",
)
"""In which order differences are told."""
