"""Operations on an Event: what happened to clusters."""

from dataclasses import dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Earlier, Request, operation
from cluster_runtime.control.operations.types import EVENTS
from cluster_runtime.errors import ClusterNotFoundError


@operation("DescribeEvents", of="Event", returns=EVENTS, raises=(ClusterNotFoundError,))
@dataclass(frozen=True, slots=True)
class DescribeEvents(Request):
    """Show what happened to one cluster, or to all: oldest first.

    source_identifier: identifier or resource id of the only cluster to look at.
    """

    source_identifier: Annotated[str | None, Earlier("identifier")] = None
