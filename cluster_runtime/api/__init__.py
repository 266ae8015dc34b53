"""The RDS-compatible endpoint of a host, and the client of such an endpoint.

`build_app` makes the application, `ApiServer` serves it on 127.0.0.1 and on a private socket.
"""

from cluster_runtime.api.app import LOCAL_HOSTS, build_app
from cluster_runtime.api.credentials import Credentials
from cluster_runtime.api.server import ApiServer, socket_path

__all__ = ["LOCAL_HOSTS", "ApiServer", "Credentials", "build_app", "socket_path"]
