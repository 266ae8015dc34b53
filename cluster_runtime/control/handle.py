"""A cluster as its callers hold it: a Protocol, and the handle on one that this process hosts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.records.advice import to_make_available, to_open_the_gateway
from cluster_runtime.control.records.model import (
    AT_REST,
    ClusterStatus,
    DBCluster,
    DBInstance,
    EndpointKind,
)
from cluster_runtime.errors import ClusterClosedError, InvalidClusterStateError
from cluster_runtime.host_connection import AsyncHostConnection, HostConnection

LOOPBACK = "127.0.0.1"
TAKES_CONNECTIONS = (ClusterStatus.AVAILABLE, ClusterStatus.MODIFYING, ClusterStatus.FAILING_OVER)
"""Through a failover the gateway lets clients wait."""


class Cluster(Protocol):
    """A handle on one cluster. `describe()` asks each time."""

    @property
    def id(self) -> str:
        """The resource id (`cluster-...`)."""

    @property
    def identifier(self) -> str:
        """Its name (DBClusterIdentifier), as it is now."""

    @property
    def status(self) -> ClusterStatus:
        """Its status now."""

    def describe(self) -> DBCluster:
        """What it is now."""

    @property
    def instances(self) -> Sequence[DBInstance]:
        """Its writer, then its readers."""

    def dsn(
        self,
        endpoint: EndpointKind = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
    ) -> str:
        """A libpq URI of an endpoint, through the gateway.

        It carries an IAM token as its password, which opens new connections for 15 minutes;
        ask again for each new connection (a pool takes `conninfo=cluster.dsn`).
        """

    def connect(self, endpoint: EndpointKind = "writer", **kwargs: Any) -> psycopg.Connection[Any]:
        """A psycopg connection; keyword arguments go to `psycopg.connect`."""

    async def aconnect(
        self, endpoint: EndpointKind = "writer", **kwargs: Any
    ) -> psycopg.AsyncConnection[Any]:
        """An asynchronous psycopg connection."""


class Host(Protocol):
    """What a handle asks of the process that hosts its cluster."""

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority."""

    def described(self, cluster: HostedCluster) -> DBCluster:
        """A cluster as it is now."""

    def instances(self, cluster: HostedCluster) -> Sequence[DBInstance]:
        """The instances of a cluster."""

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint."""


class ClusterHandle:
    """A cluster of an open runtime (`Cluster`)."""

    def __init__(self, service: Host, hosted: HostedCluster) -> None:
        self._service = service
        self._hosted = hosted

    def __repr__(self) -> str:
        return f"<cluster {self.identifier!r} ({self.status.value})>"

    @property
    def id(self) -> str:
        """The resource id (`cluster-...`)."""
        return self._hosted.id

    @property
    def identifier(self) -> str:
        """Its name (DBClusterIdentifier), as it is now."""
        return self._hosted.identifier

    @property
    def status(self) -> ClusterStatus:
        """Its status now."""
        return self._hosted.db_cluster.status

    def describe(self) -> DBCluster:
        """What it is now."""
        return self._service.described(self._hosted)

    @property
    def instances(self) -> Sequence[DBInstance]:
        """Its writer, then its readers."""
        return self._service.instances(self._hosted)

    def dsn(
        self,
        endpoint: EndpointKind = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
    ) -> str:
        """A libpq URI of an endpoint, through the gateway; as secret as a password.

        It carries an IAM token, which opens new connections for 15 minutes: ask again for each new
        connection. Raises InvalidClusterStateError while the endpoint is not open, and
        ClusterClosedError where waiting does not open it.
        """
        db_cluster = self.describe()
        if db_cluster.status not in TAKES_CONNECTIONS:
            said = f"cluster {self.identifier!r} takes no connections: {db_cluster.status}"
            if db_cluster.status in AT_REST:
                raise ClusterClosedError(said, *to_make_available(db_cluster))
            raise InvalidClusterStateError(said)
        if not db_cluster.internet_access_gateway_enabled:
            raise ClusterClosedError(
                f"cluster {self.identifier!r} takes no connections: its gateway is off",
                to_open_the_gateway(db_cluster),
            )
        host, port = (
            (db_cluster.endpoint, db_cluster.port)
            if endpoint == "writer"
            else (db_cluster.reader_endpoint, db_cluster.reader_port)
        )
        name = user or db_cluster.master_username
        token = self._service.token(db_cluster, host, port, name)
        return (
            f"postgresql://{quote(name, safe='')}:{quote(token, safe='')}@{host}:{port}/"
            f"{quote(dbname or db_cluster.database_name, safe='')}?hostaddr={LOOPBACK}"
            f"&sslmode=verify-full&sslrootcert={quote(str(self._service.certificate_path))}"
        )

    def connect(self, endpoint: EndpointKind = "writer", **kwargs: Any) -> psycopg.Connection[Any]:
        """A psycopg connection; keyword arguments go to `psycopg.connect`."""
        return HostConnection.connect(self.dsn(endpoint, **_who(kwargs)), **kwargs)

    async def aconnect(
        self, endpoint: EndpointKind = "writer", **kwargs: Any
    ) -> psycopg.AsyncConnection[Any]:
        """An asynchronous psycopg connection."""
        dsn = self.dsn(endpoint, **_who(kwargs))
        return await AsyncHostConnection.connect(dsn, **kwargs)


def _who(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the keyword arguments that the DSN must know out of those for psycopg."""
    return {name: kwargs.pop(name) for name in ("user", "dbname") if name in kwargs}
