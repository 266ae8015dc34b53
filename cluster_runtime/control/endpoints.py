"""The endpoints of a cluster at the gateway: opened, updated, closed; and what they lead to."""

from collections.abc import Callable
from dataclasses import replace

import psycopg

from cluster_runtime.control.backends import (
    CustomBackend,
    InstanceBackend,
    ReaderBackend,
    WriterBackend,
)
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.event_messages import KEPT_AWAKE, NOTIFICATION, PAUSED
from cluster_runtime.control.records.identifiers import (
    custom_endpoint_name,
    endpoint_name,
    instance_endpoint_name,
)
from cluster_runtime.control.records.instances import (
    CustomEndpointRecord,
    InstanceRecord,
    class_connections,
)
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    InstanceStatus,
    ServerlessScaling,
)
from cluster_runtime.engine.access.keeps_awake import INTERNAL, KEEPS_AWAKE
from cluster_runtime.engine.parameters import decodes
from cluster_runtime.errors import EngineError, InvalidParameterError, PortInUseError
from cluster_runtime.gateway import Endpoint, EndpointSpec, SessionDescription
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.auto_pause import Activity
from cluster_runtime.serverless.watch import ConnectionWatch

WRITER, READER = "writer", "reader"
INSTANCE, CUSTOM = "instance:", "custom:"
"""What endpoints go by in `HostedCluster.endpoints`; before the name of an instance, or of a custom
endpoint."""

CONNECTIONS_OF_THE_RUNTIME = 10
"""Of those that an instance takes: for its administration, readers and the volume."""

_log = get_logger(__name__)


