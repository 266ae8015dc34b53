"""A cluster as its callers hold it: a Protocol, and the handle that a runtime gives.

psycopg and asyncio are loaded when they are needed: a command that looks at clusters waits for
neither.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from cluster_runtime.control.records.advice import (
    to_make_a_writer,
    to_make_available,
    to_open_the_gateway,
)
from cluster_runtime.control.records.model import (
    AT_REST,
    ClusterStatus,
    DBCluster,
    DBInstance,
)
from cluster_runtime.errors import ClusterClosedError, InvalidClusterStateError

if TYPE_CHECKING:
    import psycopg

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
        endpoint: str = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
        port: int | None = None,
    ) -> str:
        """A libpq URI of an endpoint, through the gateway.

        endpoint: `writer`, `reader`, or the name of an instance or of a custom endpoint.
        It carries an IAM token as its password, which opens new connections for 15 minutes;
        ask again for each new connection (a pool takes `conninfo=cluster.dsn`).
        port: another one that leads there: the host's `gateway_port`, which all endpoints share.
        """

    def connect(self, endpoint: str = "writer", **kwargs: Any) -> "psycopg.Connection[Any]":
        """A psycopg connection; keyword arguments go to `psycopg.connect`."""

    async def aconnect(
        self, endpoint: str = "writer", **kwargs: Any
    ) -> "psycopg.AsyncConnection[Any]":
        """An asynchronous psycopg connection."""


class Source(Protocol):
    """Where a handle has its cluster: in this process, or in the one that hosts it."""

    @property
    def id(self) -> str:
        """The resource id."""

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority."""

    def described(self) -> DBCluster:
        """The cluster as it is now."""

    def instances(self) -> Sequence[DBInstance]:
        """Its instances."""

    def address(self, endpoint: str) -> tuple[str, int]:
        """Host name and port of an endpoint. Raises InvalidParameterError."""

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint."""


class ClusterHandle:
    """A cluster of an open runtime (`Cluster`), hosted in this process or by another one."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __repr__(self) -> str:
        db_cluster = self.describe()
        return f"<cluster {db_cluster.db_cluster_identifier!r} ({db_cluster.status.value})>"

    @property
    def id(self) -> str:
        """The resource id (`cluster-...`)."""
        return self._source.id

    @property
    def identifier(self) -> str:
        """Its name (DBClusterIdentifier), as it is now."""
        return self.describe().db_cluster_identifier

    @property
    def status(self) -> ClusterStatus:
        """Its status now."""
        return self.describe().status

    def describe(self) -> DBCluster:
        """What it is now."""
        return self._source.described()

    @property
    def instances(self) -> Sequence[DBInstance]:
        """Its writer, then its readers."""
        return self._source.instances()

    def dsn(
        self,
        endpoint: str = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
        port: int | None = None,
    ) -> str:
        """A libpq URI of an endpoint, through the gateway; as secret as a password.

        endpoint: `writer`, `reader`, or the name of an instance or of a custom endpoint.
        It carries an IAM token, which opens new connections for 15 minutes: ask again for each new
        connection. port: another one that leads there: the host's `gateway_port`, which all
        endpoints share. Raises InvalidClusterStateError while the endpoint is not open,
        ClusterClosedError where waiting does not open it, and InvalidParameterError for an endpoint
        that there is not.
        """
        db_cluster = self.describe()
        refused = f"cluster {db_cluster.db_cluster_identifier!r} takes no connections"
        if db_cluster.status not in TAKES_CONNECTIONS:
            said = f"{refused}: {db_cluster.status}"
            if db_cluster.status in AT_REST:
                raise ClusterClosedError(said, *to_make_available(db_cluster))
            raise InvalidClusterStateError(said)
        if not db_cluster.has_writer:
            raise ClusterClosedError(
                f"{refused}: it has no instance",
                to_make_a_writer(db_cluster),
            )
        if not db_cluster.internet_access_gateway_enabled:
            raise ClusterClosedError(
                f"{refused}: its gateway is off",
                to_open_the_gateway(db_cluster),
            )
        own = {
            "writer": (db_cluster.endpoint, db_cluster.port),
            "reader": (db_cluster.reader_endpoint, db_cluster.reader_port),
        }
        host, own_port = own.get(endpoint) or self._source.address(endpoint)
        port = port or own_port
        name = user or db_cluster.master_username
        token = self._source.token(db_cluster, host, port, name)
        return (
            f"postgresql://{quote(name, safe='')}:{quote(token, safe='')}@{host}:{port}/"
            f"{quote(dbname or db_cluster.database_name, safe='')}?hostaddr={LOOPBACK}"
            f"&sslmode=verify-full&sslrootcert={quote(str(self._source.certificate_path))}"
        )

    def connect(self, endpoint: str = "writer", **kwargs: Any) -> "psycopg.Connection[Any]":
        """A psycopg connection; keyword arguments go to `psycopg.connect`."""
        from cluster_runtime.host_connection import HostConnection

        return HostConnection.connect(self.dsn(endpoint, **_who(kwargs)), **kwargs)

    async def aconnect(
        self, endpoint: str = "writer", **kwargs: Any
    ) -> "psycopg.AsyncConnection[Any]":
        """An asynchronous psycopg connection."""
        import asyncio

        from cluster_runtime.host_connection import AsyncHostConnection

        # In a thread: another process may have to be asked, and may have to be started first.
        who = _who(kwargs)
        dsn = await asyncio.to_thread(lambda: self.dsn(endpoint, **who))
        return await AsyncHostConnection.connect(dsn, **kwargs)


def _who(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the keyword arguments that the DSN must know out of those for psycopg."""
    return {name: kwargs.pop(name) for name in ("user", "dbname") if name in kwargs}
