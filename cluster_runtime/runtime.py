"""`Runtime`: a state directory and all its clusters, hosted in this process.

Everything happens on one event loop, on a thread of its own. `Runtime` waits for it,
`AsyncRuntime` awaits it; neither of them decides anything.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

import psycopg

from cluster_runtime.control.advice import to_make_available, to_open_the_gateway
from cluster_runtime.control.connections import AsyncHostConnection, HostConnection
from cluster_runtime.control.context import HostedCluster
from cluster_runtime.control.create import CreateOptions, CreateRequest
from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.control.model import (
    ClusterStatus,
    DBCluster,
    EndpointKind,
    Event,
    ServerlessScaling,
    StorageType,
)
from cluster_runtime.control.modify import ModifyOptions, ModifyRequest
from cluster_runtime.control.service import DEFAULT_REGION, ControlService, RuntimeOptions
from cluster_runtime.control.state_directory import StateDirectory
from cluster_runtime.errors import InvalidClusterStateError
from cluster_runtime.gateway import GatewayLimits, SessionDescription
from cluster_runtime.storage.description import VolumeDescription

LOOPBACK = "127.0.0.1"
TAKES_CONNECTIONS = (ClusterStatus.AVAILABLE, ClusterStatus.MODIFYING, ClusterStatus.FAILING_OVER)
"""Through a failover the gateway lets clients wait."""


class ClusterHandle:
    """A cluster of an open runtime (`cluster_runtime.control.plane.Cluster`)."""

    def __init__(self, service: ControlService, hosted: HostedCluster) -> None:
        self._service = service
        self._hosted = hosted

    def __repr__(self) -> str:
        return f"<cluster {self.identifier!r} ({self.status.value})>"

    @property
    def id(self) -> str:
        return self._hosted.id

    @property
    def identifier(self) -> str:
        return self._hosted.identifier

    @property
    def status(self) -> ClusterStatus:
        return self._hosted.facts.status

    def describe(self) -> DBCluster:
        return self._service.facts(self._hosted)

    def dsn(
        self,
        endpoint: EndpointKind = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
    ) -> str:
        """A libpq URI of an endpoint, through the gateway; as secret as a password.

        It carries an IAM token, which opens new connections for 15 minutes: ask again for each
        new connection. Raises InvalidClusterStateError where the endpoint is not open.
        """
        facts = self.describe()
        if facts.status not in TAKES_CONNECTIONS or not facts.internet_access_gateway_enabled:
            closed = facts.status in TAKES_CONNECTIONS
            why = "its gateway is off" if closed else facts.status
            advice = (to_open_the_gateway(facts),) if closed else to_make_available(facts)
            raise InvalidClusterStateError(
                f"cluster {self.identifier!r} takes no connections: {why}", *advice
            )
        host, port = (
            (facts.endpoint, facts.port)
            if endpoint == "writer"
            else (facts.reader_endpoint, facts.reader_port)
        )
        name = user or facts.master_username
        token = self._service.token(facts, host, port, name)
        return (
            f"postgresql://{quote(name, safe='')}:{quote(token, safe='')}@{host}:{port}/"
            f"{quote(dbname or facts.database_name, safe='')}?hostaddr={LOOPBACK}"
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


class Runtime:
    """The local control plane (`cluster_runtime.control.plane.ControlPlane`), blocking.

    `with Runtime.open(directory) as runtime` hosts the directory's clusters until the block ends;
    `async with Runtime.open(directory) as runtime` does the same and gives an `AsyncRuntime`.
    """

    def __init__(self, thread: LoopThread, service: ControlService) -> None:
        self._thread = thread
        self._service = service

    @classmethod
    def open(
        cls,
        state_dir: str | os.PathLike[str],
        *,
        warm_pool_size: int = 1,
        region: str = DEFAULT_REGION,
        engine_version: str | None = None,
        gateway_limits: GatewayLimits | None = None,
    ) -> "Runtime":
        """Host the clusters of a state directory, which is made where it does not exist.

        gateway_limits: of connections, established or in their startup, at every endpoint.
        Raises StateDirectoryInUseError, StateDirectoryError, CatalogCorruptedError,
        EngineNotFoundError.
        """
        limits = gateway_limits or GatewayLimits()
        options = RuntimeOptions(warm_pool_size, region, engine_version, limits)
        state = StateDirectory.open(state_dir)
        thread = LoopThread("borealis-runtime")
        try:
            return cls(thread, thread.call(ControlService.open(state, options)))
        except BaseException:
            thread.close()
            state.close()
            raise

    def close(self) -> None:
        """Stop every cluster and release the state directory. Calling it twice is harmless."""
        if not self._thread.loop.is_closed():
            self._thread.call(self._service.close())
            self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> "AsyncRuntime":
        return AsyncRuntime(self._thread, self._service)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._thread.acall(self._service.close())
        self._thread.close()

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
    ) -> ClusterHandle:
        """Create a cluster that takes connections when this returns (CreateDBCluster).

        Express configuration: serverless from 0 to 16 ACU, auto-pause after 300 s, TLS, IAM
        authentication, the gateway on, pgvector in the default database.
        Raises ClusterAlreadyExistsError, InvalidParameterError, PortInUseError,
        EngineNotFoundError, InsufficientStorageError; then nothing of the cluster remains.
        """
        request = CreateRequest(
            identifier=identifier,
            with_express_configuration=with_express_configuration,
            engine_version=engine_version,
            database_name=database_name,
            master_username=master_username,
            master_user_password=master_user_password,
            scaling=scaling,
            storage_type=storage_type,
            deletion_protection=deletion_protection,
            port=port,
        )
        return self._handle(self._thread.call(self._service.create_db_cluster(request)))

    def cluster(self, identifier: str) -> ClusterHandle:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""
        return self._handle(self._service.find(identifier))

    def describe_db_clusters(self, identifier: str | None = None) -> Sequence[DBCluster]:
        """The facts of one cluster, or of all in order of their identifiers."""
        return self._thread.call(self._service.describe_db_clusters(identifier))

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
    ) -> DBCluster:
        """Change settings of a cluster, at once (ModifyDBCluster); None leaves one as it is.

        reset_settings: let a master user who locked himself out back in: settings of his databases
        and of his role, connection limits and refusals, all back to their defaults. Data stay.

        Raises ClusterNotFoundError, ClusterAlreadyExistsError, InvalidParameterError,
        InvalidClusterStateError.
        """
        request = ModifyRequest(
            new_db_cluster_identifier=new_db_cluster_identifier,
            master_user_password=master_user_password,
            scaling=scaling,
            deletion_protection=deletion_protection,
            iam_database_authentication_enabled=iam_database_authentication_enabled,
            require_tls=require_tls,
            internet_access_gateway_enabled=internet_access_gateway_enabled,
            storage_type=storage_type,
            reset_settings=reset_settings,
        )
        return self._thread.call(self._service.modify_db_cluster(identifier, request))

    def start_db_cluster(self, identifier: str) -> DBCluster:
        """Start a stopped cluster."""
        return self._thread.call(self._service.start_db_cluster(identifier))

    def stop_db_cluster(self, identifier: str) -> DBCluster:
        """Stop a cluster until `start_db_cluster`; connects are refused meanwhile."""
        return self._thread.call(self._service.stop_db_cluster(identifier))

    def pause_db_cluster(self, identifier: str) -> DBCluster:
        """Pause a cluster now, as auto-pause would; the next connect wakes it."""
        return self._thread.call(self._service.pause_db_cluster(identifier))

    def failover_db_cluster(self, identifier: str) -> DBCluster:
        """Replace the writer (FailoverDBCluster)."""
        return self._thread.call(self._service.failover_db_cluster(identifier))

    def delete_db_cluster(self, identifier: str, *, skip_final_snapshot: bool = True) -> DBCluster:
        """Delete a cluster and all its data (DeleteDBCluster).

        Raises ClusterNotFoundError, DeletionProtectedError, InvalidClusterStateError.
        """
        return self._thread.call(self._service.delete_db_cluster(identifier, skip_final_snapshot))

    def describe_events(self, identifier: str | None = None) -> Sequence[Event]:
        """What happened to one cluster, or to all: oldest first (DescribeEvents)."""
        return self._thread.call(self._service.describe_events(identifier))

    def describe_sessions(self, identifier: str) -> Sequence[SessionDescription]:
        """Who is connected to a cluster through the gateway: address, TLS, kind of credential.

        PostgreSQL itself sees a unix socket; `pid` joins this to its `pg_stat_activity`.
        """
        return self._thread.call(self._service.describe_sessions(identifier))

    def register_session(
        self, access_key_id: str, secret_access_key: str, session_token: str, expires: datetime
    ) -> None:
        """Accept IAM tokens that are signed with temporary credentials, until these expire.

        expires: aware. Kept in memory: register them again after a restart of the host.
        Raises InvalidParameterError.
        """
        self._thread.call(
            self._service.register_session(access_key_id, secret_access_key, session_token, expires)
        )

    def describe_volume(self, identifier: str) -> VolumeDescription:
        """The storage volume of a cluster: LSNs, epoch, and its six segments."""
        return self._thread.call(self._service.describe_volume(identifier))

    def inject_fault(
        self, identifier: str, target: str, kind: str, duration: float | None = None
    ) -> None:
        """Make part of a cluster fail, for `duration` seconds or until `heal_fault`.

        A fault does not outlive the host process: after its restart all segments answer again.

        target: `segment:<id>`, `az:<a, b or c>` or `writer`.
        kind: `crash`, `partition`, `slow:<ms>`, `drop:<percent>`, `corrupt` or `disk-full`.
        The writer can have `crash` (its server is killed and comes back by itself), `partition`
        (it is cut off from its volume) and `slow`.
        Raises InvalidParameterError for another target or kind.
        """
        self._thread.call(self._service.inject_fault(identifier, target, kind, duration))

    def heal_fault(self, identifier: str, target: str | None = None) -> None:
        """End the faults of a target, or all of them."""
        self._thread.call(self._service.heal_fault(identifier, target))

    def lose_compute(self, identifier: str) -> None:
        """Kill the writer and delete its data directory; the next connect rebuilds it."""
        self._thread.call(self._service.lose_compute(identifier))

    def warm(self) -> None:
        """Wait until the warm pool is full."""
        self._thread.call(self._service.warm())

    def _handle(self, hosted: HostedCluster) -> ClusterHandle:
        return ClusterHandle(self._service, hosted)


class AsyncRuntime:
    """An open runtime for asynchronous callers: the operations of `Runtime`, awaited."""

    def __init__(self, thread: LoopThread, service: ControlService) -> None:
        self._thread = thread
        self._service = service

    async def create_db_cluster(
        self, identifier: str, **options: Unpack[CreateOptions]
    ) -> ClusterHandle:
        request = CreateRequest(identifier=identifier, **options)
        hosted = await self._thread.acall(self._service.create_db_cluster(request))
        return ClusterHandle(self._service, hosted)

    def cluster(self, identifier: str) -> ClusterHandle:
        return ClusterHandle(self._service, self._service.find(identifier))

    async def describe_db_clusters(self, identifier: str | None = None) -> Sequence[DBCluster]:
        return await self._thread.acall(self._service.describe_db_clusters(identifier))

    async def modify_db_cluster(
        self, identifier: str, **options: Unpack[ModifyOptions]
    ) -> DBCluster:
        request = ModifyRequest(**options)
        return await self._thread.acall(self._service.modify_db_cluster(identifier, request))

    async def start_db_cluster(self, identifier: str) -> DBCluster:
        return await self._thread.acall(self._service.start_db_cluster(identifier))

    async def stop_db_cluster(self, identifier: str) -> DBCluster:
        return await self._thread.acall(self._service.stop_db_cluster(identifier))

    async def pause_db_cluster(self, identifier: str) -> DBCluster:
        return await self._thread.acall(self._service.pause_db_cluster(identifier))

    async def failover_db_cluster(self, identifier: str) -> DBCluster:
        return await self._thread.acall(self._service.failover_db_cluster(identifier))

    async def delete_db_cluster(
        self, identifier: str, *, skip_final_snapshot: bool = True
    ) -> DBCluster:
        return await self._thread.acall(
            self._service.delete_db_cluster(identifier, skip_final_snapshot)
        )

    async def describe_events(self, identifier: str | None = None) -> Sequence[Event]:
        return await self._thread.acall(self._service.describe_events(identifier))

    async def describe_sessions(self, identifier: str) -> Sequence[SessionDescription]:
        return await self._thread.acall(self._service.describe_sessions(identifier))

    async def register_session(
        self, access_key_id: str, secret_access_key: str, session_token: str, expires: datetime
    ) -> None:
        await self._thread.acall(
            self._service.register_session(access_key_id, secret_access_key, session_token, expires)
        )

    async def describe_volume(self, identifier: str) -> VolumeDescription:
        return await self._thread.acall(self._service.describe_volume(identifier))

    async def inject_fault(
        self, identifier: str, target: str, kind: str, duration: float | None = None
    ) -> None:
        await self._thread.acall(self._service.inject_fault(identifier, target, kind, duration))

    async def heal_fault(self, identifier: str, target: str | None = None) -> None:
        await self._thread.acall(self._service.heal_fault(identifier, target))

    async def lose_compute(self, identifier: str) -> None:
        await self._thread.acall(self._service.lose_compute(identifier))

    async def warm(self) -> None:
        await self._thread.acall(self._service.warm())


def _who(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the keyword arguments that the DSN must know out of those for psycopg."""
    return {name: kwargs.pop(name) for name in ("user", "dbname") if name in kwargs}
