"""A handle on a cluster behind an endpoint."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import psycopg

from cluster_runtime.control.records.model import ClusterStatus, DBCluster, DBInstance


class Plane(Protocol):
    """What a handle asks of the control plane that it is of."""

    def describe_db_clusters(self, db_cluster_identifier: str | None = None) -> Sequence[DBCluster]:
        """The facts of clusters."""

    def describe_db_instances(
        self, db_instance_identifier: str | None = None, *, db_cluster_identifier: str | None = None
    ) -> Sequence[DBInstance]:
        """Instances."""


Dsn = Callable[[DBCluster, str, str | None, str | None, int | None], str]
"""Makes a libpq URI: of a cluster's endpoint, for a user, a database, by a port or their defaults.
"""


class RemoteCluster:
    """A cluster behind an endpoint (`cluster_runtime.control.plane.Cluster`)."""

    def __init__(self, plane: Plane, facts: DBCluster, dsn: Dsn) -> None:
        self._plane = plane
        self._first = facts
        self._dsn = dsn

    def __repr__(self) -> str:
        return f"<cluster {self._first.db_cluster_identifier!r} behind an endpoint>"

    @property
    def id(self) -> str:
        """The resource id (`cluster-...`)."""
        return self._first.db_cluster_resource_id

    @property
    def identifier(self) -> str:
        """Its name (DBClusterIdentifier), as it is now."""
        return self.describe().db_cluster_identifier

    @property
    def status(self) -> ClusterStatus:
        """Its status now."""
        return self.describe().status

    def describe(self) -> DBCluster:
        """Its facts now."""
        (facts,) = self._plane.describe_db_clusters(self.id)
        return facts

    @property
    def instances(self) -> Sequence[DBInstance]:
        """Its writer, then its readers."""
        return self._plane.describe_db_instances(db_cluster_identifier=self.id)

    def dsn(
        self,
        endpoint: str = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
        port: int | None = None,
    ) -> str:
        """A libpq URI of an endpoint; as secret as a password.

        It carries an IAM token, which opens new connections for 15 minutes: ask again for each new
        connection. port: another one that leads there, such as a host's `gateway_port`. Raises
        InvalidClusterStateError while the endpoint is not open.
        """
        return self._dsn(self.describe(), endpoint, user, dbname, port)

    def connect(self, endpoint: str = "writer", **kwargs: Any) -> psycopg.Connection[Any]:
        """A psycopg connection; keyword arguments go to `psycopg.connect`."""
        who = _taken_out(kwargs)
        return psycopg.connect(self.dsn(endpoint, **who), **kwargs)

    async def aconnect(
        self, endpoint: str = "writer", **kwargs: Any
    ) -> psycopg.AsyncConnection[Any]:
        """An asynchronous psycopg connection."""
        dsn = await asyncio.to_thread(self.dsn, endpoint, **_taken_out(kwargs))
        return await psycopg.AsyncConnection.connect(dsn, **kwargs)


def _taken_out(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments that the DSN must know, taken out of those for psycopg."""
    return {name: kwargs.pop(name) for name in ("user", "dbname") if name in kwargs}
