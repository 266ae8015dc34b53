"""What attached programs ask of a host beside operations: declared as those are.

They are no operations of the control plane, for a program that hosts in its own process needs none
of them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from cluster_runtime.control.operations.declaration import Declared, Request, Result, operation
from cluster_runtime.control.operations.types import ClusterReference
from cluster_runtime.errors import ClusterNotFoundError

HostKind = Literal["background", "serve", "program"]
"""What hosts: a process that was started for it, `borealis serve`, or a program of a user."""
HostState = Literal["starting", "ready", "ending"]


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Who hosts a state directory, as its file `host.json` says.

    socket: where it takes requests. protocol: the one that it speaks. version: of Borealis.
    endpoint_port: of its RDS-compatible endpoint on 127.0.0.1; None where it has none.
    gateway_port: of its gateway, for all endpoints; None where it has none.
    last_endpoint_port, last_gateway_port: of the last host that had one, which a later host takes
        again.
    directory: which folder this is said of (`finding.identity_of`): a copy of it is another one.
        None: a host of an earlier release does not say.
    """

    pid: int
    kind: HostKind
    state: HostState
    socket: Path
    protocol: int
    version: str
    start_time: datetime
    endpoint_port: int | None = None
    last_endpoint_port: int | None = None
    gateway_port: int | None = None
    last_gateway_port: int | None = None
    directory: str | None = None

    @property
    def endpoint_url(self) -> str | None:
        """What `--endpoint-url` and `AWS_ENDPOINT_URL_RDS` take; None where it has no endpoint."""
        return None if self.endpoint_port is None else f"http://127.0.0.1:{self.endpoint_port}"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host now. certificate_path: of the gateway's authority.

    attached: processes, the one that asks included. connections: through the gateway.
    running: clusters that have a process.
    idle_seconds: how long nobody has needed it. idle_seconds_max: when it ends; None: never.
    """

    facts: HostFacts
    certificate_path: Path
    attached: int
    connections: int
    running: int
    idle_seconds: float = 0.0
    idle_seconds_max: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A password for a user at an endpoint, for 15 minutes."""

    token: str = field(repr=False)


_HERE = __name__


@operation("GetHostStatus", of="Host", returns=Result(_HERE, "HostStatus"), ours=True)
@dataclass(frozen=True, slots=True)
class GetHostStatus(Request):
    """Show who hosts, and for whom."""


@operation(
    "GetToken",
    of="Host",
    returns=Result(_HERE, "Token"),
    raises=(ClusterNotFoundError,),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class GetToken(Request):
    """Sign an IAM token with the key of the host.

    hostname: of the endpoint.
    port: of the endpoint.
    username: whom the token stands for.
    """

    db_cluster_identifier: ClusterReference
    hostname: str
    port: int
    username: str


@operation("GetWarm", of="Host", returns=None, ours=True)
@dataclass(frozen=True, slots=True)
class GetWarm(Request):
    """Wait until the warm pool is full."""


CALLS: tuple[Declared, ...] = tuple(each.declared for each in (GetHostStatus, GetToken, GetWarm))
ATTACH = "Attach"
"""A call that lasts as long as the process that makes it is attached."""
