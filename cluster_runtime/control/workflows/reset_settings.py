"""The way back in for a tenant who locked himself out: settings that a session inherits, undone."""

from typing import LiteralString

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.engine.access.names import Named, naming

_DATABASES = """
select oid::int8, datname, datdba operator(pg_catalog.=) (select oid from pg_catalog.pg_authid
                                                where rolname operator(pg_catalog.=) %s) as owned
  from pg_catalog.pg_database
 where not datistemplate and datname operator(pg_catalog.<>) 'rdsadmin'
   and datconnlimit operator(pg_catalog.<>) -2
 order by oid
"""

_OPEN: tuple[LiteralString, ...] = (
    "alter database {} reset all",
    "alter database {} allow_connections true",
    "alter database {} connection limit -1",
)


async def reset_settings(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Undo what keeps the master user out, on a writer that runs; data stay as they are.

    Settings of all the tenant's databases, and of the master user in each of them, go back to
    their defaults; its databases take connections again, without a limit, and it may connect; its
    own login has no limit and no expiry; the default database is made again where it was dropped.
    Settings of other roles stay.
    """
    instance, db_cluster = cluster.writer, cluster.db_cluster
    master = db_cluster.master_username
    await instance.execute(
        naming("alter role {} login inherit connection limit -1 valid until 'infinity'", master)
    )
    await instance.execute(naming("alter role {} reset all", master))
    databases = await instance.execute(_DATABASES, db_cluster.master_username)
    if db_cluster.database_name not in {name for _, name, _ in databases}:
        await instance.execute(
            naming(
                "create database {} template template1 owner {}", db_cluster.database_name, master
            )
        )
    for oid, name, owned in databases:
        database = Named("database", oid, name)
        for statement in _OPEN:
            await instance.execute(naming(statement, database))
        await instance.execute(naming("alter role {} in database {} reset all", master, database))
        if owned:
            await instance.execute(naming("grant all on database {} to {}", database, master))
    await runtime.record(
        cluster,
        "settings of its databases and of its master user were reset",
        "configuration change",
    )
