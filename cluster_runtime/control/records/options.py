"""What a host is opened with. Light: who attaches to a host knows its options too."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster_runtime.gateway import GatewayLimits
    from cluster_runtime.serverless.options import CapacityOptions

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """warm_pool_size: unnamed clusters kept ready; region: the one that endpoint names carry;
    engine_version: of new clusters, unless their create names another one; gateway_limits: of
    connections, at every endpoint; None: the usual ones; endpoint_port: of the RDS-compatible
    endpoint on 127.0.0.1; 0: the one it had before, or any free one; None: no such endpoint;
    gateway_port: of the gateway's port that leads to all endpoints by name, in the same way;
    capacity: how the machine is given to serverless instances; None: as usual.
    """

    warm_pool_size: int = 1
    region: str = DEFAULT_REGION
    engine_version: str | None = None
    gateway_limits: "GatewayLimits | None" = None
    endpoint_port: int | None = None
    gateway_port: int | None = 0
    capacity: "CapacityOptions | None" = None
