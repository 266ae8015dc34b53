"""Operations on clusters and their instances, in RDS's shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.services.rds import shapes
from cluster_runtime.api.services.rds.paging import filtered, page
from cluster_runtime.api.services.rds.parameters import arguments
from cluster_runtime.api.services.rds.without_effect import WITHOUT_EFFECT
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations.clusters import (
    CreateDBCluster,
    DeleteDBCluster,
    FailoverDBCluster,
    ModifyDBCluster,
)
from cluster_runtime.control.records.model import DBCluster, DBInstance


class Clusters:
    """Operations on clusters and their instances."""

    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime

    async def create(self, call: Call) -> Mapping[str, Any]:
        """CreateDBCluster."""
        members = dict(call.members)
        if members.get("WithExpressConfiguration"):
            members.setdefault("EnableIAMDatabaseAuthentication", True)
        given = arguments(
            CreateDBCluster.declared, members, without_effect=WITHOUT_EFFECT[call.operation]
        )
        cluster = await self._runtime.create_db_cluster(**given)
        return await self._one(cluster.describe())

    async def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeDBClusters."""
        found = await self._runtime.describe_db_clusters(
            identifier_of(call.members.get("DBClusterIdentifier"))
        )
        kept = filtered(
            found,
            call.members,
            {
                "db-cluster-id": lambda facts: facts.db_cluster_identifier,
                "db-cluster-resource-id": lambda facts: facts.db_cluster_resource_id,
                "engine": lambda facts: facts.engine,
            },
        )
        shown, marker = page(kept, call.members, lambda facts: facts.db_cluster_identifier)
        instances = await self._runtime.describe_db_instances()
        return {
            "DBClusters": [shapes.db_cluster(facts, _of(facts, instances)) for facts in shown],
            "Marker": marker,
        }

    async def modify(self, call: Call) -> Mapping[str, Any]:
        """ModifyDBCluster."""
        identifier = identifier_of(call.members["DBClusterIdentifier"]) or ""
        (facts,) = await self._runtime.describe_db_clusters(identifier)
        given = arguments(
            ModifyDBCluster.declared,
            {**call.members, "DBClusterIdentifier": identifier},
            without_effect=WITHOUT_EFFECT[call.operation],
            current={"scaling": facts.scaling},
        )
        return await self._one(await self._runtime.modify_db_cluster(**given))

    async def delete(self, call: Call) -> Mapping[str, Any]:
        """DeleteDBCluster."""
        given = arguments(
            DeleteDBCluster.declared, call.members, without_effect=WITHOUT_EFFECT[call.operation]
        )
        return {"DBCluster": shapes.db_cluster(await self._runtime.delete_db_cluster(**given), ())}

    async def start(self, call: Call) -> Mapping[str, Any]:
        """StartDBCluster."""
        return await self._one(
            await self._runtime.start_db_cluster(call.members["DBClusterIdentifier"])
        )

    async def stop(self, call: Call) -> Mapping[str, Any]:
        """StopDBCluster."""
        return await self._one(
            await self._runtime.stop_db_cluster(call.members["DBClusterIdentifier"])
        )

    async def failover(self, call: Call) -> Mapping[str, Any]:
        """FailoverDBCluster."""
        given = arguments(FailoverDBCluster.declared, call.members)
        return await self._one(await self._runtime.failover_db_cluster(**given))

    async def describe_instances(self, call: Call) -> Mapping[str, Any]:
        """DescribeDBInstances."""
        found = await self._runtime.describe_db_instances(call.members.get("DBInstanceIdentifier"))
        kept = filtered(
            found,
            call.members,
            {
                "db-instance-id": lambda facts: facts.db_instance_identifier,
                "db-cluster-id": lambda facts: facts.db_cluster_identifier,
                "engine": lambda facts: facts.engine,
            },
        )
        shown, marker = page(kept, call.members, lambda facts: facts.db_instance_identifier)
        clusters = {
            facts.db_cluster_identifier: facts
            for facts in await self._runtime.describe_db_clusters()
        }
        return {
            "DBInstances": [
                shapes.db_instance(each, clusters[each.db_cluster_identifier])
                for each in shown
                if each.db_cluster_identifier in clusters  # deleted meanwhile
            ],
            "Marker": marker,
        }

    async def _one(self, facts: DBCluster) -> Mapping[str, Any]:
        instances = await self._runtime.describe_db_instances(
            db_cluster_identifier=facts.db_cluster_resource_id
        )
        return {"DBCluster": shapes.db_cluster(facts, instances)}


def identifier_of(given: str | None) -> str | None:
    """A cluster's identifier, which RDS takes as its ARN too."""
    if given is not None and given.startswith("arn:"):
        return given.rpartition(":")[2]
    return given


def _of(facts: DBCluster, instances: Sequence[DBInstance]) -> list[DBInstance]:
    return [each for each in instances if each.db_cluster_identifier == facts.db_cluster_identifier]
