"""CreateDBClusterEndpoint, ModifyDBClusterEndpoint, DeleteDBClusterEndpoint, and what there is."""

from collections.abc import Iterable
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import (
    CUSTOM,
    READER,
    WRITER,
    address_of,
    close_endpoint,
    of_custom,
    open_custom_endpoint,
)
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.instances import (
    CreateDBClusterEndpoint,
    DescribeDBClusterEndpoints,
    ModifyDBClusterEndpoint,
)
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.instances import (
    CustomEndpointRecord,
    DBClusterEndpoint,
    new_endpoint_resource_id,
)
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.errors import (
    ClusterEndpointAlreadyExistsError,
    ClusterEndpointNotFoundError,
    InstanceNotFoundError,
)
from cluster_runtime.wording import Hint, Operation

ACCOUNT = "000000000000"


async def create_cluster_endpoint(
    runtime: OpenRuntime, cluster: HostedCluster, request: CreateDBClusterEndpoint
) -> DBClusterEndpoint:
    """Raises what `CreateDBClusterEndpoint` declares."""
    identifier = check_identifier(request.db_cluster_endpoint_identifier)
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE, ClusterStatus.STOPPED)
        taken = {name for each in runtime.clusters.values() for name in each.custom}
        if identifier in taken:
            raise ClusterEndpointAlreadyExistsError(
                f"a custom endpoint {identifier!r} exists already; choose another identifier"
            )
        record = CustomEndpointRecord(
            identifier,
            new_endpoint_resource_id(),
            cluster.id,
            request.endpoint_type,
            _members(cluster, request.static_members),
            _members(cluster, request.excluded_members),
        )
        await in_thread(runtime.catalog.put_custom_endpoint, record)
        cluster.custom[identifier] = record
        if cluster.endpoints:
            await open_custom_endpoint(runtime, cluster, record)
        return _described(cluster, of_custom(identifier))


async def modify_cluster_endpoint(
    runtime: OpenRuntime, request: ModifyDBClusterEndpoint
) -> DBClusterEndpoint:
    """For connections from now on. Raises what `ModifyDBClusterEndpoint` declares."""
    cluster, before = custom_endpoint(runtime, request.db_cluster_endpoint_identifier)
    async with cluster.changing:
        after = replace(
            before, custom_endpoint_type=request.endpoint_type or before.custom_endpoint_type
        )
        if request.static_members or request.excluded_members:
            after = replace(
                after,
                static_members=_members(cluster, request.static_members),
                excluded_members=_members(cluster, request.excluded_members),
            )
        await in_thread(runtime.catalog.put_custom_endpoint, after)
        cluster.custom[before.identifier] = after
        return _described(cluster, of_custom(before.identifier))


async def delete_cluster_endpoint(runtime: OpenRuntime, identifier: str) -> DBClusterEndpoint:
    """Its connections end. Raises what `DeleteDBClusterEndpoint` declares."""
    cluster, record = custom_endpoint(runtime, identifier)
    async with cluster.changing:
        last = replace(_described(cluster, of_custom(record.identifier)), status="deleting")
        await in_thread(runtime.catalog.remove_custom_endpoint, record.identifier)
        await close_endpoint(runtime, cluster, of_custom(record.identifier))
        cluster.custom.pop(record.identifier, None)
        return last


def describe_cluster_endpoints(
    clusters: Iterable[HostedCluster], request: DescribeDBClusterEndpoints
) -> list[DBClusterEndpoint]:
    """Those of the clusters, each one's own two before its custom ones; or a named one."""
    wanted = request.db_cluster_endpoint_identifier
    found = [
        _described(cluster, key)
        for cluster in clusters
        for key in (WRITER, READER, *map(of_custom, sorted(cluster.custom)))
    ]
    return [each for each in found if wanted in (None, each.db_cluster_endpoint_identifier)]


def custom_endpoint(
    runtime: OpenRuntime, identifier: str
) -> tuple[HostedCluster, CustomEndpointRecord]:
    """A custom endpoint and its cluster. Raises ClusterEndpointNotFoundError."""
    for cluster in runtime.clusters.values():
        if identifier.lower() in cluster.custom:
            return cluster, cluster.custom[identifier.lower()]
    raise ClusterEndpointNotFoundError(
        f"no custom endpoint {identifier!r}",
        Hint("{} lists all of them", Operation("describe_db_cluster_endpoints")),
    )


def _members(cluster: HostedCluster, names: Iterable[str]) -> tuple[str, ...]:
    """Raises InstanceNotFoundError for a name that is no instance of the cluster."""
    found = tuple(name.lower() for name in names)
    for name in found:
        if name not in cluster.records:
            raise InstanceNotFoundError(
                f"cluster {cluster.identifier!r} has no instance {name!r}; it has "
                + (", ".join(cluster.records) or "none")
            )
    return found


def _described(cluster: HostedCluster, key: str) -> DBClusterEndpoint:
    host, port = address_of(cluster, key)
    opened = cluster.endpoints.get(key)
    custom = cluster.custom.get(key.removeprefix(CUSTOM))
    status = "available" if opened is not None else "inactive"
    if custom is None:
        return DBClusterEndpoint("", cluster.identifier, "", host, status, key.upper(), port=port)
    region = cluster.db_cluster.region
    return DBClusterEndpoint(
        custom.identifier,
        cluster.identifier,
        custom.resource_id,
        host,
        status,
        "CUSTOM",
        custom.custom_endpoint_type,
        custom.static_members,
        custom.excluded_members,
        f"arn:aws:rds:{region}:{ACCOUNT}:cluster-endpoint:{custom.identifier}",
        port,
    )
