"""Operations on the endpoints of clusters, in RDS's shapes."""

from collections.abc import Mapping
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.services.rds import shapes
from cluster_runtime.api.services.rds.clusters import identifier_of
from cluster_runtime.api.services.rds.paging import filtered, page
from cluster_runtime.api.services.rds.parameters import arguments
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations.instances import (
    CreateDBClusterEndpoint,
    DeleteDBClusterEndpoint,
    ModifyDBClusterEndpoint,
)


class ClusterEndpoints:
    """What leads to instances of a cluster."""

    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime

    async def create(self, call: Call) -> Mapping[str, Any]:
        """CreateDBClusterEndpoint."""
        given = arguments(CreateDBClusterEndpoint.declared, call.members)
        return shapes.cluster_endpoint(await self._runtime.create_db_cluster_endpoint(**given))

    async def modify(self, call: Call) -> Mapping[str, Any]:
        """ModifyDBClusterEndpoint."""
        given = arguments(ModifyDBClusterEndpoint.declared, call.members)
        return shapes.cluster_endpoint(await self._runtime.modify_db_cluster_endpoint(**given))

    async def delete(self, call: Call) -> Mapping[str, Any]:
        """DeleteDBClusterEndpoint."""
        given = arguments(DeleteDBClusterEndpoint.declared, call.members)
        return shapes.cluster_endpoint(await self._runtime.delete_db_cluster_endpoint(**given))

    async def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeDBClusterEndpoints."""
        found = await self._runtime.describe_db_cluster_endpoints(
            identifier_of(call.members.get("DBClusterIdentifier")),
            call.members.get("DBClusterEndpointIdentifier"),
        )
        kept = filtered(
            found,
            call.members,
            {
                "db-cluster-endpoint-type": lambda facts: facts.endpoint_type.lower(),
                "db-cluster-endpoint-custom-type": lambda facts: facts.custom_endpoint_type.lower(),
                "db-cluster-endpoint-id": lambda facts: facts.db_cluster_endpoint_identifier,
                "db-cluster-endpoint-status": lambda facts: facts.status,
            },
        )
        shown, marker = page(kept, call.members, lambda facts: facts.endpoint)
        return {
            "DBClusterEndpoints": [shapes.cluster_endpoint(each) for each in shown],
            "Marker": marker,
        }
