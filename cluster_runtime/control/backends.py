"""What the endpoints of a cluster lead to (`cluster_runtime.gateway.Backend`)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from cluster_runtime.control.availability.routing import Balance, Membership
from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.records.instances import CustomEndpointRecord
from cluster_runtime.errors import InvalidClusterStateError, QuorumLostError
from cluster_runtime.gateway import Login
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.watch import ConnectionWatch

_log = get_logger(__name__)


class WriterBackend:
    """The cluster endpoint: the writer, whichever instance that is."""

    def __init__(self, cluster: HostedCluster, watch: ConnectionWatch) -> None:
        self._cluster = cluster
        self._watch = watch

    async def login(self, user: str) -> Login | None:
        """Who a user is; None where there is no such role. Waits for a failover to end."""
        with _asked_again_where_it_goes_away():
            return await (await self._writer()).login(user)

    async def wake(self) -> Path:
        """Start the writer where it does not run; its socket."""
        with _asked_again_where_it_goes_away():
            return await self._started(await self._writer())

    def route(self, woken: Path) -> Path:
        """The writer, unless it is another one by now."""
        if woken != self._cluster.writer.path:
            raise ConnectionError("another instance is the writer now")
        return woken

    async def may_cancel(self, pid: int) -> bool:
        """False while the statement of a server process waits for the volume."""
        return not await self._cluster.writer.waits_for_the_volume(pid)

    def opened(self) -> None:
        """Count a client, which keeps the cluster awake."""
        self._watch.opened()

    def closed(self) -> None:
        """Count a client no more."""
        self._watch.closed()

    async def _writer(self) -> HostedInstance:
        await self._cluster.settled()
        return living_writer(self._cluster)

    async def _started(self, writer: HostedInstance) -> Path:
        path = await writer.ensure_running()
        if self._cluster.writer is not writer:
            raise ConnectionError("another instance is the writer now")
        return path


class ReaderBackend(WriterBackend):
    """The reader endpoint: readers that are ready, in turn; the writer where there is none.

    Where no writer can be had either, for too few segments answer, the stand-in serves.
    """

    def __init__(self, cluster: HostedCluster, watch: ConnectionWatch) -> None:
        super().__init__(cluster, watch)
        self._balance = Balance()

    async def login(self, user: str) -> Login | None:
        """As a reader knows it, or the writer where the reader knows no such role (yet)."""
        with _asked_again_where_it_goes_away():
            for instance in self._ready().values():
                found = await instance.login(user)
                if found is not None or self._cluster.writer.socket is None:
                    return found
                break
            await self._cluster.settled()
            # Nobody wakes a cluster who may not log in, or a reader that sleeps.
            writer = self._cluster.writer
            if writer.knows_logins or (self._asleep() and writer.ready):
                return await self._cluster.writer.login(user)
            return await (await self._otherwise()).login(user)

    async def wake(self) -> Path:
        """The socket of an instance that serves."""
        with _asked_again_where_it_goes_away():
            for instance in self._ready().values():
                return instance.path
            return await (await self._otherwise()).ensure_running()

    def route(self, woken: Path) -> Path:
        """Of those that are ready the one with the fewest connections."""
        ready = self._ready()
        counted: Counter[Path] = Counter()
        for endpoint in self._cluster.endpoints.values():
            counted += endpoint.servers()
        connections = [(name, counted[each.path]) for name, each in ready.items()]
        chosen = self._balance.choose(list(ready), connections)
        return woken if chosen is None else ready[chosen].path

    def _ready(self) -> dict[str, HostedInstance]:
        """The instances that it leads to now, by name."""
        return self._cluster.instances.ready_readers

    def _asleep(self) -> list[str]:
        """Those of them that pause alone, and do."""
        cluster = self._cluster
        return sorted(cluster.asleep & cluster.instances.readers.keys())

    async def _otherwise(self) -> HostedInstance:
        """Who serves where none of those is ready; it may have to be started."""
        instances = self._cluster.instances
        await self._cluster.settled()
        for name in self._asleep():
            return await awake(self._cluster, name)
        if not instances.stand_in_runs:
            try:
                if not instances.writer.knows_logins:
                    await instances.writer.ensure_running()
                return instances.writer
            except QuorumLostError as error:
                _log.warning(
                    "no writer: a reader serves", cluster=self._cluster.identifier, error=str(error)
                )
        await instances.stand_in.ensure_running()
        return instances.stand_in


class MembersBackend(ReaderBackend):
    """An endpoint that leads to its members, and to nobody else."""

    def _membership(self) -> Membership:
        """As it is now."""
        raise NotImplementedError

    def _ready(self) -> dict[str, HostedInstance]:
        cluster = self._cluster
        serving = {
            **cluster.instances.ready_readers,
            **({cluster.writer_name: cluster.writer} if cluster.writer.ready else {}),
        }
        return {name: serving[name] for name in self._members() if name in serving}

    async def _otherwise(self) -> HostedInstance:
        """The first member that can be started, once the cluster is awake."""
        cluster = self._cluster
        await cluster.settled()
        members = self._members()
        for name in members:
            if name not in cluster.problems:
                return await awake(cluster, name)
        why = "; ".join(f"{name}: {cluster.problems[name]}" for name in members)
        raise InvalidClusterStateError(
            f"no instance of this endpoint of cluster {cluster.identifier!r} serves"
            + (f" ({why})" if why else ": it has no member")
        )

    def _members(self) -> list[str]:
        cluster = self._cluster
        return self._membership().members(cluster.writer_name, cluster.instances.readers)


class CustomBackend(MembersBackend):
    """A custom endpoint."""

    def __init__(self, cluster: HostedCluster, watch: ConnectionWatch, identifier: str) -> None:
        super().__init__(cluster, watch)
        self._identifier = identifier

    def _membership(self) -> Membership:
        return membership_of(self._cluster.custom[self._identifier])


class InstanceBackend(MembersBackend):
    """The endpoint of one instance, whatever its role is."""

    def __init__(self, cluster: HostedCluster, watch: ConnectionWatch, name: str) -> None:
        super().__init__(cluster, watch)
        self._name = name

    def _membership(self) -> Membership:
        return Membership(static=(self._name,))


def membership_of(record: CustomEndpointRecord) -> Membership:
    """Which instances a custom endpoint leads to."""
    return Membership(
        record.static_members,
        record.excluded_members,
        readers_only=record.custom_endpoint_type == "READER",
    )


async def awake(cluster: HostedCluster, name: str) -> HostedInstance:
    """An instance of a cluster that is made to run; a reader after its writer.

    Raises EngineError, StorageError, ConnectionError.
    """
    writer = living_writer(cluster)
    if writer.socket is None:
        await writer.ensure_running()
    if name == cluster.writer_name:
        return cluster.writer
    reader = cluster.instances.readers[name]
    await reader.ensure_running()
    return reader


def living_writer(cluster: HostedCluster) -> HostedInstance:
    """The writer, which may have to be started.

    Where it ended and a reader can take its place, that is begun, and ConnectionError raised: no
    client starts it again meanwhile.
    """
    ended = cluster.writer.socket is None and bool(cluster.instances.ready_readers)
    if ended and cluster.supervision is not None:
        cluster.supervision.writer_ended()
        if cluster.supervision.trouble is not None:
            raise cluster.supervision.trouble
        raise ConnectionError("the writer has ended: a reader takes its place")
    return cluster.writer


@contextmanager
def _asked_again_where_it_goes_away() -> Iterator[None]:
    """The runtime's own connection breaks in a failover or a pause: the gateway asks again."""
    try:
        yield
    except (psycopg.OperationalError, KeyError) as error:
        raise ConnectionError(f"the instance went away: {error}") from error
