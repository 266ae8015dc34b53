"""The RDS-compatible endpoint of a host, and the clients of such an endpoint.

`build_app` makes the application, `ApiServer` serves it on the host's socket and on 127.0.0.1.
`RdsControlPlane` is the control plane behind an endpoint, a host's or Amazon's; `HostClient` asks a
host and loads next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster_runtime.api.access.credentials import Credentials
    from cluster_runtime.api.app import LOCAL_HOSTS, build_app
    from cluster_runtime.api.client.host import HostClient
    from cluster_runtime.api.client.plane import RdsControlPlane
    from cluster_runtime.api.client.transport import EndpointUnreachableError
    from cluster_runtime.api.server import ApiServer

__all__ = [
    "LOCAL_HOSTS",
    "ApiServer",
    "Credentials",
    "EndpointUnreachableError",
    "HostClient",
    "RdsControlPlane",
    "build_app",
]

_HOME = {
    "ApiServer": "server",
    "Credentials": "access.credentials",
    "EndpointUnreachableError": "client.transport",
    "HostClient": "client.host",
    "LOCAL_HOSTS": "app",
    "RdsControlPlane": "client.plane",
    "build_app": "app",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: a client on the command line needs neither Starlette nor botocore.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
