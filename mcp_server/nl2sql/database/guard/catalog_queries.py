"""What the guard asks the catalog. Every name is qualified, operators and types too: the session's
search path belongs to whoever owns the database, and a name in it may be a trap.
"""

FUNCTIONS = """
select p.oid, n.nspname::pg_catalog.text, p.proname::pg_catalog.text, p.prokind::pg_catalog.text,
       p.provolatile::pg_catalog.text, l.lanname::pg_catalog.text, p.prosecdef, p.proconfig,
       p.proargdefaults::pg_catalog.text, p.prosqlbody is not null,
       case when p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid then p.prosrc end,
       r.rolname::pg_catalog.text,
       pg_catalog.pg_has_role(p.proowner, d.datdba, 'member')
           or r.rolname operator(pg_catalog.=) current_user,
       array[a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid,
             a.aggcombinefn::pg_catalog.oid, a.aggserialfn::pg_catalog.oid,
             a.aggdeserialfn::pg_catalog.oid, a.aggmtransfn::pg_catalog.oid,
             a.aggminvtransfn::pg_catalog.oid, a.aggmfinalfn::pg_catalog.oid],
       a.aggtranstype, a.aggsortop
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) p.proowner
join pg_catalog.pg_database d
  on d.datname operator(pg_catalog.=) pg_catalog.current_database()
left join pg_catalog.pg_aggregate a
  on a.aggfnoid::pg_catalog.oid operator(pg_catalog.=) p.oid
where p.oid operator(pg_catalog.=) any ({oids}::pg_catalog.oid[])
"""

OWN_FUNCTIONS = """
select distinct p.proname::pg_catalog.text, p.provolatile::pg_catalog.text
from pg_catalog.pg_proc p where p.oid operator(pg_catalog.<) 16384::pg_catalog.oid
"""

# The planner may put an operator's commutator or negator in its place. One of an index's family
# brings the functions of that family with it, for sorting and hashing.
OPERATORS = """
select pg_catalog.concat(n.nspname, '.', o.oprname), o.oprcode::pg_catalog.oid,
       array[o.oprcom, o.oprnegate],
       array(select f.amproc::pg_catalog.oid
             from pg_catalog.pg_amop m join pg_catalog.pg_amproc f
               on f.amprocfamily operator(pg_catalog.=) m.amopfamily
             where m.amopopr operator(pg_catalog.=) o.oid)
from pg_catalog.pg_operator o
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) o.oprnamespace
where o.oid operator(pg_catalog.=) any ({oids}::pg_catalog.oid[])
"""

FAMILIES = """
select f.amproc::pg_catalog.oid from pg_catalog.pg_amproc f
where f.amprocfamily operator(pg_catalog.=) any ({oids}::pg_catalog.oid[])
"""

# What reading, writing, comparing and converting a value may call, of the types that it is made
# of too. A cast to json is here for to_json() and its kin, which look for one by themselves.
TYPES = """
with recursive reached (oid) as (
    select given.oid from pg_catalog.unnest({oids}::pg_catalog.oid[]) as given (oid)
    union
    select part.oid from reached, lateral (
        select t.typbasetype from pg_catalog.pg_type t
        where t.oid operator(pg_catalog.=) reached.oid
        union all
        select t.typelem from pg_catalog.pg_type t where t.oid operator(pg_catalog.=) reached.oid
        union all
        select a.atttypid from pg_catalog.pg_type t join pg_catalog.pg_attribute a
          on a.attrelid operator(pg_catalog.=) t.typrelid
        where t.oid operator(pg_catalog.=) reached.oid
          and a.attnum operator(pg_catalog.>) 0::pg_catalog.int2 and not a.attisdropped
        union all
        select r.rngsubtype from pg_catalog.pg_range r
        where r.rngtypid operator(pg_catalog.=) reached.oid
        union all
        select r.rngtypid from pg_catalog.pg_range r
        where r.rngmultitypid operator(pg_catalog.=) reached.oid
    ) as part (oid)
    where part.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
)
select pg_catalog.concat(n.nspname, '.', t.typname),
       array[t.typinput::pg_catalog.oid, t.typreceive::pg_catalog.oid,
             t.typmodin::pg_catalog.oid, r.rngcanonical::pg_catalog.oid],
       array[t.typoutput::pg_catalog.oid, t.typsend::pg_catalog.oid,
             t.typmodout::pg_catalog.oid, t.typsubscript::pg_catalog.oid,
             r.rngcanonical::pg_catalog.oid, r.rngsubdiff::pg_catalog.oid],
       array(select c.castfunc from pg_catalog.pg_cast c
             where c.castsource operator(pg_catalog.=) t.oid
               and c.casttarget operator(pg_catalog.=) any (array[114, 3802]::pg_catalog.oid[])),
       array(select f.amproc::pg_catalog.oid
             from pg_catalog.pg_opclass c join pg_catalog.pg_amproc f
               on f.amprocfamily operator(pg_catalog.=) c.opcfamily
             where c.opcintype operator(pg_catalog.=) t.oid and c.opcdefault),
       array(select c.conbin::pg_catalog.text from pg_catalog.pg_constraint c
             where c.contypid operator(pg_catalog.=) t.oid and c.conbin is not null)
from reached
join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) reached.oid
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) t.typnamespace
left join pg_catalog.pg_range r on r.rngtypid operator(pg_catalog.=) t.oid
"""

