"""What happens to a writer before anybody is let in: its rights are as the recipe gives them, and
a cluster that an older release made gets what it lacks.

Every step may be repeated: a host that is killed between two of them begins again at the next
wake. All of it runs in sessions that no tenant can shape (`engine.access.admin_session`).
"""

import filecmp
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT
from cluster_runtime.control.servers.storage import BASE_IMAGE, DATA
from cluster_runtime.control.topology.publishing import publish
from cluster_runtime.engine.access import functions, leftovers, roles
from cluster_runtime.engine.access.admin_session import ADMIN_DATABASE
from cluster_runtime.engine.access.names import Named, is_utf8, naming, sayable, shown
from cluster_runtime.engine.access.rights import (
    RIGHTS_QUERY,
    SUPERUSER_OID,
    Repair,
    Rights,
    repairs,
)
from cluster_runtime.engine.system.files import write_atomically
from cluster_runtime.errors import EngineError

BEFORE_ADMIN_DATABASE = 1
"""The format of clusters that have no database `rdsadmin`."""

_STEPPING_STONE = "template1"
"""The database of the stock ones that no master user owns or alters."""

CONFIGURATION = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
"""Files of a data directory that are the template's in every cluster."""

_PRISTINE = "template0"
"""The database that nobody enters."""

_OF_NAME = "select oid::int8, datdba::int8, datconnlimit from pg_catalog.pg_database " + (
    "where datname operator(pg_catalog.=) %s"
)
_RUNTIME_ROLES = "select name, oid::int8 from runtime.role"
_ROLES_BY_NAME = (
    "select rolname, oid::int8 from pg_catalog.pg_authid "
    "where rolname operator(pg_catalog.=) any (%s)"
)
_DATABASES = (
    "select oid::int8, datname, datdba::int8, datallowconn, datistemplate "
    "from pg_catalog.pg_database where datconnlimit operator(pg_catalog.<>) -2 order by oid"
)
_RECIPE = "select number from runtime.recipe"


@dataclass(frozen=True, slots=True)
class _Database:
    """A database of a cluster, as pg_database has it. owner: an oid."""

    oid: int
    name: str
    owner: int
    open_to_sessions: bool
    is_template: bool

    @property
    def closed_for_good(self) -> bool:
        """Whether nobody enters it or copies it, the runtime's sessions neither.

        What a superuser left there could not be searched for: see `clean_databases`.
        """
        ours = self.owner == SUPERUSER_OID and self.name != _PRISTINE
        return ours and not self.open_to_sessions and not self.is_template


async def _databases(instance: HostedInstance) -> list[_Database]:
    """Those that are whole, in the order in which they were made."""
    return [_Database(*row) for row in await instance.admin.execute(_DATABASES)]


async def prepare_writer(runtime: OpenRuntime, resource_id: str, instance: HostedInstance) -> None:
    """Bring a writer that has just started up to the recipe. Raises psycopg.Error, EngineError."""
    cluster = runtime.clusters.get(resource_id)
    if cluster is not None and cluster.format == BEFORE_ADMIN_DATABASE:
        await _bring_up(runtime, cluster)
    if await _recipe(instance) < functions.RECIPE:
        for event in await _make_functions(instance):
            if cluster is not None:
                await runtime.record(cluster, event, "maintenance")
    instance.runtime_roles = dict(
        cast(list[tuple[str, int]], await instance.admin.execute(_RUNTIME_ROLES))
    )
    master = cluster.db_cluster.master_username if cluster is not None else roles.MASTER
    for repair in await _amiss(instance, master):
        await instance.admin.execute(repair.statement)
        if cluster is not None:
            await runtime.record(cluster, repair.report, "security")
    if cluster is not None:
        await publish(cluster)


async def prepare_reader(runtime: OpenRuntime, resource_id: str, instance: HostedInstance) -> None:
    """Tell a hot standby's connection where the runtime's database is; nothing can be changed."""
    cluster = runtime.clusters.get(resource_id)
    if cluster is not None and cluster.format == BEFORE_ADMIN_DATABASE:
        await instance.admin.use(_STEPPING_STONE)
        found = await instance.admin.execute(_ROLES_BY_NAME, list(roles.RUNTIME_ROLES))
    else:
        found = await instance.admin.execute(_RUNTIME_ROLES)
    instance.runtime_roles = dict(cast(list[tuple[str, int]], found))
    if cluster is not None:
        await publish(cluster)


