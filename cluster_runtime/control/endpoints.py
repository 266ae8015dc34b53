"""The endpoints of a cluster at the gateway: opened, updated, closed; and what they lead to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.members import writer_name
from cluster_runtime.control.records.identifiers import endpoint_name, instance_endpoint_name
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    EndpointKind,
    ServerlessScaling,
)
from cluster_runtime.control.restart import WriterRestart
from cluster_runtime.errors import EngineError, PortInUseError, QuorumLostError
from cluster_runtime.gateway import EndpointSpec, Login, SessionDescription
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.watch import ConnectionWatch

_log = get_logger(__name__)


class ClusterBackend:
    """What one endpoint leads to (`cluster_runtime.gateway.Backend`)."""

    def __init__(self, cluster: HostedCluster, kind: EndpointKind, watch: ConnectionWatch) -> None:
        self._cluster = cluster
        self._kind = kind
        self._watch = watch

    async def login(self, user: str) -> Login | None:
        """Who a user is; None where there is no such role. Waits for a failover to end."""
        await self._cluster.settled()
        with _asked_again_where_it_goes_away():
            return await (await self._instance()).login(user)

    async def wake(self) -> Path:
        """Start the instance where it does not run; the folder of its socket."""
        await self._cluster.settled()
        with _asked_again_where_it_goes_away():
            return await (await self._instance()).ensure_running()

    async def may_cancel(self, pid: int) -> bool:
        """False while the statement of a server process waits for the volume."""
        return not await self._cluster.writer.waits_for_the_volume(pid)

    async def _instance(self) -> HostedInstance:
        """The writer; for readers, a hot standby while too few segments answer for a writer."""
        instances = self._cluster.instances
        if self._kind == "writer":
            return instances.writer
        if instances.reader.socket is None:
            try:
                if not instances.writer.knows_logins:
                    await instances.writer.ensure_running()
                return instances.writer
            except QuorumLostError as error:
                _log.warning(
                    "no writer: a reader serves", cluster=self._cluster.identifier, error=str(error)
                )
        await instances.reader.ensure_running()
        return instances.reader

    def opened(self) -> None:
        """Count a client, which keeps the cluster awake."""
        self._watch.opened()

    def closed(self) -> None:
        """Count a client no more."""
        self._watch.closed()


async def open_endpoints(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Watch for idleness, and listen at both endpoints; nothing stays open where one fails.

    Raises PortInUseError where the requested port is taken. A port that the runtime once chose
    by itself and that is taken now is replaced by another one.
    """
    watch = cluster.watch = _watch(cluster)
    cluster.restart = WriterRestart(cluster)
    kinds: tuple[EndpointKind, ...] = ("writer", "reader")
    try:
        for kind in kinds:
            await _open(runtime, cluster, kind, watch)
    except BaseException:
        await close_endpoints(runtime, cluster)
        raise
    cluster.db_cluster = with_ports(cluster)


async def open_shared_port(runtime: OpenRuntime, port: int | None, last: int | None) -> None:
    """Listen at the port that leads to all endpoints by name.

    port: 0 for the last one, or any free one; None for no such port. Raises PortInUseError for one
    that was asked for.
    """
    if port is None:
        return
    try:
        await runtime.gateway.open_shared_port(port or last)
    except PortInUseError:
        if port:
            raise
        _log.warning("shared port moves", port=last)
        await runtime.gateway.open_shared_port(None)


