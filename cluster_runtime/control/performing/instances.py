"""Operations on the instances of clusters, and on what leads to them; and failover."""

import asyncio
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.members import instance_named
from cluster_runtime.control.operations.clusters import FailoverDBCluster
from cluster_runtime.control.operations.instances import (
    CreateDBClusterEndpoint,
    CreateDBInstance,
    DeleteDBClusterEndpoint,
    DeleteDBInstance,
    DescribeDBClusterEndpoints,
    DescribeDBInstances,
    DescribeDBLogFiles,
    DownloadDBLogFilePortion,
    ModifyDBClusterEndpoint,
    ModifyDBInstance,
    RebootDBInstance,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.instances import DBClusterEndpoint
from cluster_runtime.control.records.model import DBCluster, DBInstance, InstanceStatus
from cluster_runtime.control.records.resources import DBLogFilePortion, DescribeDBLogFilesDetails
from cluster_runtime.control.workflows.instances import custom_endpoints, failover, lifecycle
from cluster_runtime.control.workflows.instances.log_files import (
    describe_log_files,
    log_file_portion,
)


class InstanceOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def describe_db_instances(self, request: DescribeDBInstances) -> list[DBInstance]:
        """Perform it; raises what `DescribeDBInstances` declares."""
        found = [
            instance
            for cluster in self._chosen(request.db_cluster_identifier)
            for instance in self.instances(cluster)
        ]
        if request.db_instance_identifier is None:
            return found
        return [instance_named(request.db_instance_identifier, found)]

    async def create_db_instance(self, request: CreateDBInstance) -> DBInstance:
        """Perform it; raises what `CreateDBInstance` declares."""
        cluster = self.find(request.db_cluster_identifier or "")
        name = await lifecycle.create_db_instance(self._runtime, cluster, request)
        return instance_named(name, self.instances(cluster))

    async def modify_db_instance(self, request: ModifyDBInstance) -> DBInstance:
        """Perform it; raises what `ModifyDBInstance` declares."""
        cluster, instance = self._instance(request.db_instance_identifier)
        await lifecycle.modify_db_instance(self._runtime, cluster, request)
        return instance_named(instance.db_instance_identifier, self.instances(cluster))

    async def delete_db_instance(self, request: DeleteDBInstance) -> DBInstance:
        """Perform it; raises what `DeleteDBInstance` declares."""
        cluster, instance = self._instance(request.db_instance_identifier)
        name = instance.db_instance_identifier
        await lifecycle.delete_db_instance(self._runtime, cluster, name)
        return replace(instance, db_instance_status=InstanceStatus.DELETING)

    async def reboot_db_instance(self, request: RebootDBInstance) -> DBInstance:
        """Perform it; raises what `RebootDBInstance` declares."""
        cluster, instance = self._instance(request.db_instance_identifier)
        name = instance.db_instance_identifier
        await lifecycle.reboot_db_instance(self._runtime, cluster, name)
        return instance_named(name, self.instances(cluster))

    async def describe_db_log_files(
        self, request: DescribeDBLogFiles
    ) -> list[DescribeDBLogFilesDetails]:
        """Perform it; raises what `DescribeDBLogFiles` declares."""
        cluster, instance = self._instance(request.db_instance_identifier)
        name = instance.db_instance_identifier
        return await asyncio.to_thread(describe_log_files, cluster, name, request)

    async def download_db_log_file_portion(
        self, request: DownloadDBLogFilePortion
    ) -> DBLogFilePortion:
        """Perform it; raises what `DownloadDBLogFilePortion` declares."""
        cluster, instance = self._instance(request.db_instance_identifier)
        name = instance.db_instance_identifier
        return await asyncio.to_thread(log_file_portion, cluster, name, request)

    async def failover_db_cluster(self, request: FailoverDBCluster) -> DBCluster:
        """Perform it; raises what `FailoverDBCluster` declares."""
        cluster = self.find(request.db_cluster_identifier)
        target = request.target_db_instance_identifier
        await failover.failover_db_cluster(self._runtime, cluster, target)
        return self.described(cluster)

    async def create_db_cluster_endpoint(
        self, request: CreateDBClusterEndpoint
    ) -> DBClusterEndpoint:
        """Perform it; raises what `CreateDBClusterEndpoint` declares."""
        cluster = self.find(request.db_cluster_identifier)
        return await custom_endpoints.create_cluster_endpoint(self._runtime, cluster, request)

    async def describe_db_cluster_endpoints(
        self, request: DescribeDBClusterEndpoints
    ) -> list[DBClusterEndpoint]:
        """Perform it; raises what `DescribeDBClusterEndpoints` declares."""
        chosen = self._chosen(request.db_cluster_identifier)
        return custom_endpoints.describe_cluster_endpoints(chosen, request)

    async def modify_db_cluster_endpoint(
        self, request: ModifyDBClusterEndpoint
    ) -> DBClusterEndpoint:
        """Perform it; raises what `ModifyDBClusterEndpoint` declares."""
        return await custom_endpoints.modify_cluster_endpoint(self._runtime, request)

    async def delete_db_cluster_endpoint(
        self, request: DeleteDBClusterEndpoint
    ) -> DBClusterEndpoint:
        """Perform it; raises what `DeleteDBClusterEndpoint` declares."""
        identifier = request.db_cluster_endpoint_identifier
        return await custom_endpoints.delete_cluster_endpoint(self._runtime, identifier)

    def _instance(self, identifier: str) -> tuple[HostedCluster, DBInstance]:
        """An instance and its cluster. Raises InstanceNotFoundError."""
        found = [
            (cluster, each) for cluster in self._chosen(None) for each in self.instances(cluster)
        ]
        instance = instance_named(identifier, [each for _, each in found])
        return next((cluster, each) for cluster, each in found if each == instance)
