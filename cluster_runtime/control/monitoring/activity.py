"""How much a cluster does now, as `borealis top` shows it. Nothing is woken for it."""

import psycopg

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.endpoints import describe_sessions
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.records.model import ClusterActivity
from cluster_runtime.errors import EngineError
from cluster_runtime.serverless.metrics.sampler import Sampler

_TRANSACTIONS = """
select coalesce(pg_catalog.sum(xact_commit), 0)::int8,
       coalesce(pg_catalog.sum(xact_rollback), 0)::int8
  from pg_catalog.pg_stat_database
 where datname operator(pg_catalog.<>) 'rdsadmin'
"""
"""Without those of the runtime itself, which has a database of its own."""

_REPLAYED = (
    "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::int8, "
    "pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), '0/0')::int8"
)


async def describe_activity(cluster: HostedCluster, sampler: Sampler) -> ClusterActivity:
    """Ask the instances that run, through the runtime's own sessions."""
    measured = [sampler.demand(cluster.id, name) for name in cluster.records]
    cores = [demand.cpu_cores for demand in measured if demand is not None]
    instances = cluster.instances
    counted = await _row(instances.writer, _TRANSACTIONS)
    commits, rollbacks = counted or (None, None)
    readers = list(instances.readers.values())
    if instances.stand_in_runs:
        readers.append(instances.stand_in)
    lags = [await _lag(reader) for reader in readers]
    return ClusterActivity(
        cluster.identifier,
        len(describe_sessions(cluster)),
        commits,
        rollbacks,
        max((lag for lag in lags if lag is not None), default=None),
        sum(cores) if cores else None,
    )


async def _lag(reader: HostedInstance) -> int | None:
    row = await _row(reader, _REPLAYED)
    if row is None or None in row:
        return None
    replayed, received = row
    return max(0, received - replayed)


async def _row(instance: HostedInstance, statement: str) -> tuple[int, int] | None:
    """Two numbers; None where it does not run, or ends meanwhile."""
    if instance.socket is None:
        return None
    try:
        ((first, second),) = await instance.execute(statement)
    except (psycopg.OperationalError, EngineError):
        return None
    return first, second
