"""Pieces of the queries: whose an object is, who has which rights on it, which are left out."""

OF_TENANT = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_DATABASE_OWNER = "(select datdba from pg_catalog.pg_database where datname = current_database())"


def not_of_an_extension(catalog: str, oid: str) -> str:
    """Whether an object of a catalog stands for itself."""
    return f"""not exists (
        select from pg_catalog.pg_depend d
         where d.classid = 'pg_catalog.{catalog}'::regclass and d.objid = {oid}
           and d.deptype = 'e')"""


def owner(oid: str) -> str:
    """The name of an owner; null for that of the database."""
    return f"nullif(quote_ident(pg_get_userbyid({oid})), database.owner)"


def exploded(acl: str) -> str:
    """The rights of an access control list: privilege, to whom, whether with grant option."""
    return f"""(select jsonb_agg(jsonb_build_array(
        lower(privilege_type),
        case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
        is_grantable)) from aclexplode({acl}))"""


def rights(letter: str, acl: str, owned_by: str) -> str:
    """Rights, and the usual ones, of an object whose kind acldefault calls by a letter."""
    usual = exploded(f"acldefault('{letter}', {owned_by})")
    return f"""case when {acl} is not null then coalesce({exploded(acl)}, '[]') end,
       case when {acl} is not null then coalesce({usual}, '[]') end"""


NO_RIGHTS = "null::jsonb, null::jsonb"
"""In place of `rights`, for what nobody grants."""
FROM_DATABASE = f"(select quote_ident(pg_get_userbyid({_DATABASE_OWNER})) as owner) as database"
"""What `owner` compares with."""


def state(column: str) -> str:
    """When it fires; null for as usual."""
    return f"""case {column} when 'D' then ' disable' when 'R' then ' enable replica'
                   when 'A' then ' enable always' end"""
