"""Operations on the host: the process that a state directory's clusters live in. Ours."""

from dataclasses import dataclass

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import HOST


@operation("DescribeHost", of="Host", returns=HOST, ours=True, of_this_host=True)
@dataclass(frozen=True, slots=True)
class DescribeHost(Request):
    """Show the process that hosts the clusters: its release, region and certificates."""
