"""Logical replication slots of the instances of a cluster: looked at, and bounded.

A slot keeps log on the disk of its own instance, and rows of catalogs on the writer: a reader's
wish for those goes through the storage's slot, as that of its long queries does.
"""

import time

import psycopg

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.records.model import LogicalReplicationSlot
from cluster_runtime.engine.parameters import decodes
from cluster_runtime.logs import get_logger

LOG_BYTES_MAX = 1 << 30
"""What a slot may keep. One that keeps more is dropped: its consumer begins again."""

SLOTS = """
select s.slot_name, s.database, s.plugin, s.active_pid,
       coalesce(pg_catalog.pg_wal_lsn_diff(
         case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
              else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn), 0)::pg_catalog.int8,
       s.confirmed_flush_lsn is null
  from pg_catalog.pg_replication_slots s
 where s.slot_type operator(pg_catalog.=) 'logical'
"""
DROP = "select pg_catalog.pg_drop_replication_slot(%s)"
SAY_WHO_RUNS = "select pg_catalog.pg_log_standby_snapshot()"
"""What a slot waits for that is made on a standby; an idle writer says it rarely."""

_log = get_logger(__name__)


class SlotWatch:
    """Of one cluster. On the event loop, once a second for each instance that runs."""

    def __init__(self, runtime: OpenRuntime, cluster: HostedCluster) -> None:
        self._runtime, self._cluster = runtime, cluster
        self._since: dict[tuple[str, str], float] = {}

    async def look(self, name: str, instance: HostedInstance) -> None:
        """Note the slots of an instance. Raises psycopg.Error, EngineError where it has ended."""
        cluster = self._cluster
        if not decodes(instance.server.parameters):
            cluster.slots.pop(name, None)
            return
        found, begins = [], False
        now = time.monotonic()
        for slot, database, plugin, pid, log_bytes, beginning in await instance.execute(SLOTS):
            begins = begins or beginning
            if log_bytes > LOG_BYTES_MAX and not beginning:
                await self._drop(name, instance, slot, pid, log_bytes)
                continue
            since = self._since.setdefault((name, slot), now)
            found.append(
                LogicalReplicationSlot(
                    slot, database, plugin, pid is not None, round(now - since, 1), log_bytes
                )
            )
        kept = {(name, each.slot_name) for each in found}
        for known in [each for each in self._since if each[0] == name and each not in kept]:
            del self._since[known]
        cluster.slots[name] = tuple(found)
        if begins and instance.is_reader and cluster.writer.ready:
            await cluster.writer.execute(SAY_WHO_RUNS)

    async def _drop(
        self, name: str, instance: HostedInstance, slot: str, pid: int | None, log_bytes: int
    ) -> None:
        """Whoever reads it is ended first: then it goes the next time."""
        if pid is not None:
            instance.server.end_backend(pid)
            return
        try:
            await instance.execute(DROP, slot)
        except psycopg.errors.ObjectInUse as error:
            _log.info("a slot is in use again", instance=name, slot=slot, error=str(error))
            return
        await self._runtime.record(
            self._cluster,
            f"Logical replication slot {slot} of {name} was dropped: it kept "
            f"{log_bytes >> 20} MiB of log, and may keep {LOG_BYTES_MAX >> 20}",
            "low storage",
        )
