"""How much of a gateway its clients may take up."""

from dataclasses import dataclass, fields

from cluster_runtime.errors import InvalidParameterError


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bounds of every gateway of a runtime. Raises InvalidParameterError for one below 1.

    max_connections: authenticated connections of one endpoint. It takes no more than its instance,
        less the few that the runtime needs itself.
    unauthenticated_per_endpoint: places for connections in their startup that an endpoint has to
        itself, whatever is done to others.
    unauthenticated_shared: places beyond those, for whichever endpoint needs them.
    unauthenticated_per_address: connections in their startup from one client address.
    authentication_timeout: seconds from accept to an established connection, waking included.
    """

    max_connections: int = 990
    unauthenticated_per_endpoint: int = 32
    unauthenticated_shared: int = 256
    unauthenticated_per_address: int = 256
    authentication_timeout: float = 60.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 0 if each.name == "unauthenticated_shared" else 1
            if each.name == "authentication_timeout":
                if not value > 0:
                    raise InvalidParameterError(f"{each.name} is {value} s; it must be above 0")
            elif value < least:
                raise InvalidParameterError(f"{each.name} is {value}; it must be {least} or more")
