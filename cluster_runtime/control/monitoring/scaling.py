"""Serverless capacity, driven: each second the instances that run get what they need.

What each did comes from the sampler, what it gets from the fleet; a thread has the machine and the
servers follow that. Between two samples the kernel tells who has used up all of its CPU: such a
one need not wait for the next. A failure to hold one is in what `describe` says of it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.event_messages import NOTIFICATION, of_scaling
from cluster_runtime.control.records.instances import InstanceRecord
from cluster_runtime.control.records.model import SERVERLESS
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.control.servers.places import server_name
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.capacity import InstanceCapacity
from cluster_runtime.serverless.enforcement.enforcer import NOT_YET
from cluster_runtime.serverless.enforcement.means import InForce, lines_of
from cluster_runtime.serverless.enforcement.parameters import parameters_for
from cluster_runtime.serverless.fleet import Capacity, Member, ScalingNotes
from cluster_runtime.serverless.scaling.policy import TICK_SECONDS

WITHOUT_SAMPLE_S = 2.0
"""A sample comes once a second, and is acted on at once; this is how long one is waited for."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """An instance that runs, and where. pid: of its postmaster."""

    cluster: HostedCluster
    record: InstanceRecord
    instance: HostedInstance
    pid: int

    @property
    def name(self) -> str:
        """The instance's."""
        return self.record.db_instance_identifier

    @property
    def server(self) -> str:
        """Its name among the servers of all clusters."""
        return server_name(self.cluster.id, self.record.place)

    @property
    def serverless(self) -> bool:
        """Whether it is scaled."""
        return self.record.db_instance_class == SERVERLESS


class ScalingWatch:
    """Scales the instances of one runtime, until closed."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._notes = ScalingNotes()
        self._sampled = False
        self._ticked_at = -WITHOUT_SAMPLE_S
        self._some_run = False
        self._ticking = Regularly(self._look, again_s=TICK_SECONDS)
        runtime.sampler.on_sample(self._sample)

    async def close(self) -> None:
        """Scale no more."""
        await self._ticking.close()

    def _sample(self, _: object) -> None:
        self._sampled = True
        self._ticking.at_once()

    async def _look(self) -> float:
        """Returns the seconds until the next look."""
        now = asyncio.get_running_loop().time()
        if self._sampled or now - self._ticked_at >= WITHOUT_SAMPLE_S:
            self._sampled, self._ticked_at = False, now
            await in_thread(self._runtime.capacity.enforcer.waiting)  # counts from here on
            await self._tick(now, frozenset())
        elif waiting := await in_thread(self._runtime.capacity.enforcer.waiting):
            await self._tick(now, waiting)
        if self._some_run and self._runtime.capacity.enforcer.bounds:
            return self._runtime.capacity.fleet.look_seconds
        return WITHOUT_SAMPLE_S

    async def _tick(self, now: float, waiting: frozenset[str]) -> None:
        """waiting: servers that use all they have, as is known between two samples."""
        fleet = self._runtime.capacity.fleet
        running = list(self._running())
        scaled = [each for each in running if each.serverless]
        self._some_run = bool(scaled)
        members = [
            fleet.used_up(member) if member.server in waiting else member
            for member in map(self._member, scaled)
        ]
        decided = fleet.tick(now, members)
        in_force = await in_thread(self._hold, running, decided)
        self._publish(scaled, decided, in_force)
        for each in scaled:
            self._note(now, each, decided[each.server].granted)
        self._notes.keep_only({each.server for each in scaled})

    def _running(self) -> Iterator[_Found]:
        for cluster in list(self._runtime.clusters.values()):
            for name, record in list(cluster.records.items()):
                try:
                    instance = cluster.instance(name)
                except LookupError:  # it is being made, or deleted
                    continue
                pid = instance.pid
                if pid is not None and instance.ready:
                    yield _Found(cluster, record, instance, pid)

    def _member(self, found: _Found) -> Member:
        scaling = found.cluster.db_cluster.scaling
        return Member(
            found.server,
            found.cluster.id,
            found.name == found.cluster.writer_name,
            found.record.promotion_tier,
            scaling.min_capacity,
            scaling.max_capacity,
            self._runtime.sampler.demand(found.cluster.id, found.name),
        )

    def _hold(self, running: list[_Found], decided: dict[str, Capacity]) -> dict[str, InForce]:
        """In a thread: have the machine and the servers follow what was decided."""
        capacity = self._runtime.capacity
        found = {}
        for each in running:
            given = decided.get(each.server)
            if given is None:
                self._let_go(each)
                continue
            enforcer = capacity.enforcer
            if not given.measured and not enforcer.holds(each.server, each.pid):
                found[each.server] = InForce(gaps=(NOT_YET,))
                continue
            share = capacity.share_of(given.held_to)
            in_force = enforcer.hold(each.server, each.pid, share)
            if enforcer.sets_parameters:
                settings = parameters_for(share, each.instance.major, capacity.machine.cpus)
                in_force = _with_parameters(each, settings, in_force)
            found[each.server] = in_force
        capacity.enforcer.keep_only({each.server for each in running})
        return found

    def _let_go(self, found: _Found) -> None:
        """It is of a provisioned class: it may have been serverless until now."""
        try:
            self._runtime.capacity.enforcer.let_go(found.server, found.pid)
            found.instance.server.scale({})
        except (OSError, BorealisError) as error:
            _log.warning("a server is still held", server=found.server, error=str(error))

    def _publish(
        self, scaled: list[_Found], decided: dict[str, Capacity], in_force: dict[str, InForce]
    ) -> None:
        for cluster in self._runtime.clusters.values():
            cluster.capacities.clear()
        for each in scaled:
            given = decided[each.server]
            each.cluster.capacities[each.name] = InstanceCapacity(
                given.granted, given.wanted, given.reason, in_force[each.server]
            )

    def _note(self, now: float, found: _Found, granted: float) -> None:
        change = self._notes.seen(now, found.server, granted)
        if change is not None:
            self._runtime.note(found.cluster, of_scaling(found.name, *change), NOTIFICATION)


def _with_parameters(found: _Found, settings: Settings, in_force: InForce) -> InForce:
    """Have a server take parameters; what is in force with them."""
    try:
        taken = found.instance.server.scale(settings)
    except (OSError, BorealisError) as error:
        gap = f"parameters: {error}"
        return replace(in_force, gaps=(*in_force.gaps, gap))
    return replace(in_force, settings=lines_of(taken))
