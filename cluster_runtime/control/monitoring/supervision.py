"""Looks after the instances of a cluster: who died, hangs or lost its zone is replaced.

It looks once a second while the cluster runs, and at once when the writer's log ends. A paused
cluster has none of its timers.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg

from cluster_runtime.control.availability.health import Health, Process, Verdict
from cluster_runtime.control.availability.lag import replica_lag_ms
from cluster_runtime.control.availability.placement import zone_for
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import disconnect
from cluster_runtime.control.instance import HostedInstance, Start
from cluster_runtime.control.monitoring.reader_pauses import ReaderPauses, pauses_alone
from cluster_runtime.control.monitoring.slots import SlotWatch
from cluster_runtime.control.records.event_messages import (
    FAILURE,
    NOTIFICATION,
    READER_PAUSED,
    RESUMED,
    not_resumed,
    resumed_in,
)
from cluster_runtime.control.records.model import ClusterStatus, InstanceStatus
from cluster_runtime.control.workflows.branching.ahead import WarmBranches
from cluster_runtime.control.workflows.instances.failover import recover_writer
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.resume import FailedResumes
from cluster_runtime.storage.core.policy.coalescing import retry_after

LOOK_EVERY_S = 1.0
STEADY_S = 30.0
"""Who ran for that long is started again at once; who ended sooner, a little later each time."""

_log = get_logger(__name__)
_FAILURES = (BorealisError, psycopg.Error, OSError)


class Supervisor:
    """Looks after one cluster while its endpoints are open. On the event loop."""

    def __init__(self, runtime: OpenRuntime, cluster: HostedCluster) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._loop = asyncio.get_running_loop()
        self._slots = SlotWatch(runtime, cluster)
        self._closed = False
        self._looking: asyncio.Task[None] | None = None
        self._hurry: asyncio.Event | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sooner = 0
        self._started_at = self._loop.time()
        self._health: dict[HostedInstance, Health] = {}
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._retries: dict[str, tuple[int, float]] = {}
        self._warm_branch = cluster.instances.warm_branch or WarmBranches(runtime, cluster)
        cluster.instances.warm_branch = self._warm_branch
        self._failures = FailedResumes()
        self._pauses = ReaderPauses()
        self.trouble: Exception | None = None
        """Why the writer that ended has not been replaced; None while it is tried again."""
        self.new_writer()

    def new_writer(self) -> None:
        """Another instance is the writer now, or the same one again."""
        writer = self._cluster.writer

        def lost() -> None:  # on another thread
            self._loop.call_soon_threadsafe(self._lost, writer)

        writer.servers.as_writer.on_lost(lost)
        writer.on_start(self._writer_runs, self._writer_failed)
        # It follows the last one, with that one's parameters.
        self._run(self._warm_branch.rest())
        if writer.socket is not None:
            self._begin()

    def writer_ended(self) -> None:
        """The writer has ended: another one takes over, or it is started again."""
        if self._closed or self._timer is not None or self._is_replacing:
            return
        now = self._loop.time()
        self._sooner = 0 if now - self._started_at > STEADY_S else self._sooner + 1
        delay = retry_after(self._sooner - 1) if self._sooner > 1 else 0.0
        if not delay:
            self.trouble = None
        self._timer = self._loop.call_later(delay, self._replace, "it ended", False)

    def look(self) -> None:
        """Look at all of them now, and not in due time."""
        if self._hurry is not None:
            self._hurry.set()
        self._sooner, self.trouble = 0, None
        if self._cluster.writer.socket is not None or self._cluster.instances.ready_readers:
            self._begin()

    def rest(self) -> None:
        """The cluster pauses: nothing is looked after until its writer runs again."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = self._hurry = None
        self._health.clear()
        self._retries.clear()

    def close(self) -> None:
        """Start nothing any more."""
        self._closed = True
        self.rest()
        if self._timer is not None:
            self._timer.cancel()

    @property
    def _is_replacing(self) -> bool:
        return self._replacing is not None and not self._replacing.done()

    def _lost(self, writer: HostedInstance) -> None:
        """The log of a writer has ended, of an earlier one perhaps."""
        if writer is self._cluster.writer:
            self.writer_ended()

    def _writer_runs(self, start: Start) -> None:
        cluster = self._cluster
        self.trouble = None  # whoever started it
        if cluster.watch is not None:
            cluster.watch.started()
        self._failures.succeeded()
        if start.resumed:
            told = resumed_in(start.seconds) if cluster.deep_pause is not None else RESUMED
            self._runtime.note(cluster, told, NOTIFICATION)
            cluster.asleep = cluster.asleep.union(self._pauses.stay_asleep(cluster))
        cluster.deep_pause = None
        self._run(self._warm_branch.rest())
        self._begin()

    def _writer_failed(self, error: BorealisError) -> None:
        if self._failures.failed(str(error), self._loop.time()):
            self._runtime.note(self._cluster, not_resumed(error), FAILURE)

    def _begin(self) -> None:
        if self._looking is None and not self._closed:
            self._hurry = asyncio.Event()
            self._looking = self._loop.create_task(self._look_on(self._hurry))

    def _replace(self, why: str, though_it_runs: bool) -> None:
        self._timer = None
        if not self._is_replacing:
            self._replacing = self._loop.create_task(self._replace_writer(why, though_it_runs))

    async def _replace_writer(self, why: str, though_it_runs: bool) -> None:
        cluster = self._cluster

        def needed() -> bool:
            self._started_at = self._loop.time()
            return not self._closed and (though_it_runs or cluster.writer.socket is None)

        try:
            promoted = await recover_writer(
                self._runtime, cluster, why, needed, though_it_runs=though_it_runs
            )
        except _FAILURES as error:
            if cluster.writer.socket is None:  # else a client has started it meanwhile
                self.trouble = error
            _log.error(
                "a writer that ended could not be replaced; the next connect tries again",
                cluster=cluster.identifier,
                error=str(error),
            )
        else:
            self.trouble = None
            if promoted:
                self._sooner = 0
            _log.warning(
                "a writer runs again", cluster=cluster.identifier, instance=cluster.writer_name
            )

    async def _look_on(self, hurry: asyncio.Event) -> None:
        while True:
            hurry.clear()
            try:
                await self._look()
            except _FAILURES as error:
                _log.warning(
                    "instances could not be looked after",
                    cluster=self._cluster.identifier,
                    error=str(error),
                )
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await hurry.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        cluster = self._cluster
        if cluster.db_cluster.status is not ClusterStatus.AVAILABLE or self._is_replacing:
            return
        volume = cluster.instances.storage.opened
        lost = volume.lost_zones if volume is not None else frozenset[str]()
        for name, record in list(cluster.records.items()):
            if record.status is not InstanceStatus.AVAILABLE:
                continue
            if name == cluster.writer_name:
                await self._look_at_writer(record.zone in lost, lost)
            elif name in cluster.instances.readers:
                await self._look_at_reader(name, record.zone in lost)
        if cluster.writer.ready and cluster.instances.stand_in_runs:
            await cluster.instances.stop_stand_in()
        self._warm_branch.look()

    async def _look_at_writer(self, is_lost: bool, lost: frozenset[str]) -> None:
        cluster, writer = self._cluster, self._cluster.writer
        verdict = self._verdict(cluster.writer_name, writer)
        if is_lost:
            if await self._has_another_zone(lost):
                self._replace("its zone is lost", True)
        elif verdict is Verdict.HANGS:
            await self._runtime.record(
                cluster, f"DB instance does not respond: {cluster.writer_name}", "failure"
            )
            self._replace("it does not answer", True)
        elif verdict is Verdict.DEAD and cluster.instances.ready_readers:
            self.writer_ended()
        elif writer.ready:
            self._run(self._look_at_slots(cluster.writer_name, writer))

    async def _has_another_zone(self, lost: frozenset[str]) -> bool:
        """Whether a reader in another zone can take over, or the writer itself go on in one."""
        cluster = self._cluster
        readers = [cluster.records[name] for name in cluster.instances.ready_readers]
        if any(each.zone not in lost for each in readers):
            return True
        record = cluster.records[cluster.writer_name]
        taken = [each.zone for each in cluster.records.values() if each is not record]
        moved = replace(record, zone=zone_for(taken, lost))
        if moved.zone in lost:
            return False
        await self._runtime.keep(cluster, moved)
        return True

    async def _look_at_reader(self, name: str, is_lost: bool) -> None:
        cluster = self._cluster
        reader = cluster.instances.readers[name]
        if is_lost:
            if reader.socket is not None:
                await self._end(reader)
            cluster.problems[name] = "its availability zone is lost"
            cluster.lag.pop(name, None)
            return
        if not self._is_awake(name, reader):
            return
        if reader.ready:
            cluster.problems.pop(name, None)  # whoever started it
            if self._verdict(name, reader) is Verdict.HANGS:
                _log.warning("a reader hangs", cluster=cluster.identifier, instance=name)
                await self._end(reader)
            elif self._pauses.are_due(cluster, name, reader, self._loop.time()):
                await self._pause(name, reader)
                return
            else:
                self._run(self._look_at_slots(name, reader))
                return
        cluster.lag.pop(name, None)
        tried, due = self._retries.get(name, (0, 0.0))
        if name not in self._starting and self._loop.time() >= due:
            self._retries[name] = tried + 1, self._loop.time() + retry_after(tried)
            self._starting[name] = self._run(self._start(name, reader))

    def _is_awake(self, name: str, reader: HostedInstance) -> bool:
        """Whether it is to be looked after: not one that pauses alone, until somebody wakes it."""
        if reader.ready or not pauses_alone(self._cluster, name):
            self._cluster.asleep -= {name}
        return name not in self._cluster.asleep

    async def _pause(self, name: str, reader: HostedInstance) -> None:
        cluster = self._cluster
        cluster.asleep |= {name}
        cluster.lag.pop(name, None)
        await reader.stop(Shutdown.IMMEDIATE)
        await disconnect(cluster, reader)  # who came in just now connects again, and wakes it
        self._runtime.note(cluster, READER_PAUSED.format(name), NOTIFICATION)

    async def _end(self, reader: HostedInstance) -> None:
        await reader.lose(reader.servers.as_reader.kill)
        await disconnect(self._cluster, reader)

    async def _start(self, name: str, reader: HostedInstance) -> None:
        cluster = self._cluster
        try:
            if self._looking is None:
                return  # it pauses
            await reader.ensure_running()
        except _FAILURES as error:
            cluster.problems[name] = str(error)
            _log.error(
                "a reader did not start",
                cluster=cluster.identifier,
                instance=name,
                error=str(error),
            )
        else:
            cluster.problems.pop(name, None)
            self._retries.pop(name, None)
            _log.info("a reader serves", cluster=cluster.identifier, instance=name)
        finally:
            del self._starting[name]

    async def _look_at_slots(self, name: str, instance: HostedInstance) -> None:
        try:
            await self._slots.look(name, instance)
        except _FAILURES as error:  # it ended, which the next look sees
            _log.info("slots are not known", instance=name, error=str(error))

    def _verdict(self, name: str, instance: HostedInstance) -> Verdict:
        """What the process says, and the query that was sent when it was last looked at."""
        process = instance.process
        health = self._health.setdefault(instance, Health())
        log = None if instance.is_reader else self._durable_lsn
        verdict = health.seen(process, self._loop.time(), log)
        if verdict is not Verdict.WELL:
            del self._health[instance]
        elif process is Process.RUNS and health.asked_at is None and instance.ready:
            health.asked(self._loop.time())
            self._run(self._ask(name, instance, health))
        return verdict

    async def _ask(self, name: str, instance: HostedInstance, health: Health) -> None:
        """Never cancelled: who hangs is killed, and then there is an answer."""
        durable = self._durable_lsn
        try:
            seen = await instance.observe()
            if durable is not None and instance.is_reader and instance.ready:
                now = datetime.now(UTC)
                self._cluster.lag[name] = replica_lag_ms(
                    seen.replayed, durable, seen.committed, now
                )
        except _FAILURES as error:
            self._cluster.lag.pop(name, None)
            _log.info("an instance went away while it was asked", error=str(error))
        finally:
            health.answered()

    @property
    def _durable_lsn(self) -> int | None:
        """How far the log of the cluster is; None while its volume is closed."""
        volume = self._cluster.instances.storage.opened
        return volume.durable_lsn if volume is not None else None

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks = (*self._tasks, task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks = tuple(each for each in self._tasks if each is not task)
