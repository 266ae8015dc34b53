"""Operations on anything that has an ARN: tags, and maintenance that waits."""

import asyncio

from cluster_runtime.control.operations.resources import (
    AddTagsToResource,
    DescribePendingMaintenanceActions,
    ListTagsForResource,
    RemoveTagsFromResource,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.records.resources import ResourcePendingMaintenanceActions, Tag
from cluster_runtime.control.workflows import resources


class ResourceOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def list_tags_for_resource(self, request: ListTagsForResource) -> list[Tag]:
        """Perform it; raises what `ListTagsForResource` declares."""
        return list(resources.resource(self._runtime, request.resource_name).db_cluster.tag_list)

    async def add_tags_to_resource(self, request: AddTagsToResource) -> None:
        """Perform it; raises what `AddTagsToResource` declares."""
        await resources.add_tags(self._runtime, request.resource_name, request.tags)

    async def remove_tags_from_resource(self, request: RemoveTagsFromResource) -> None:
        """Perform it; raises what `RemoveTagsFromResource` declares."""
        await resources.remove_tags(self._runtime, request.resource_name, request.tag_keys)

    async def describe_pending_maintenance_actions(
        self, request: DescribePendingMaintenanceActions
    ) -> list[ResourcePendingMaintenanceActions]:
        """Perform it; raises what `DescribePendingMaintenanceActions` declares."""
        named = request.resource_identifier
        chosen = self._chosen(None) if named is None else [resources.resource(self._runtime, named)]
        return await asyncio.to_thread(resources.pending_maintenance, chosen)
