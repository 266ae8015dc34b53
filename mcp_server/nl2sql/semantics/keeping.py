"""Where a document is kept: in the database that it is about, so that it goes where that goes.

A restart, a branch, a restore and a dump have it. It is written by whoever may create a schema, and
read by whoever may read that. The table is made again with every change, since that changes the
catalog, by which translators notice; what its owner granted on it, and said of it, stays. It is
read as any query is: somebody may have put a view in its place.
"""

import logging
import math
from collections.abc import Iterable

from psycopg import errors as pg

from mcp_server.nl2sql import solved
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.reader import Reader, ResultSet
from mcp_server.nl2sql.database.steps import Fetch, Script, Steps
from mcp_server.nl2sql.errors import NL2SQLError, RefusedError, SemanticsError
from mcp_server.nl2sql.schema.model import Profile
from mcp_server.nl2sql.semantics.applying import Written, applied
from mcp_server.nl2sql.semantics.document import CHARACTERS_MAX, read

TABLE = f"{solved.SCHEMA}.semantics"
# The document comes with its table: whose name the schema is can change before an INSERT, and then
# a trigger of theirs would run with the rights of this role.
MAKE = f"""
create schema if not exists {solved.SCHEMA};
drop table if exists {TABLE};
create table {TABLE} as
    select %s::pg_catalog.text as document, pg_catalog.now() as changed_at;
comment on table {TABLE} is 'What the words of questions mean here: see docs/nl2sql.md'
"""
SAID_OF_IT = f"""
with kept as (
    select c.oid, c.relacl, c.relowner from pg_catalog.pg_class c
    where c.oid operator(pg_catalog.=) pg_catalog.to_regclass('{TABLE}')
      and pg_catalog.pg_get_userbyid(c.relowner) operator(pg_catalog.=) current_user)
select pg_catalog.format('grant %%s on {TABLE} to %%s%%s', a.privilege_type,
    case when a.grantee operator(pg_catalog.=) 0::pg_catalog.oid then 'public'
    else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
    case when a.is_grantable then ' with grant option' else '' end)
from kept cross join lateral pg_catalog.aclexplode(kept.relacl) a
where a.grantee operator(pg_catalog.<>) kept.relowner
union all
select pg_catalog.format('comment on table {TABLE} is %%L',
    pg_catalog.obj_description(kept.oid, 'pg_class'))
from kept where pg_catalog.obj_description(kept.oid, 'pg_class') is not null
"""
"""What the table that is made again had from its owner, as statements: rights, and its comment."""
DOCUMENT = f"select document from {TABLE} limit 1"
THERE = f"select pg_catalog.to_regclass('{TABLE}') is not null"
READER = Reader("", limits=Limits(rows=1, bytes=4 * CHARACTERS_MAX, cost=math.inf, timeout=5.0))

log = logging.getLogger(__name__)


def keep(text: str) -> Steps[None]:
    """Keep a document that was checked, in the place of the last one.

    Raises NL2SQLError when the role may not create its table.
    """
    yield Script("begin")
    try:
        said = (yield Fetch(SAID_OF_IT, ())).rows
        for statement in MAKE.strip().split(";\n"):
            yield Fetch(statement, (text,) if "%s" in statement else ())
        for (statement,) in said:
            yield Fetch(str(statement).replace("%", "%%"), ())
    except pg.InsufficientPrivilege as error:
        yield Script("rollback")
        raise NL2SQLError(
            f"semantics need the right to create {TABLE}: {error.diag.message_primary}"
        ) from error
    except (pg.WrongObjectType, pg.DependentObjectsStillExist) as error:
        yield Script("rollback")
        raise _in_the_way(error) from error
    except BaseException:
        yield Script("rollback")
        raise
    yield Script("commit")


def remove() -> Steps[None]:
    """Remove the document, where there is one.

    Raises NL2SQLError where something that is not this table has its name, or hangs on it.
    """
    try:
        yield Fetch(f"drop table if exists {TABLE}", ())
    except pg.InsufficientPrivilege as error:
        raise NL2SQLError(f"{TABLE} is another role's: {error.diag.message_primary}") from error
    except (pg.WrongObjectType, pg.DependentObjectsStillExist) as error:
        raise _in_the_way(error) from error


def kept() -> Steps[str]:
    """The document as it was kept; empty where there is none, or none that may be read."""
    try:
        if not (yield Fetch(THERE, ())).rows[0][0]:
            return ""
        found: ResultSet = yield from READER.steps(DOCUMENT)
    except (RefusedError, pg.InsufficientPrivilege) as error:
        log.warning("the semantics of the database cannot be read: %s", error)
        return ""
    return str(found.rows[0][0]) if found.rows else ""


def _in_the_way(error: pg.Error) -> NL2SQLError:
    """What somebody else put in the table's place, or made of it."""
    return NL2SQLError(
        f"{TABLE} cannot be replaced: {error.diag.message_primary}. It is no table of this "
        "library's, or something uses it: drop that, and try again"
    )


def judged(queries: Iterable[Written]) -> Steps[None]:
    """Have the guard, and PostgreSQL, judge what a document would add to queries.

    Raises SemanticsError with what they refuse.
    """
    problems: list[str] = []
    left = iter(queries)
    while True:
        try:
            written = next(left, None)
        except SemanticsError as error:
            problems += error.problems
            break
        if written is None:
            break
        try:
            yield from READER.steps(f"explain {written.sql}")
        except RefusedError as error:
            problems.append(f"{written.place}: {error}")
    if problems:
        raise SemanticsError.of(problems)


def understood(found: Profile) -> Steps[Profile]:
    """A profile with what the document says of it. One that is wrong by now changes nothing."""
    text = yield from kept()
    if text:
        try:
            applied(read(text), found)
        except SemanticsError as error:
            log.warning("the semantics of the database are not used: %s", error)
    return found