# The planner evaluates what is constant in index expressions, statistics, CHECK constraints and
# partition keys, where a function is IMMUTABLE, and puts virtual columns in place. PostgreSQL
# knows which functions of users these depend on.
# 1255 pg_proc, 1259 pg_class, 2604 pg_attrdef, 2606 pg_constraint, 2617 pg_operator,
# 3381 pg_statistic_ext
RELATIONS = """
with recursive reached (oid) as (
    select given.oid from pg_catalog.unnest({oids}::pg_catalog.oid[]) as given (oid)
    union
    select i.inhrelid from reached join pg_catalog.pg_inherits i
      on i.inhparent operator(pg_catalog.=) reached.oid
), parts (class, oid) as (
    select 1259::pg_catalog.oid, reached.oid from reached
    union all
    select 1259::pg_catalog.oid, i.indexrelid from reached join pg_catalog.pg_index i
      on i.indrelid operator(pg_catalog.=) reached.oid
    where i.indexprs is not null or i.indpred is not null
    union all
    select 2606::pg_catalog.oid, c.oid from reached join pg_catalog.pg_constraint c
      on c.conrelid operator(pg_catalog.=) reached.oid
    where c.conbin is not null
    union all
    select 3381::pg_catalog.oid, s.oid from reached join pg_catalog.pg_statistic_ext s
      on s.stxrelid operator(pg_catalog.=) reached.oid
    where s.stxexprs is not null
    union all
    select 2604::pg_catalog.oid, v.oid from reached
    join pg_catalog.pg_attrdef v on v.adrelid operator(pg_catalog.=) reached.oid
    join pg_catalog.pg_attribute a on a.attrelid operator(pg_catalog.=) v.adrelid
                                  and a.attnum operator(pg_catalog.=) v.adnum
    where a.attgenerated operator(pg_catalog.=) 'v'::pg_catalog."char"
)
select distinct p.oid
from parts
join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) parts.class
                           and d.objid operator(pg_catalog.=) parts.oid
left join pg_catalog.pg_operator o on d.refclassid operator(pg_catalog.=) 2617::pg_catalog.oid
                                  and o.oid operator(pg_catalog.=) d.refobjid
join pg_catalog.pg_proc p
  on p.oid operator(pg_catalog.=) case when d.refclassid operator(pg_catalog.=) 2617::pg_catalog.oid
                                       then o.oprcode::pg_catalog.oid else d.refobjid end
where d.refclassid operator(pg_catalog.=) any (array[1255, 2617]::pg_catalog.oid[])
  and (p.provolatile operator(pg_catalog.=) 'i'::pg_catalog."char"
       or parts.class operator(pg_catalog.=) 2604::pg_catalog.oid)
"""

# One row at least. 12 and 13 are the languages internal and c, in which only a superuser writes.
SURROUNDINGS = """
select e.code, c.contypid::pg_catalog.regtype::pg_catalog.text, c.conbin::pg_catalog.text
from (select exists (select from pg_catalog.pg_proc p
                     where p.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
                       and p.prolang operator(pg_catalog.<>) 12::pg_catalog.oid
                       and p.prolang operator(pg_catalog.<>) 13::pg_catalog.oid)) as e (code)
left join pg_catalog.pg_constraint c
  on c.contypid operator(pg_catalog.>=) 16384::pg_catalog.oid and c.conbin is not null
"""

# It fails where a domain has a CHECK, and so ends what was sent with it.
NO_CHECKED_DOMAIN = """
select 1 operator(pg_catalog./) case when exists (
    select from pg_catalog.pg_constraint c
    where c.contypid operator(pg_catalog.>=) 16384::pg_catalog.oid and c.conbin is not null
) then 0 else 1 end
"""

SEARCH_PATH = "select pg_catalog.current_setting('search_path')"
SET_SEARCH_PATH = "select pg_catalog.set_config('search_path', %s, true)"
VALIDATE = "select pg_catalog.fmgr_sql_validator(%s::pg_catalog.oid)"
PRINT = "set local debug_print_rewritten = on"
DO_NOT_PRINT = "set local debug_print_rewritten = off"

NAMES = """
select n.nspname::pg_catalog.text, c.relname::pg_catalog.text
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
where c.oid operator(pg_catalog.=) any (%s::pg_catalog.oid[])
"""

BEGIN = "begin transaction isolation level read committed, read only, not deferrable"

# What the owner of a database can set for all its sessions is set here for this transaction. A
# tree that is printed goes to the server's log as well, unless the role has log_min_messages =
# fatal or may set it.
SETTINGS = """
select pg_catalog.set_config('statement_timeout', {statement}, true),
       pg_catalog.set_config('lock_timeout', '2000', true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', {idle}, true),
       pg_catalog.set_config('standard_conforming_strings', 'on', true),
       pg_catalog.set_config('datestyle', 'ISO', true),
       pg_catalog.set_config('bytea_output', 'hex', true),
       pg_catalog.set_config('check_function_bodies', 'on', true),
       pg_catalog.set_config('client_min_messages', 'log', true),
       pg_catalog.set_config('debug_print_parse', 'off', true),
       pg_catalog.set_config('debug_print_plan', 'off', true),
       pg_catalog.set_config('debug_pretty_print', 'off', true),
       case when pg_catalog.has_parameter_privilege('log_min_messages', 'SET')
            then pg_catalog.set_config('log_min_messages', 'fatal', true) end,
       case when pg_catalog.current_setting('server_version_num')::pg_catalog.int4
                 operator(pg_catalog.>=) 170000
            then pg_catalog.set_config('transaction_timeout', {transaction}, true) end,
       case when {role}::pg_catalog.text is not null
            then pg_catalog.set_config('role', {role}, true)
            when (select r.rolsuper from pg_catalog.pg_roles r
                  where r.rolname operator(pg_catalog.=) current_user)
            then pg_catalog.set_config('role', 'pg_read_all_data', true) end
"""
