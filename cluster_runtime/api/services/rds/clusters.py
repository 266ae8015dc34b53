"""Making and deleting clusters, which means something else in RDS than in the runtime."""

from collections.abc import Mapping
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.refusals import invalid_combination
from cluster_runtime.api.services.rds.declared import FromDeclaration, identifier_of
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations.clusters import CreateDBCluster, DeleteDBCluster
from cluster_runtime.errors import InvalidClusterStateError


class Clusters:
    """CreateDBCluster and DeleteDBCluster."""

    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime
        self._create = FromDeclaration(runtime, CreateDBCluster.declared)
        self._delete = FromDeclaration(runtime, DeleteDBCluster.declared)

    async def create(self, call: Call) -> Mapping[str, Any]:
        """CreateDBCluster: only the express configuration makes an instance, as RDS has it."""
        members = dict(call.members)
        express = bool(members.get("WithExpressConfiguration"))
        if express:
            members.setdefault("EnableIAMDatabaseAuthentication", True)
        return await self._create.perform_with(call, members, with_writer=express)

    async def delete(self, call: Call) -> Mapping[str, Any]:
        """DeleteDBCluster: of a cluster without instances, as RDS has it."""
        identifier = identifier_of(call.members["DBClusterIdentifier"])
        instances = await self._runtime.describe_db_instances(db_cluster_identifier=identifier)
        if instances:
            raise InvalidClusterStateError(
                "Cluster cannot be deleted, it still contains DB instances in non-deleting state: ",
                ", ".join(each.db_instance_identifier for each in instances),
            )
        if call.members.get("SkipFinalSnapshot") and "FinalDBSnapshotIdentifier" in call.members:
            raise invalid_combination(
                "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is true"
            )
        return await self._delete.perform(call)