async def close_endpoints(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Stop listening and watching; connections end with 57P01."""
    if cluster.watch is not None:
        cluster.watch.close()
    if cluster.restart is not None:
        cluster.restart.close()
    while cluster.endpoints:
        _, endpoint = cluster.endpoints.popitem()
        await runtime.gateway.close_endpoint(endpoint)


def idle_seconds(scaling: ServerlessScaling) -> float | None:
    """How long a cluster is idle before it pauses; None: it never does."""
    return scaling.seconds_until_auto_pause if scaling.auto_pause else None


async def disconnect(cluster: HostedCluster) -> None:
    """End every established connection with 57P01; go on listening. Who is connecting waits."""
    for endpoint in cluster.endpoints.values():
        await endpoint.disconnect()


def rest(cluster: HostedCluster) -> None:
    """Keep nothing for the endpoints of a paused cluster but their ports."""
    for endpoint in cluster.endpoints.values():
        endpoint.rest()


def describe_sessions(cluster: HostedCluster) -> list[SessionDescription]:
    """Who is connected through the gateway, and from where."""
    return [
        session
        for endpoint in cluster.endpoints.values()
        for session in endpoint.describe_sessions()
    ]


def update_endpoints(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Tell the gateway the cluster as it is now."""
    for kind, endpoint in cluster.endpoints.items():
        runtime.gateway.update_endpoint(endpoint, endpoint_spec(cluster.db_cluster, kind))


def with_ports(cluster: HostedCluster) -> DBCluster:
    """The cluster with the ports that the open endpoints have."""
    return replace(
        cluster.db_cluster,
        port=cluster.endpoints["writer"].port,
        reader_port=cluster.endpoints["reader"].port,
    )


def endpoint_spec(db_cluster: DBCluster, kind: EndpointKind) -> EndpointSpec:
    """What the gateway must know of an endpoint. The writer's has its instance's name as well."""
    instance = writer_name(db_cluster)
    instance_endpoint = instance_endpoint_name(
        instance, db_cluster.db_cluster_resource_id, db_cluster.region
    )
    writes = kind == "writer"
    names = (db_cluster.endpoint, instance_endpoint) if writes else (db_cluster.reader_endpoint,)
    port = db_cluster.port if writes else db_cluster.reader_port
    return EndpointSpec(
        cluster=db_cluster.db_cluster_resource_id,
        names=names,
        aliases=(db_cluster.db_cluster_identifier, instance) if writes else (),
        port=port or None,
        require_tls=db_cluster.require_tls,
        iam_enabled=db_cluster.iam_database_authentication_enabled,
    )


def endpoint_names(identifier: str, resource_id: str, region: str) -> tuple[str, str]:
    """The names of the cluster endpoint and of the reader endpoint."""
    return (
        endpoint_name(identifier, resource_id, region),
        endpoint_name(identifier, resource_id, region, reader=True),
    )


def _watch(cluster: HostedCluster) -> ConnectionWatch:
    async def pause(still_idle: Callable[[], bool]) -> None:
        if cluster.writer.socket is None:
            return
        try:
            await in_thread(cluster.instances.storage.settle)
            if await cluster.writer.pause(only_if=still_idle):
                rest(cluster)
                _log.info("cluster paused", cluster=cluster.identifier)
        except EngineError as error:
            _log.error("cluster could not pause", cluster=cluster.identifier, error=str(error))

    watch = ConnectionWatch(
        idle_seconds(cluster.db_cluster.scaling),
        available=lambda: cluster.db_cluster.status is ClusterStatus.AVAILABLE,
        pause=pause,
    )
    cluster.writer.on_start(watch.started)
    return watch


@contextmanager
def _asked_again_where_it_goes_away() -> Iterator[None]:
    """The runtime's own connection breaks in a failover or a pause: the gateway asks again."""
    try:
        yield
    except psycopg.OperationalError as error:
        raise ConnectionError(f"the instance went away: {error}") from error


async def _open(
    runtime: OpenRuntime, cluster: HostedCluster, kind: EndpointKind, watch: ConnectionWatch
) -> None:
    spec = endpoint_spec(cluster.db_cluster, kind)
    backend = ClusterBackend(cluster, kind, watch)
    try:
        endpoint = await runtime.gateway.open_endpoint(spec, backend)
    except PortInUseError:
        if kind == "writer" and cluster.db_cluster.port_was_requested:
            raise
        _log.warning("endpoint moves to another port", cluster=cluster.identifier, port=spec.port)
        endpoint = await runtime.gateway.open_endpoint(replace(spec, port=None), backend)
    cluster.endpoints[kind] = endpoint
