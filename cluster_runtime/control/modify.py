"""ModifyDBCluster. Every change applies at once, and none of them ends a connection."""

from dataclasses import dataclass, field, replace
from typing import TypedDict

from cluster_runtime.control.context import Context, HostedCluster
from cluster_runtime.control.create import check_password, renamed, set_password
from cluster_runtime.control.endpoints import close_endpoints, open_endpoints, update_endpoints
from cluster_runtime.control.identifiers import check_identifier
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.model import (
    ClusterStatus,
    DBCluster,
    ServerlessScaling,
    StorageType,
)
from cluster_runtime.control.reset import reset_settings
from cluster_runtime.errors import ClusterAlreadyExistsError, InvalidParameterError


class ModifyOptions(TypedDict, total=False):
    """The parameters of ModifyDBCluster, as keyword arguments."""

    new_db_cluster_identifier: str | None
    master_user_password: str | None
    scaling: ServerlessScaling | None
    deletion_protection: bool | None
    iam_database_authentication_enabled: bool | None
    require_tls: bool | None
    internet_access_gateway_enabled: bool | None
    storage_type: StorageType | None
    reset_settings: bool


@dataclass(frozen=True, slots=True)
class ModifyRequest:
    """The parameters of ModifyDBCluster that the runtime takes; None leaves a thing as it is.

    reset_settings: ours alone; see `reset.reset_settings`.
    """

    new_db_cluster_identifier: str | None = None
    master_user_password: str | None = field(default=None, repr=False)
    scaling: ServerlessScaling | None = None
    deletion_protection: bool | None = None
    iam_database_authentication_enabled: bool | None = None
    require_tls: bool | None = None
    internet_access_gateway_enabled: bool | None = None
    storage_type: StorageType | None = None
    reset_settings: bool = False

    def __post_init__(self) -> None:
        if self.new_db_cluster_identifier is not None:
            check_identifier(self.new_db_cluster_identifier)
        check_password(self.master_user_password)
        if self.storage_type not in (None, "aurora", "aurora-iopt1"):
            raise InvalidParameterError(
                f"storage type {self.storage_type!r} is neither 'aurora' nor 'aurora-iopt1'"
            )

    def applied_to(self, facts: DBCluster) -> DBCluster:
        """The facts after this change."""
        if self.new_db_cluster_identifier is not None:
            facts = renamed(facts, check_identifier(self.new_db_cluster_identifier))
        changes = {
            name: value
            for name in (
                "scaling",
                "deletion_protection",
                "iam_database_authentication_enabled",
                "require_tls",
                "internet_access_gateway_enabled",
                "storage_type",
            )
            if (value := getattr(self, name)) is not None
        }
        return replace(facts, **changes)


async def modify_db_cluster(
    context: Context, cluster: HostedCluster, request: ModifyRequest
) -> DBCluster:
    """Raises ClusterAlreadyExistsError, InvalidClusterStateError, InvalidParameterError."""
    async with cluster.changing:
        cluster.require(ClusterStatus.AVAILABLE, ClusterStatus.STOPPED)
        after = request.applied_to(cluster.facts)
        _check_free(context, cluster, after.db_cluster_identifier)
        if request.master_user_password is not None:
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.compute.ensure_running()
            await set_password(cluster.compute, after.master_username, request.master_user_password)
        if request.reset_settings:
            cluster.require(ClusterStatus.AVAILABLE)
            await cluster.compute.ensure_running()
            await reset_settings(context, cluster)
        if request.storage_type is not None:
            storage = cluster.instances.storage
            await in_thread(storage.set_storage_type, request.storage_type)
        before = cluster.facts
        await context.store(cluster, after)
        if request.scaling is not None and cluster.watch is not None:
            cluster.watch.configured(request.scaling)
        if after.internet_access_gateway_enabled != before.internet_access_gateway_enabled:
            await _switch_gateway(context, cluster)
        update_endpoints(context, cluster)
        return cluster.facts


async def _switch_gateway(context: Context, cluster: HostedCluster) -> None:
    if not cluster.facts.internet_access_gateway_enabled:
        await close_endpoints(context, cluster)
    elif cluster.facts.status is ClusterStatus.AVAILABLE:
        await open_endpoints(context, cluster)
        await context.store(cluster, cluster.facts)


def _check_free(context: Context, cluster: HostedCluster, identifier: str) -> None:
    others = {other.identifier for other in context.clusters.values() if other is not cluster}
    if identifier in others | context.reserved:
        raise ClusterAlreadyExistsError(
            f"a cluster {identifier!r} exists already; choose another identifier"
        )