async def restore_configuration(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Put back the template's configuration files where something else stands in their place.

    For a cluster whose tenant may have been a superuser once: what ALTER SYSTEM wrote would act
    before any session does.
    """
    changed = await in_thread(_put_back, cluster.directory)
    for name in changed:
        await runtime.record(
            cluster, f"{name} was not the runtime's any more: put back", "security"
        )


async def _amiss(instance: HostedInstance, master: str) -> list[Repair]:
    (row,) = await instance.admin.execute(RIGHTS_QUERY)
    return repairs(Rights.from_row(row), instance.runtime_roles, master, instance.major)


async def _bring_up(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    admin = cluster.writer.admin
    await admin.use(_STEPPING_STONE)
    await _make_room(runtime, cluster, ADMIN_DATABASE)
    if not await admin.execute(_OF_NAME, ADMIN_DATABASE):
        await admin.execute("create database rdsadmin template template0")
    await admin.execute(roles.CLOSE_ADMIN_DATABASE)
    await _make_roles(runtime, cluster)
    await admin.use(ADMIN_DATABASE)
    await admin.execute(roles.ADMIN_SCHEMA)
    await admin.execute(roles.READER_SETTINGS)
    for database in await _databases(cluster.writer):
        if database.name not in (_PRISTINE, ADMIN_DATABASE):
            await _bring_up_database(runtime, cluster, database.name)
    await in_thread(runtime.catalog.brought_up, cluster.id)
    cluster.format = CLUSTER_FORMAT
    await runtime.record(
        cluster, f"brought up to format {CLUSTER_FORMAT} of this release", "maintenance"
    )


async def _recipe(instance: HostedInstance) -> int:
    """The number of the functions that a cluster has, as it says itself; 0 without any."""
    try:
        ((number,),) = await instance.admin.execute(_RECIPE)
    except psycopg.errors.UndefinedTable:
        return 0
    return int(number)


async def _make_functions(instance: HostedInstance) -> list[str]:
    """Make what drivers ask in every database, those that others are made from among them.

    Also in a cluster that has no name yet: one that is restored to a time before it had them.
    Returns what is to be told of it.
    """
    admin, failures = instance.admin, []
    for database in await _databases(instance):
        if database.closed_for_good:
            continue
        name = database.name
        # A host that was killed meanwhile may have left that one open.
        closed = not database.open_to_sessions or name == _PRISTINE
        if not is_utf8(name):
            failures.append(f"{_lacks(name)}: its name is no UTF-8; rename it")
            continue
        try:
            async with (
                _opened(instance, name) if closed else nullcontext(),
                admin.inside(name) as conn,
            ):
                await conn.execute(functions.FOR_DRIVERS)
        except (psycopg.Error, TimeoutError, EngineError) as error:
            failures.append(f"{_lacks(name)}: {error}")
    await admin.execute(functions.MAKE_RECIPE)
    return [*failures, "functions that drivers ask were made"]


def _lacks(database: str) -> str:
    return (
        f"database {shown(database)} lacks aurora_replica_status() and what else drivers ask, for "
        "it could not be made there"
    )


@asynccontextmanager
async def _opened(instance: HostedInstance, database: str) -> AsyncIterator[None]:
    """A database that takes no sessions, while it takes some."""
    name = sql.Identifier(database)
    await instance.admin.execute(sql.SQL("alter database {} allow_connections true").format(name))
    try:
        yield
    finally:
        closed = sql.SQL("alter database {} allow_connections false").format(name)
        await instance.admin.execute(closed)


async def _make_room(runtime: OpenRuntime, cluster: HostedCluster, name: str) -> None:
    """Rename a tenant's database that has the name of the runtime's; drop a half-made one."""
    admin = cluster.writer.admin
    for oid, owner, limit in await admin.execute(_OF_NAME, name):
        if owner != 10:
            free = f"{name}_{oid}"
            await admin.execute(
                sql.SQL("alter database {} rename to {}").format(
                    sql.Identifier(name), sql.Identifier(free)
                )
            )
            await runtime.record(
                cluster,
                f"database {name!r} is {free!r} now: that name is the runtime's",
                "configuration change",
            )
        elif limit == -2:
            await admin.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


async def _make_roles(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Make those of the runtime's roles that an older release did not have, or a tenant dropped.

    A tenant's own role of such a name, which can only be that of the role that passes
    rds_superuser on, gives it up.
    """
    admin = cluster.writer.admin
    found = dict(
        cast(
            list[tuple[str, int]],
            await admin.execute(_ROLES_BY_NAME, list(roles.RUNTIME_ROLES)),
        )
    )
    if roles.GRANTOR in found and not await _is_the_recipes(cluster, found[roles.GRANTOR]):
        free = f"{roles.GRANTOR}_{found.pop(roles.GRANTOR)}"
        await admin.execute(
            sql.SQL("alter role {} rename to {}").format(
                sql.Identifier(roles.GRANTOR), sql.Identifier(free)
            )
        )
        await runtime.record(
            cluster,
            f"role {roles.GRANTOR!r} is {free!r} now: that name is the runtime's",
            "configuration change",
        )
    for name in roles.RUNTIME_ROLES:
        if name not in found:
            login = sql.SQL("login" if name == roles.READER else "nologin noinherit")
            await admin.execute(sql.SQL("create role {} {}").format(sql.Identifier(name), login))


async def _is_the_recipes(cluster: HostedCluster, oid: int) -> bool:
    """Whether a role has been made by an earlier try of this: the superuser granted it its role."""
    rows = await cluster.writer.admin.execute(
        "select 1 from pg_catalog.pg_auth_members where member operator(pg_catalog.=) %s "
        "and grantor operator(pg_catalog.=) 10 and admin_option",
        oid,
    )
    return bool(rows)


async def _bring_up_database(runtime: OpenRuntime, cluster: HostedCluster, database: str) -> None:
    lacks = f"database {shown(database)} could not be entered and lacks rds_grant_superuser()"
    if not is_utf8(database):
        lacks += ": its name is no UTF-8; rename it"
        await runtime.record(cluster, lacks, "notification")
        return
    try:
        async with cluster.writer.admin.inside(database) as conn:
            await _clean(runtime, cluster, conn)
            await conn.execute(roles.PASSING_ON)
    except psycopg.OperationalError as error:
        await runtime.record(cluster, f"{lacks}: {error}", "notification")


async def clean_databases(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Take away what a superuser may have left in the databases of a cluster from elsewhere.

    Before anybody is let in. Also in those that nobody enters: new ones are made from them, and
    their owners open them. One that cannot be searched is closed for good, to sessions of the
    runtime too, and no other one is made from it.
    """
    writer = cluster.writer
    for found in await _databases(writer):
        if found.name == ADMIN_DATABASE or found.closed_for_good:
            continue
        database = Named("database", found.oid, found.name)
        try:
            if not is_utf8(found.name):
                database = await _renamed(runtime, cluster, database)
            async with (
                nullcontext() if found.open_to_sessions else _opened(writer, database.name),
                writer.admin.inside(database.name) as conn,
            ):
                await _clean(runtime, cluster, conn)
        except (psycopg.Error, TimeoutError, EngineError) as error:
            await _close_for_good(writer, database)
            await runtime.record(
                cluster,
                f"database {shown(database.name)} could not be searched for what a superuser left, "
                f"so nobody enters it: {error}",
                "security",
            )
    for event in await _make_functions(writer):
        await runtime.record(cluster, event, "maintenance")


async def _close_for_good(writer: HostedInstance, database: Named) -> None:
    for statement in (
        "alter database {} owner to rdsadmin",
        "alter database {} is_template false",
        "alter database {} allow_connections false",
    ):
        await writer.admin.execute(naming(statement, database))


async def _renamed(runtime: OpenRuntime, cluster: HostedCluster, database: Named) -> Named:
    """Give a database a name that a session can be asked for by."""
    taken = {each.name for each in await _databases(cluster.writer)}
    numbers = (f"database_{database.oid}_{number}" for number in count(1))
    name = next(each for each in numbers if each not in taken)
    await cluster.writer.admin.execute(naming("alter database {} rename to {}", database, name))
    await runtime.record(
        cluster,
        f"database {shown(database.name)} is {name!r} now: its name was no UTF-8",
        "configuration change",
    )
    return Named("database", database.oid, name)


async def _clean(
    runtime: OpenRuntime, cluster: HostedCluster, conn: psycopg.AsyncConnection[TupleRow]
) -> None:
    """Take away what only a superuser can have left in a tenant's database."""
    if conn.info.parameter_status("server_encoding") == "SQL_ASCII":
        await conn.execute("set client_encoding = 'SQL_ASCII'")  # names of any bytes, both ways
    cursor = await conn.execute(leftovers.QUERY, {"master": cluster.db_cluster.master_username})
    for statement, found in await cursor.fetchall():
        report = sayable(found)
        try:
            await conn.execute(statement.encode("utf-8", "surrogateescape"))
        except psycopg.Error as error:
            report = f"{report}; that failed, remove it by hand: {error}"
        await runtime.record(cluster, f"in database {conn.info.dbname!r}: {report}", "security")


def _put_back(directory: Path) -> list[str]:
    data, base = directory / DATA, (directory / BASE_IMAGE).resolve()
    if not data.is_dir():
        return []
    owner = data.stat()
    changed = []
    for name in CONFIGURATION:
        if not (base / name).is_file():
            raise EngineError(f"{base / name} is missing: the template of {directory} is damaged")
        path = data / name
        if path.is_symlink() or not path.is_file() or not filecmp.cmp(base / name, path, False):
            write_atomically(path, (base / name).read_text(encoding="utf-8"))
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
            changed.append(name)
    return changed
