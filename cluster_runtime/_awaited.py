"""The operations of `AsyncRuntime`.

Generated from the declarations in `cluster_runtime/control/operations/` by
`python -m cluster_runtime.control.operations.generate`: change those, not this.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.control.operations.clusters import (
    CreateDBCluster,
    DeleteDBCluster,
    DescribeDBClusters,
    FailoverDBCluster,
    ModifyDBCluster,
    PauseDBCluster,
    StartDBCluster,
    StopDBCluster,
)
from cluster_runtime.control.operations.events import DescribeEvents
from cluster_runtime.control.operations.instances import DescribeDBInstances
from cluster_runtime.control.operations.log_files import (
    DescribeDBLogFiles,
    DownloadDBLogFilePortion,
)
from cluster_runtime.control.operations.renamed import renamed
from cluster_runtime.control.operations.sessions import (
    DescribeActivity,
    DescribeSessions,
    RegisterSession,
)
from cluster_runtime.control.operations.volumes import (
    DescribeVolume,
    HealFault,
    InjectFault,
    LoseCompute,
)
from cluster_runtime.control.records.model import (
    ClusterActivity,
    DBCluster,
    DBInstance,
    DBLogFile,
    DBLogFilePortion,
    Event,
    ServerlessScaling,
    StorageType,
)
from cluster_runtime.control.service import ControlService
from cluster_runtime.gateway.description import SessionDescription
from cluster_runtime.storage.description import VolumeDescription


class AwaitedOperations:
    """Each awaits the runtime's loop."""

    _thread: LoopThread
    _service: ControlService

    @renamed(identifier="db_cluster_identifier", scaling="serverless_v2_scaling_configuration")
    async def create_db_cluster(
        self,
        db_cluster_identifier: str,
        *,
        with_express_configuration: bool = True,
        engine_version: str | None = None,
        database_name: str = "postgres",
        master_username: str = "postgres",
        master_user_password: str | None = None,
        serverless_v2_scaling_configuration: ServerlessScaling | None = None,
        storage_type: StorageType = "aurora",
        deletion_protection: bool = False,
        port: int | None = None,
        engine: Literal["aurora-postgresql"] = "aurora-postgresql",
        if_not_exists: bool = False,
    ) -> ClusterHandle:
        """Create a cluster that takes connections when this returns.

        Express configuration: serverless from 0 to 16 ACU, auto-pause after 300 s, TLS, IAM
        authentication, the gateway on, pgvector in the default database. After an error nothing of
        the cluster remains.

        db_cluster_identifier: Identifier: 1 to 63 letters, digits and hyphens, starting with a
            letter, not ending with a hyphen and without two in a row; case does not matter.
        with_express_configuration: set everything up as above, with a writer. RDS makes a cluster
            without any instance where this is not given; here one without it needs a password.
        engine_version: version of PostgreSQL; by default the newest that is installed.
        database_name: name of the default database, which is made with pgvector.
        master_username: role that owns the databases.
        master_user_password: password of the master user: 8 to 128 printable characters; without
            one, IAM tokens are the way in.
        serverless_v2_scaling_configuration: range of capacity, and when to pause.
        storage_type: kind of storage: aurora, or aurora-iopt1 (I/O-optimized).
        deletion_protection: refuse to delete it until this is switched off.
        port: port of the cluster endpoint; by default any free one.
        engine: there is one.
        if_not_exists: return the cluster of this name as it is where there is one, whoever is
            making it at the moment.

        Raises ClusterAlreadyExistsError, InvalidParameterError, PortInUseError,
        EngineNotFoundError, InsufficientStorageError.
        """
        request = CreateDBCluster(
            db_cluster_identifier,
            with_express_configuration=with_express_configuration,
            engine_version=engine_version,
            database_name=database_name,
            master_username=master_username,
            master_user_password=master_user_password,
            serverless_v2_scaling_configuration=serverless_v2_scaling_configuration,
            storage_type=storage_type,
            deletion_protection=deletion_protection,
            port=port,
            engine=engine,
            if_not_exists=if_not_exists,
        )
        return await self._thread.acall(self._service.create_db_cluster(request))

    @renamed(identifier="db_cluster_identifier")
    async def describe_db_clusters(
        self, db_cluster_identifier: str | None = None
    ) -> Sequence[DBCluster]:
        """Show the facts of one cluster, or of all in order of their identifiers.

        db_cluster_identifier: identifier or resource id of the only cluster to show.

        Raises ClusterNotFoundError.
        """
        request = DescribeDBClusters(db_cluster_identifier)
        return await self._thread.acall(self._service.describe_db_clusters(request))

    @renamed(
        identifier="db_cluster_identifier",
        scaling="serverless_v2_scaling_configuration",
        iam_database_authentication_enabled="enable_iam_database_authentication",
    )
    async def modify_db_cluster(
        self,
        db_cluster_identifier: str,
        *,
        new_db_cluster_identifier: str | None = None,
        master_user_password: str | None = None,
        serverless_v2_scaling_configuration: ServerlessScaling | None = None,
        deletion_protection: bool | None = None,
        enable_iam_database_authentication: bool | None = None,
        require_tls: bool | None = None,
        internet_access_gateway_enabled: bool | None = None,
        storage_type: StorageType | None = None,
        reset_settings: bool = False,
    ) -> DBCluster:
        """Change settings of a cluster, at once; those that are not given stay as they are.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        new_db_cluster_identifier: new name; endpoints have it from then on.
        master_user_password: new password of the master user: 8 to 128 printable characters.
        serverless_v2_scaling_configuration: range of capacity, and when to pause.
        deletion_protection: refuse to delete it.
        enable_iam_database_authentication: take IAM tokens as passwords.
        require_tls: refuse connections without TLS.
        internet_access_gateway_enabled: keep its endpoints open.
        storage_type: kind of storage: aurora, or aurora-iopt1 (I/O-optimized).
        reset_settings: let a master user who locked himself out back in: settings of his databases
            and of his role, connection limits and refusals, all back to their defaults. Data stay.

        Raises ClusterNotFoundError, ClusterAlreadyExistsError, InvalidParameterError,
        InvalidClusterStateError.
        """
        request = ModifyDBCluster(
            db_cluster_identifier,
            new_db_cluster_identifier=new_db_cluster_identifier,
            master_user_password=master_user_password,
            serverless_v2_scaling_configuration=serverless_v2_scaling_configuration,
            deletion_protection=deletion_protection,
            enable_iam_database_authentication=enable_iam_database_authentication,
            require_tls=require_tls,
            internet_access_gateway_enabled=internet_access_gateway_enabled,
            storage_type=storage_type,
            reset_settings=reset_settings,
        )
        return await self._thread.acall(self._service.modify_db_cluster(request))

    @renamed(identifier="db_cluster_identifier")
    async def start_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Start a stopped cluster; it takes connections when this returns.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, EngineError, QuorumLostError.
        """
        request = StartDBCluster(db_cluster_identifier)
        return await self._thread.acall(self._service.start_db_cluster(request))

    @renamed(identifier="db_cluster_identifier")
    async def stop_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Stop a cluster: it refuses connections until it is started again.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError.
        """
        request = StopDBCluster(db_cluster_identifier)
        return await self._thread.acall(self._service.stop_db_cluster(request))

    @renamed(identifier="db_cluster_identifier")
    async def pause_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Pause a cluster now, as auto-pause would; the next connect wakes it.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError.
        """
        request = PauseDBCluster(db_cluster_identifier)
        return await self._thread.acall(self._service.pause_db_cluster(request))

    @renamed(identifier="db_cluster_identifier")
    async def failover_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Replace the writer of a cluster; clients wait at the gateway meanwhile.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, EngineError, QuorumLostError.
        """
        request = FailoverDBCluster(db_cluster_identifier)
        return await self._thread.acall(self._service.failover_db_cluster(request))

    @renamed(identifier="db_cluster_identifier")
    async def delete_db_cluster(
        self, db_cluster_identifier: str, *, skip_final_snapshot: bool = True
    ) -> DBCluster:
        """Delete a cluster with all its data.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        skip_final_snapshot: keep nothing of it. This release takes no final snapshot, and deletes
            no cluster that is to have one.

        Raises ClusterNotFoundError, DeletionProtectedError, InvalidClusterStateError,
        InvalidParameterError.
        """
        request = DeleteDBCluster(db_cluster_identifier, skip_final_snapshot=skip_final_snapshot)
        return await self._thread.acall(self._service.delete_db_cluster(request))

    async def describe_db_instances(
        self, db_instance_identifier: str | None = None, *, db_cluster_identifier: str | None = None
    ) -> Sequence[DBInstance]:
        """Show one instance, those of one cluster, or all; a writer comes before its readers.

        db_instance_identifier: the only instance to show.
        db_cluster_identifier: identifier or resource id of the cluster whose instances to show (the
            filter `db-cluster-id` of RDS).

        Raises InstanceNotFoundError, ClusterNotFoundError.
        """
        request = DescribeDBInstances(
            db_instance_identifier, db_cluster_identifier=db_cluster_identifier
        )
        return await self._thread.acall(self._service.describe_db_instances(request))

    @renamed(identifier="source_identifier")
    async def describe_events(self, source_identifier: str | None = None) -> Sequence[Event]:
        """Show what happened to one cluster, or to all: oldest first.

        source_identifier: identifier or resource id of the only cluster to look at.

        Raises ClusterNotFoundError.
        """
        request = DescribeEvents(source_identifier)
        return await self._thread.acall(self._service.describe_events(request))

    async def describe_db_log_files(
        self, db_instance_identifier: str, *, filename_contains: str | None = None
    ) -> Sequence[DBLogFile]:
        """Show the log files of an instance, with their sizes.

        db_instance_identifier: the instance whose files to show.
        filename_contains: only files with this in their names.

        Raises InstanceNotFoundError.
        """
        request = DescribeDBLogFiles(db_instance_identifier, filename_contains=filename_contains)
        return await self._thread.acall(self._service.describe_db_log_files(request))

    async def download_db_log_file_portion(
        self,
        db_instance_identifier: str,
        *,
        log_file_name: str,
        marker: str | None = None,
        number_of_lines: int = 10000,
    ) -> DBLogFilePortion:
        """Read whole lines of a log file, at most 1 MiB: its last ones, or those behind a marker.

        db_instance_identifier: the instance whose file it is.
        log_file_name: name of the file, as shown for the instance.
        marker: where to go on, as the portion before said; "0" is the beginning of the file.
        number_of_lines: how many lines at most.

        Raises InstanceNotFoundError, LogFileNotFoundError, InvalidParameterError.
        """
        request = DownloadDBLogFilePortion(
            db_instance_identifier,
            log_file_name=log_file_name,
            marker=marker,
            number_of_lines=number_of_lines,
        )
        return await self._thread.acall(self._service.download_db_log_file_portion(request))

    @renamed(identifier="db_cluster_identifier")
    async def describe_sessions(self, db_cluster_identifier: str) -> Sequence[SessionDescription]:
        """Show who is connected to a cluster through the gateway: address, TLS, kind of credential.

        PostgreSQL itself sees a unix socket; `pid` joins this to its `pg_stat_activity`.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError.
        """
        request = DescribeSessions(db_cluster_identifier)
        return await self._thread.acall(self._service.describe_sessions(request))

    @renamed(identifier="db_cluster_identifier")
    async def describe_activity(self, db_cluster_identifier: str) -> ClusterActivity:
        """Show how much a cluster does: connections, transactions so far, lag of its readers.

        A paused cluster stays paused.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError.
        """
        request = DescribeActivity(db_cluster_identifier)
        return await self._thread.acall(self._service.describe_activity(request))

    async def register_session(
        self, access_key_id: str, secret_access_key: str, session_token: str, expires: datetime
    ) -> None:
        """Accept IAM tokens that are signed with temporary credentials, until these expire.

        Kept in memory: register them again after a restart of the host.

        access_key_id: of the temporary credentials.
        secret_access_key: of the temporary credentials.
        session_token: of the temporary credentials.
        expires: when they end; aware.

        Raises InvalidParameterError.
        """
        request = RegisterSession(access_key_id, secret_access_key, session_token, expires)
        await self._thread.acall(self._service.register_session(request))

    @renamed(identifier="db_cluster_identifier")
    async def describe_volume(self, db_cluster_identifier: str) -> VolumeDescription:
        """Show the storage volume of a cluster: LSNs, epoch, and its six segments.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, QuorumLostError.
        """
        request = DescribeVolume(db_cluster_identifier)
        return await self._thread.acall(self._service.describe_volume(request))

    @renamed(identifier="db_cluster_identifier")
    async def inject_fault(
        self, db_cluster_identifier: str, target: str, kind: str, duration: float | None = None
    ) -> None:
        """Make part of a cluster fail, for some seconds or until it is healed.

        A fault does not outlive the host process: after its restart all segments answer again. The
        writer can have `crash` (its server is killed and comes back by itself), `partition` (it is
        cut off from its volume) and `slow`.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        target: `segment:<id>`, `az:<a, b or c>` or `writer`.
        kind: `crash`, `partition`, `slow:<ms>`, `drop:<percent>`, `corrupt` or `disk-full`.
        duration: seconds; by default until it is healed.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError.
        """
        request = InjectFault(db_cluster_identifier, target, kind, duration)
        await self._thread.acall(self._service.inject_fault(request))

    @renamed(identifier="db_cluster_identifier")
    async def heal_fault(self, db_cluster_identifier: str, target: str | None = None) -> None:
        """End the faults of a target, or all of them.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        target: `segment:<id>`, `az:<a, b or c>` or `writer`; by default all.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError.
        """
        request = HealFault(db_cluster_identifier, target)
        await self._thread.acall(self._service.heal_fault(request))

    @renamed(identifier="db_cluster_identifier")
    async def lose_compute(self, db_cluster_identifier: str) -> None:
        """Kill the writer and delete its data directory; the next connect rebuilds it.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError.
        """
        request = LoseCompute(db_cluster_identifier)
        await self._thread.acall(self._service.lose_compute(request))
