"""What somebody who was a superuser for a while may have left in a tenant's database.

The query finds it and says what to do about it: routines that act as the superuser and relations
that read as it become the master user's; native code, event triggers and extensions that are not
trusted go; what came with PostgreSQL is as closed as it was. Members of trusted extensions, and
what the runtime itself made, stay.
"""

from cluster_runtime.engine.access import functions

_OURS = ", ".join(f"'{name}'" for name in functions.NAMES)

QUERY = f"""
with member as (
  select d.classid, d.objid
    from pg_catalog.pg_depend d
   where d.deptype operator(pg_catalog.=) 'e'
), routine as (
  select p.oid, p.oid::pg_catalog.regprocedure::pg_catalog.text as name, p.prosecdef, p.proowner,
         l.lanname operator(pg_catalog.=) any (array['c', 'internal']::pg_catalog.name[]) as native
    from pg_catalog.pg_proc p
    join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) p.prolang
   where p.oid::pg_catalog.int8 operator(pg_catalog.>=) 16384
     and not exists (select from member m
                      where m.classid operator(pg_catalog.=)
                            'pg_catalog.pg_proc'::pg_catalog.regclass
                        and m.objid operator(pg_catalog.=) p.oid)
     and not (p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
              and p.proname operator(pg_catalog.=) any (array[{_OURS}]::pg_catalog.name[])
              and p.prokind operator(pg_catalog.=) 'f')
), closed as (
  select 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid as classid, p.oid as objid,
         0 as part_number, '' as part, 'routine' as kind,
         p.oid::pg_catalog.regprocedure::pg_catalog.text as name, p.proacl as acl,
         pg_catalog.acldefault('f', p.proowner) as by_default
    from pg_catalog.pg_proc p
   where p.pronamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
   union all
  select 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0, '', 'table',
         c.oid::pg_catalog.regclass::pg_catalog.text, c.relacl,
         pg_catalog.acldefault('r', c.relowner)
    from pg_catalog.pg_class c
   where c.relnamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
   union all
  select 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, a.attnum,
         pg_catalog.format(' (%%I)', a.attname), 'table',
         c.oid::pg_catalog.regclass::pg_catalog.text, a.attacl, null::pg_catalog._aclitem
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) a.attrelid
   where c.relnamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace
), given as (
  select o.kind, o.name, o.part, g.privilege_type,
         case when g.grantee operator(pg_catalog.=) 0::pg_catalog.oid then 'public'
              else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end as whom
    from closed o
    left join pg_catalog.pg_init_privs i
           on i.objoid operator(pg_catalog.=) o.objid
          and i.classoid operator(pg_catalog.=) o.classid
          and i.objsubid operator(pg_catalog.=) o.part_number,
         lateral pg_catalog.aclexplode(o.acl) g
   where g.grantee operator(pg_catalog.<>) 10::pg_catalog.oid
     and not exists (
       select from pg_catalog.aclexplode(coalesce(i.initprivs, o.by_default)) at_first
        where at_first.grantee operator(pg_catalog.=) g.grantee
          and at_first.privilege_type operator(pg_catalog.=) g.privilege_type)
)
select pg_catalog.format('drop event trigger %%I', evtname),
       pg_catalog.format('event trigger %%I, which only a superuser can make, was dropped', evtname)
  from pg_catalog.pg_event_trigger
union all
select pg_catalog.format('drop extension %%I', e.extname),
       pg_catalog.format('extension %%I, which is not a trusted one, was dropped', e.extname)
  from pg_catalog.pg_extension e
 where exists (select from pg_catalog.pg_available_extension_versions v
                where v.name operator(pg_catalog.=) e.extname
                  and v.version operator(pg_catalog.=) e.extversion and not v.trusted)
   and e.oid::pg_catalog.int8 operator(pg_catalog.>=) 16384
union all
select pg_catalog.format('drop routine %%s', name),
       pg_catalog.format('%%s, which runs native code of no trusted extension, was dropped', name)
  from routine where native
union all
select pg_catalog.format('alter routine %%s owner to %%I', name, %(master)s::pg_catalog.text),
       pg_catalog.format('%%s ran with the rights of the superuser: it is the master user''s now',
                         name)
  from routine
 where prosecdef and not native and proowner operator(pg_catalog.=) 10
union all
select pg_catalog.format('alter routine %%s security invoker', p.oid::pg_catalog.regprocedure),
       pg_catalog.format('%%s of PostgreSQL ran with the rights of the superuser: not any more',
                         p.oid::pg_catalog.regprocedure)
  from pg_catalog.pg_proc p
 where p.prosecdef and p.oid::pg_catalog.int8 operator(pg_catalog.<) 16384
union all
select pg_catalog.format('update pg_catalog.pg_language set lanpltrusted = false where oid = %%s',
                         l.oid),
       pg_catalog.format('language %%I was everybody''s: not any more', l.lanname)
  from pg_catalog.pg_language l
 where l.lanpltrusted
   and l.lanname operator(pg_catalog.=) any (array['c', 'internal']::pg_catalog.name[])
union all
select pg_catalog.format('revoke %%s%%s on %%s %%s from %%s cascade', given.privilege_type,
                         given.part, given.kind, given.name, given.whom),
       pg_catalog.format('%%s had %%s%%s on %%s of PostgreSQL: revoked', given.whom,
                         given.privilege_type, given.part, given.name)
  from given
union all
select pg_catalog.format('alter table %%s owner to %%I', c.oid::pg_catalog.regclass,
                         %(master)s::pg_catalog.text),
       pg_catalog.format('%%s belonged to the superuser: it is the master user''s now',
                         c.oid::pg_catalog.regclass)
  from pg_catalog.pg_class c
 where c.relowner operator(pg_catalog.=) 10
   and c.oid::pg_catalog.int8 operator(pg_catalog.>=) 16384
   and c.relkind operator(pg_catalog.=) any (array['r', 'v', 'm', 'f', 'p']::pg_catalog."char"[])
   and c.relnamespace operator(pg_catalog.<>)
       all (array['pg_catalog', 'information_schema', 'pg_toast']::pg_catalog.regnamespace[])
   and not exists (select from member m
                    where m.classid operator(pg_catalog.=)
                          'pg_catalog.pg_class'::pg_catalog.regclass
                      and m.objid operator(pg_catalog.=) c.oid)
"""
