"""Operations on parameter groups, and on the versions that they are of."""

import asyncio

from cluster_runtime.control.operations.engines import (
    CreateDBClusterParameterGroup,
    DeleteDBClusterParameterGroup,
    DescribeDBClusterParameterGroups,
    DescribeDBClusterParameters,
    DescribeDBEngineVersions,
    DescribeOrderableDBInstanceOptions,
    ModifyDBClusterParameterGroup,
    ResetDBClusterParameterGroup,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup, DBParameter
from cluster_runtime.control.records.resources import DBEngineVersion, OrderableDBInstanceOption
from cluster_runtime.control.workflows import engines, parameter_groups


class ParameterGroupOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def describe_db_engine_versions(
        self, request: DescribeDBEngineVersions
    ) -> list[DBEngineVersion]:
        """Perform it."""
        return await asyncio.to_thread(
            engines.engine_versions, request, self._runtime.engine_version
        )

    async def describe_orderable_db_instance_options(
        self, request: DescribeOrderableDBInstanceOptions
    ) -> list[OrderableDBInstanceOption]:
        """Perform it."""
        return await asyncio.to_thread(engines.orderable_options, request)

    async def create_db_cluster_parameter_group(
        self, request: CreateDBClusterParameterGroup
    ) -> DBClusterParameterGroup:
        """Perform it; raises what `CreateDBClusterParameterGroup` declares."""
        return await parameter_groups.create_group(self._runtime, request)

    async def describe_db_cluster_parameter_groups(
        self, request: DescribeDBClusterParameterGroups
    ) -> list[DBClusterParameterGroup]:
        """Perform it; raises what `DescribeDBClusterParameterGroups` declares."""
        name = request.db_cluster_parameter_group_name
        return await asyncio.to_thread(parameter_groups.describe_groups, self._runtime, name)

    async def describe_db_cluster_parameters(
        self, request: DescribeDBClusterParameters
    ) -> list[DBParameter]:
        """Perform it; raises what `DescribeDBClusterParameters` declares."""
        return await parameter_groups.describe_parameters(self._runtime, request)

    async def modify_db_cluster_parameter_group(
        self, request: ModifyDBClusterParameterGroup
    ) -> DBClusterParameterGroup:
        """Perform it; raises what `ModifyDBClusterParameterGroup` declares."""
        return await parameter_groups.modify_group(self._runtime, request)

    async def reset_db_cluster_parameter_group(
        self, request: ResetDBClusterParameterGroup
    ) -> DBClusterParameterGroup:
        """Perform it; raises what `ResetDBClusterParameterGroup` declares."""
        return await parameter_groups.reset_group(self._runtime, request)

    async def delete_db_cluster_parameter_group(
        self, request: DeleteDBClusterParameterGroup
    ) -> None:
        """Perform it; raises what `DeleteDBClusterParameterGroup` declares."""
        await parameter_groups.delete_group(self._runtime, request.db_cluster_parameter_group_name)
