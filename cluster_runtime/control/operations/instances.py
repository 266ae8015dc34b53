"""Operations on a DBInstance: the writer of a cluster, or one of its readers."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import RDS_HAS_NONE, Request, operation
from cluster_runtime.control.operations.types import DB_INSTANCES
from cluster_runtime.errors import ClusterNotFoundError, InstanceNotFoundError


@operation(
    "DescribeDBInstances",
    of="DBInstance",
    returns=DB_INSTANCES,
    raises=(InstanceNotFoundError, ClusterNotFoundError),
)
@dataclass(frozen=True, slots=True)
class DescribeDBInstances(Request):
    """Show one instance, those of one cluster, or all; a writer comes before its readers.

    db_instance_identifier: the only instance to show.
    db_cluster_identifier: identifier or resource id of the cluster whose instances to show
        (the filter `db-cluster-id` of RDS).
    """

    db_instance_identifier: str | None = None
    _: KW_ONLY
    db_cluster_identifier: Annotated[str | None, RDS_HAS_NONE] = None