async def open_endpoints(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Watch for idleness, and listen at all endpoints; nothing stays open where one fails.

    Raises PortInUseError where the requested port is taken. A port that the runtime once chose
    by itself and that is taken now is replaced by another one.
    """
    cluster.watch = _watch(runtime, cluster)
    try:
        for kind in (WRITER, READER):
            await _open(runtime, cluster, kind)
        cluster.db_cluster = with_ports(cluster)
        for record in list(cluster.records.values()):
            if record.status is not InstanceStatus.CREATING:
                await open_instance_endpoint(runtime, cluster, record)
        for custom in list(cluster.custom.values()):
            await open_custom_endpoint(runtime, cluster, custom)
        cluster.supervision = runtime.supervise(runtime, cluster)
    except BaseException:
        await close_endpoints(runtime, cluster)
        raise


async def open_endpoints_again(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """The same for a cluster that had them: where its port is taken meanwhile, it has none."""
    try:
        await open_endpoints(runtime, cluster)
    except PortInUseError as error:
        _log.error("cluster has no endpoint", cluster=cluster.identifier, error=str(error))
        cluster.db_cluster = replace(cluster.db_cluster, status=ClusterStatus.INCOMPATIBLE_NETWORK)


async def open_instance_endpoint(
    runtime: OpenRuntime, cluster: HostedCluster, record: InstanceRecord
) -> None:
    """Listen at the endpoint of an instance; its port is kept."""
    endpoint = await _open(runtime, cluster, of_instance(record.db_instance_identifier))
    if endpoint.port != record.port:
        await runtime.keep(cluster, replace(record, port=endpoint.port))


async def open_custom_endpoint(
    runtime: OpenRuntime, cluster: HostedCluster, record: CustomEndpointRecord
) -> None:
    """Listen at a custom endpoint; its port is kept."""
    cluster.custom[record.identifier] = record
    endpoint = await _open(runtime, cluster, of_custom(record.identifier))
    if endpoint.port != record.port:
        record = replace(record, port=endpoint.port)
        cluster.custom[record.identifier] = record
        await in_thread(runtime.catalog.put_custom_endpoint, record)


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


async def close_endpoint(runtime: OpenRuntime, cluster: HostedCluster, key: str) -> None:
    """Stop listening at one endpoint, where it is open; its connections end with 57P01."""
    endpoint = cluster.endpoints.pop(key, None)
    if endpoint is not None:
        await runtime.gateway.close_endpoint(endpoint)


async def close_endpoints(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Stop listening and watching; connections end with 57P01."""
    if cluster.watch is not None:
        cluster.watch.close()
    if cluster.supervision is not None:
        cluster.supervision.close()
        cluster.supervision = None
    # All of them before anything waits: they may be opened again when somebody gives that up.
    closing = list(cluster.endpoints.values())
    cluster.endpoints.clear()
    await runtime.gateway.close_endpoint(*closing)


def idle_seconds(scaling: ServerlessScaling) -> float | None:
    """How long a cluster is idle before it pauses; None: it never does."""
    return scaling.seconds_until_auto_pause if scaling.auto_pause else None


async def disconnect(cluster: HostedCluster, at: HostedInstance | None = None) -> None:
    """End established connections with 57P01; go on listening. Who is connecting waits.

    at: only those that lead to this instance.
    """
    path = at.path if at is not None else None
    for endpoint in list(cluster.endpoints.values()):
        await endpoint.disconnect(at=path)


def rest(cluster: HostedCluster) -> None:
    """Keep nothing for the endpoints of a paused cluster but their ports."""
    for endpoint in cluster.endpoints.values():
        endpoint.rest()
    if cluster.watch is not None:
        cluster.watch.rested()


async def pause(cluster: HostedCluster, only_if: Callable[[], bool] = lambda: True) -> bool:
    """Pause a cluster that is settled: its readers, then its writer. Returns whether it did.

    only_if: asked at the last moment, when no connect can come between.
    """
    if cluster.supervision is not None:
        cluster.supervision.rest()
    await cluster.instances.stop_readers()
    paused = await cluster.writer.pause(only_if)
    if paused:
        rest(cluster)
    elif cluster.supervision is not None:
        cluster.supervision.look()
    return paused


def describe_sessions(cluster: HostedCluster) -> list[SessionDescription]:
    """Who is connected through the gateway, and from where."""
    return [
        session
        for endpoint in cluster.endpoints.values()
        for session in endpoint.describe_sessions()
    ]


def update_endpoints(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Tell the gateway the cluster as it is now."""
    for key, endpoint in cluster.endpoints.items():
        runtime.gateway.update_endpoint(endpoint, endpoint_spec(cluster, key))


def with_ports(cluster: HostedCluster) -> DBCluster:
    """The cluster with the ports that the open endpoints have."""
    return replace(
        cluster.db_cluster,
        port=cluster.endpoints[WRITER].port,
        reader_port=cluster.endpoints[READER].port,
    )


def endpoint_spec(cluster: HostedCluster, key: str) -> EndpointSpec:
    """What the gateway must know of an endpoint."""
    db_cluster = cluster.db_cluster
    host, port = address_of(cluster, key)
    record = cluster.records.get(_named(key, INSTANCE))
    return EndpointSpec(
        cluster=db_cluster.db_cluster_resource_id,
        names=(host,),
        aliases=_aliases(cluster, key),
        port=port or None,
        require_tls=db_cluster.require_tls,
        iam_enabled=db_cluster.iam_database_authentication_enabled,
        read_only=key == READER,
        max_connections=_connections(cluster, key, record),
    )


def _connections(cluster: HostedCluster, key: str, record: InstanceRecord | None) -> int:
    """How many an endpoint takes: as many as each instance that it leads to, and its class."""
    led_to = list(cluster.instances.readers.values())
    if record is not None and record.db_instance_identifier in cluster.instances.readers:
        led_to = [cluster.instances.readers[record.db_instance_identifier]]
    elif key == WRITER or record is not None or not led_to:
        led_to = [cluster.writer]
    taken = [each.server.connections_max - CONNECTIONS_OF_THE_RUNTIME for each in led_to]
    of_class = class_connections(record.db_instance_class) if record is not None else None
    return min(taken if of_class is None else [*taken, of_class])


def _aliases(cluster: HostedCluster, key: str) -> tuple[str, ...]:
    """Identifiers that mean an endpoint at the port that all share; the reader's has none."""
    if key in (WRITER, READER):
        return (cluster.identifier,) if key == WRITER else ()
    return (_named(key, INSTANCE) or _named(key, CUSTOM),)


def address_of(cluster: HostedCluster, key: str) -> tuple[str, int]:
    """The host name and the port of an endpoint; 0 for one that never had a port."""
    db_cluster = cluster.db_cluster
    if key == WRITER:
        return db_cluster.endpoint, db_cluster.port
    if key == READER:
        return db_cluster.reader_endpoint, db_cluster.reader_port
    if name := _named(key, INSTANCE):
        host = instance_endpoint_name(name, cluster.id, db_cluster.region)
        return host, cluster.records[name].port
    name = _named(key, CUSTOM)
    return custom_endpoint_name(name, cluster.id, db_cluster.region), cluster.custom[name].port


def endpoint_named(cluster: HostedCluster, name: str) -> str:
    """The endpoint that is meant by `writer`, `reader`, an instance's name or a custom one's.

    Raises InvalidParameterError.
    """
    name = name.lower()
    for key, known in ((of_instance(name), cluster.records), (of_custom(name), cluster.custom)):
        if name in known:
            return key
    if name in (WRITER, READER):
        return name
    raise InvalidParameterError(
        f"cluster {cluster.identifier!r} has no endpoint {name!r}; it has "
        + ", ".join((WRITER, READER, *cluster.records, *cluster.custom))
    )


def of_instance(name: str) -> str:
    """What the endpoint of an instance goes by in `HostedCluster.endpoints`."""
    return INSTANCE + name


def of_custom(identifier: str) -> str:
    """What a custom endpoint goes by there."""
    return CUSTOM + identifier


def _named(key: str, prefix: str) -> str:
    return key.removeprefix(prefix) if key.startswith(prefix) else ""


def endpoint_names(identifier: str, resource_id: str, region: str) -> tuple[str, str]:
    """The names of the cluster endpoint and of the reader endpoint."""
    return (
        endpoint_name(identifier, resource_id, region),
        endpoint_name(identifier, resource_id, region, reader=True),
    )


def _watch(runtime: OpenRuntime, cluster: HostedCluster) -> ConnectionWatch:
    async def pause_it(still_idle: Callable[[], bool]) -> None:
        if cluster.writer.socket is None:
            return
        try:
            if await _is_kept_awake(runtime, cluster):
                return
            await in_thread(cluster.instances.storage.settle)
            if still_idle() and await pause(cluster, still_idle):
                runtime.note(cluster, PAUSED, NOTIFICATION)
        except (EngineError, psycopg.Error) as error:
            _log.error("cluster could not pause", cluster=cluster.identifier, error=str(error))

    return ConnectionWatch(
        idle_seconds(cluster.db_cluster.scaling),
        # As Aurora has it: who reads the log of a cluster has it run.
        available=lambda: (
            cluster.db_cluster.status is ClusterStatus.AVAILABLE
            and not decodes(runtime.parameters_of(cluster.id))
        ),
        at_rest=cluster.writer.socket is None,
        pause=pause_it,
    )


async def _is_kept_awake(runtime: OpenRuntime, cluster: HostedCluster) -> bool:
    """Whether something keeps an idle cluster from pausing; that is told when it is news."""
    ((slots, subscriptions, workers),) = await cluster.writer.execute(KEEPS_AWAKE, list(INTERNAL))
    found = Activity(slots, subscriptions, workers).keeps_awake
    if found and found != cluster.kept_awake:
        runtime.note(cluster, KEPT_AWAKE.format(found), NOTIFICATION)
    cluster.kept_awake = found
    if found and cluster.watch is not None:
        cluster.watch.started()
    return bool(found)


def _backend(cluster: HostedCluster, key: str) -> WriterBackend:
    watch = cluster.watch
    assert watch is not None, "an endpoint is opened once idleness is watched for"
    if key == WRITER:
        return WriterBackend(cluster, watch)
    if key == READER:
        return ReaderBackend(cluster, watch)
    if name := _named(key, INSTANCE):
        return InstanceBackend(cluster, watch, name)
    return CustomBackend(cluster, watch, _named(key, CUSTOM))


async def _open(runtime: OpenRuntime, cluster: HostedCluster, key: str) -> Endpoint:
    spec, backend = endpoint_spec(cluster, key), _backend(cluster, key)
    try:
        endpoint = await runtime.gateway.open_endpoint(spec, backend)
    except PortInUseError:
        if key == WRITER and cluster.db_cluster.port_was_requested:
            raise
        _log.warning("endpoint moves to another port", cluster=cluster.identifier, port=spec.port)
        endpoint = await runtime.gateway.open_endpoint(replace(spec, port=None), backend)
    cluster.endpoints[key] = endpoint
    return endpoint
