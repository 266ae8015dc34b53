"""The control plane as its callers see it: one Protocol, shaped like the RDS API.

`cluster_runtime.Runtime` is the local implementation. Code that creates and uses clusters
(the MCP tools, the memory backends, the command line) depends on these two Protocols alone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import psycopg

from cluster_runtime.control.model import (
    ClusterStatus,
    DBCluster,
    EndpointKind,
    Event,
    ServerlessScaling,
    StorageType,
)


class Cluster(Protocol):
    """A handle on one cluster. Its facts are read again at each `describe()`."""

    @property
    def id(self) -> str:
        """The resource id (`cluster-...`)."""

    @property
    def identifier(self) -> str:
        """The name it was created under (DBClusterIdentifier)."""

    @property
    def status(self) -> ClusterStatus: ...

    def describe(self) -> DBCluster: ...

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


class ControlPlane(Protocol):
    """Operations on clusters; each named after its RDS API operation.

    `identifier` is a DBClusterIdentifier or a DbClusterResourceId. Errors are those of
    `cluster_runtime.errors`.
    """

    def create_db_cluster(
        self,
        identifier: str,
        *,
        with_express_configuration: bool = True,
        engine_version: str | None = None,
        database_name: str = "postgres",
        master_username: str = "postgres",
        master_user_password: str | None = None,
        scaling: ServerlessScaling | None = None,
        storage_type: StorageType = "aurora",
        deletion_protection: bool = False,
        port: int | None = None,
    ) -> Cluster: ...

    def cluster(self, identifier: str) -> Cluster: ...

    def describe_db_clusters(self, identifier: str | None = None) -> Sequence[DBCluster]: ...

    def modify_db_cluster(
        self,
        identifier: str,
        *,
        new_db_cluster_identifier: str | None = None,
        master_user_password: str | None = None,
        scaling: ServerlessScaling | None = None,
        deletion_protection: bool | None = None,
        iam_database_authentication_enabled: bool | None = None,
        require_tls: bool | None = None,
        internet_access_gateway_enabled: bool | None = None,
        storage_type: StorageType | None = None,
        reset_settings: bool = False,
    ) -> DBCluster: ...

    def start_db_cluster(self, identifier: str) -> DBCluster: ...

    def stop_db_cluster(self, identifier: str) -> DBCluster: ...

    def delete_db_cluster(
        self, identifier: str, *, skip_final_snapshot: bool = True
    ) -> DBCluster: ...

    def failover_db_cluster(self, identifier: str) -> DBCluster: ...

    def describe_events(self, identifier: str | None = None) -> Sequence[Event]: ...
