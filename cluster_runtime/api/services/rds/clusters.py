"""Operations on clusters and their instances, in RDS's shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.services.rds import shapes
from cluster_runtime.api.services.rds.paging import filtered, page
from cluster_runtime.api.services.rds.parameters import arguments
from cluster_runtime.api.services.rds.without_effect import WITHOUT_EFFECT
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations import Declared
from cluster_runtime.control.operations.clusters import (
    CreateDBCluster,
    DeleteDBCluster,
    FailoverDBCluster,
    ModifyDBCluster,
)
from cluster_runtime.control.operations.instances import (
    CreateDBInstance,
    DeleteDBInstance,
    RebootDBInstance,
)
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.records.model import DBCluster, DBInstance
from cluster_runtime.errors import InvalidClusterStateError


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
        # As RDS has it: only the express configuration makes an instance.
        given["with_writer"] = given["with_express_configuration"]
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
        """DeleteDBCluster: of a cluster without instances, as RDS has it."""
        identifier = identifier_of(call.members["DBClusterIdentifier"])
        instances = await self._runtime.describe_db_instances(db_cluster_identifier=identifier)
        if instances:
            raise InvalidClusterStateError(
                "Cluster cannot be deleted, it still contains DB instances in non-deleting state: ",
                ", ".join(each.db_instance_identifier for each in instances),
            )
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

    async def restore_to_point_in_time(self, call: Call) -> Mapping[str, Any]:
        """RestoreDBClusterToPointInTime. As RDS has it: without an instance."""
        members = dict(call.members)
        named = members.pop("SourceDbClusterResourceId", None)
        members.setdefault("SourceDBClusterIdentifier", named)
        members["SourceDBClusterIdentifier"] = identifier_of(members["SourceDBClusterIdentifier"])
        given = self._given(RestoreDBClusterToPointInTime.declared, call, members)
        made = await self._runtime.restore_db_cluster_to_point_in_time(**given, with_writer=False)
        return await self._one(made.describe())

    async def create_instance(self, call: Call) -> Mapping[str, Any]:
        """CreateDBInstance."""
        members = dict(call.members)
        if "DBClusterIdentifier" in members:
            members["DBClusterIdentifier"] = identifier_of(members["DBClusterIdentifier"])
        given = self._given(CreateDBInstance.declared, call, members)
        return await self._instance(await self._runtime.create_db_instance(**given))

    async def delete_instance(self, call: Call) -> Mapping[str, Any]:
        """DeleteDBInstance."""
        name = call.members["DBInstanceIdentifier"]
        (instance,) = await self._runtime.describe_db_instances(name)
        (cluster,) = await self._runtime.describe_db_clusters(instance.db_cluster_identifier)
        given = self._given(DeleteDBInstance.declared, call, call.members)
        deleted = await self._runtime.delete_db_instance(**given)
        return {"DBInstance": shapes.db_instance(deleted, cluster)}

    async def reboot_instance(self, call: Call) -> Mapping[str, Any]:
        """RebootDBInstance."""
        given = self._given(RebootDBInstance.declared, call, call.members)
        return await self._instance(await self._runtime.reboot_db_instance(**given))

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

    def _given(self, declared: Declared, call: Call, members: Mapping[str, Any]) -> dict[str, Any]:
        unmeaning = WITHOUT_EFFECT.get(call.operation, frozenset())
        return arguments(declared, members, without_effect=unmeaning)

    async def _instance(self, instance: DBInstance) -> Mapping[str, Any]:
        (cluster,) = await self._runtime.describe_db_clusters(instance.db_cluster_identifier)
        return {"DBInstance": shapes.db_instance(instance, cluster)}

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
