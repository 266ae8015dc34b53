"""Operations on any resource: its tags, and what will be done to it; and on the host."""

from dataclasses import dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import (
    HOST,
    MAINTENANCE,
    TAGS,
    ResourceName,
)
from cluster_runtime.control.records.fields import Doc
from cluster_runtime.control.records.resources import Tag
from cluster_runtime.errors import (
    ClusterNotFoundError,
    InstanceNotFoundError,
    InvalidParameterError,
)

TAG_NOUN = "Tag"


@operation(
    "ListTagsForResource",
    of=TAG_NOUN,
    returns=TAGS,
    raises=(ClusterNotFoundError, InstanceNotFoundError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class ListTagsForResource(Request):
    """Show the tags of a cluster. Instances have those of their cluster."""

    resource_name: ResourceName


@operation(
    "AddTagsToResource",
    of=TAG_NOUN,
    returns=None,
    raises=(ClusterNotFoundError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class AddTagsToResource(Request):
    """Give a cluster tags; a key that it has already gets the new value.

    tags: at most 50 in all.
    """

    resource_name: ResourceName
    tags: tuple[Tag, ...]


@operation(
    "RemoveTagsFromResource",
    of=TAG_NOUN,
    returns=None,
    raises=(ClusterNotFoundError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class RemoveTagsFromResource(Request):
    """Take tags from a cluster.

    tag_keys: those that it has not are passed over.
    """

    resource_name: ResourceName
    tag_keys: tuple[str, ...]


@operation(
    "DescribePendingMaintenanceActions",
    of="PendingMaintenanceAction",
    returns=MAINTENANCE,
    raises=(ClusterNotFoundError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class DescribePendingMaintenanceActions(Request):
    """Show what will be done to clusters at their next start, or could be done.

    resource_identifier: ARN of the only cluster to look at.
    """

    resource_identifier: Annotated[str, Doc("ARN of a cluster.")] | None = None


@operation("DescribeHost", of="Host", returns=HOST, ours=True, of_this_host=True)
@dataclass(frozen=True, slots=True)
class DescribeHost(Request):
    """Show the process that hosts the clusters: its release, region and certificates."""
