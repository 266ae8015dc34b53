"""The way back in for a tenant who locked himself out: settings that a session inherits, undone."""

from psycopg import sql

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime

_DATABASES = """
select datname, datdba operator(pg_catalog.=) (select oid from pg_catalog.pg_authid
                                                where rolname operator(pg_catalog.=) %s) as owned
  from pg_catalog.pg_database
 where not datistemplate and datname operator(pg_catalog.<>) 'rdsadmin'
   and datconnlimit operator(pg_catalog.<>) -2
 order by oid
"""


async def reset_settings(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Undo what keeps the master user out, on a writer that runs; data stay as they are.

    Settings of all the tenant's databases, and of the master user in each of them, go back to
    their defaults; its databases take connections again, without a limit, and it may connect; its
    own login has no limit and no expiry; the default database is made again where it was dropped.
    Settings of other roles stay.
    """
    instance, db_cluster = cluster.writer, cluster.db_cluster
    master = sql.Identifier(db_cluster.master_username)
    await instance.execute(
        sql.SQL("alter role {} login inherit connection limit -1 valid until 'infinity'").format(
            master
        )
    )
    await instance.execute(sql.SQL("alter role {} reset all").format(master))
    databases = await instance.execute(_DATABASES, db_cluster.master_username)
    if db_cluster.database_name not in {name for name, _ in databases}:
        await instance.execute(
            sql.SQL("create database {} template template1 owner {}").format(
                sql.Identifier(db_cluster.database_name), master
            )
        )
    for name, owned in databases:
        database = sql.Identifier(name)
        for statement in ("reset all", "allow_connections true", "connection limit -1"):
            await instance.execute(
                sql.SQL("alter database {} ").format(database) + sql.SQL(statement)
            )
        await instance.execute(
            sql.SQL("alter role {} in database {} reset all").format(master, database)
        )
        if owned:
            await instance.execute(
                sql.SQL("grant all on database {} to {}").format(database, master)
            )
    await runtime.record(
        cluster,
        "settings of its databases and of its master user were reset",
        "configuration change",
    )
