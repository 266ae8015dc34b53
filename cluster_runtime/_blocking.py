"""The operations of `Runtime`.

Generated from the declarations in `cluster_runtime/control/operations/` by
`python -m cluster_runtime.control.operations.generate`: change those, not this.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.home import Home
from cluster_runtime.control.operations.renamed import renamed
from cluster_runtime.control.records.model import (
    ClusterActivity,
    DBCluster,
    DBInstance,
    Event,
    HostDescription,
    ServerlessScaling,
    StorageType,
)
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup, DBParameter
from cluster_runtime.control.records.resources import (
    DBEngineVersion,
    DBLogFilePortion,
    DescribeDBLogFilesDetails,
    MasterUserSecretValue,
    OrderableDBInstanceOption,
    ResourcePendingMaintenanceActions,
    Tag,
)
from cluster_runtime.serverless.metering.bill import Bill
from cluster_runtime.serverless.metrics.results import ListedMetric, MetricSeries

if TYPE_CHECKING:
    from cluster_runtime.control.records.instances import DBClusterEndpoint
    from cluster_runtime.control.records.recovery.backups import (
        BackupStore,
        DBClusterAutomatedBackup,
        DBClusterSnapshot,
    )
    from cluster_runtime.control.records.recovery.rewinds import (
        DBClusterBacktrack,
        RestorePoint,
        RewindDescription,
    )
    from cluster_runtime.diff.results import DataDiff, SchemaDiff
    from cluster_runtime.gateway.description import SessionDescription
    from cluster_runtime.storage.description import VolumeDescription


class BlockingOperations:
    """Each waits for its end."""

    _home: Home

    @renamed(identifier="db_cluster_identifier", scaling="serverless_v2_scaling_configuration")
    def create_db_cluster(
        self,
        db_cluster_identifier: str,
        *,
        with_express_configuration: bool = True,
        engine_version: str | None = None,
        database_name: str = "postgres",
        master_username: str = "postgres",
        master_user_password: str | None = None,
        manage_master_user_password: bool = False,
        enable_iam_database_authentication: bool = True,
        serverless_v2_scaling_configuration: ServerlessScaling | None = None,
        storage_type: StorageType = "aurora",
        deletion_protection: bool = False,
        port: int | None = None,
        tags: Sequence[Tag] = (),
        db_cluster_parameter_group_name: str | None = None,
        backup_retention_period: int = 1,
        backtrack_window: int | None = None,
        warm_branch: bool = False,
        with_writer: bool = True,
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
        manage_master_user_password: let the runtime make the master password;
            `get_master_user_secret` tells it.
        enable_iam_database_authentication: take IAM tokens as passwords.
        serverless_v2_scaling_configuration: range of capacity, and when to pause.
        storage_type: kind of storage: aurora, or aurora-iopt1 (I/O-optimized).
        deletion_protection: refuse to delete it until this is switched off.
        port: port of the cluster endpoint; by default any free one.
        tags: words about it, at most 50.
        db_cluster_parameter_group_name: parameters that it runs with; by default the engine's.
        backup_retention_period: days for which any second can be restored.
        backtrack_window: seconds for which it can be rewound, 0 for not at all; by default a day.
        warm_branch: keep a standby ready, so that a branch of it takes the same short time at any
            size.
        with_writer: make an instance; without one it takes no connections until it gets one.
        engine: there is one.
        if_not_exists: return the cluster of this name as it is where there is one, whoever is
            making it at the moment.

        Raises ClusterAlreadyExistsError, InvalidParameterError, PortInUseError,
        EngineNotFoundError, InsufficientStorageError, ParameterGroupNotFoundError.
        """
        from cluster_runtime.control.operations.clusters import CreateDBCluster

        request = CreateDBCluster(
            db_cluster_identifier,
            with_express_configuration=with_express_configuration,
            engine_version=engine_version,
            database_name=database_name,
            master_username=master_username,
            master_user_password=master_user_password,
            manage_master_user_password=manage_master_user_password,
            enable_iam_database_authentication=enable_iam_database_authentication,
            serverless_v2_scaling_configuration=serverless_v2_scaling_configuration,
            storage_type=storage_type,
            deletion_protection=deletion_protection,
            port=port,
            tags=tuple(tags),
            db_cluster_parameter_group_name=db_cluster_parameter_group_name,
            backup_retention_period=backup_retention_period,
            backtrack_window=backtrack_window,
            warm_branch=warm_branch,
            with_writer=with_writer,
            engine=engine,
            if_not_exists=if_not_exists,
        )
        result: ClusterHandle = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def describe_db_clusters(self, db_cluster_identifier: str | None = None) -> Sequence[DBCluster]:
        """Show the facts of one cluster, or of all in order of their identifiers.

        db_cluster_identifier: identifier or resource id of the only cluster to show.

        Raises ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.clusters import DescribeDBClusters

        request = DescribeDBClusters(db_cluster_identifier)
        result: Sequence[DBCluster] = self._home.call(request)
        return result

    @renamed(
        identifier="db_cluster_identifier",
        scaling="serverless_v2_scaling_configuration",
        iam_database_authentication_enabled="enable_iam_database_authentication",
    )
    def modify_db_cluster(
        self,
        db_cluster_identifier: str,
        *,
        new_db_cluster_identifier: str | None = None,
        master_user_password: str | None = None,
        manage_master_user_password: bool | None = None,
        rotate_master_user_password: bool | None = None,
        serverless_v2_scaling_configuration: ServerlessScaling | None = None,
        deletion_protection: bool | None = None,
        enable_iam_database_authentication: bool | None = None,
        require_tls: bool | None = None,
        internet_access_gateway_enabled: bool | None = None,
        storage_type: StorageType | None = None,
        db_cluster_parameter_group_name: str | None = None,
        backup_retention_period: int | None = None,
        backtrack_window: int | None = None,
        backtrack_bytes_max: int | None = None,
        seconds_until_deep_pause: int | None = None,
        warm_branch: bool | None = None,
        reset_settings: bool = False,
    ) -> DBCluster:
        """Change settings of a cluster, at once; those that are not given stay as they are.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        new_db_cluster_identifier: new name; endpoints have it from then on.
        master_user_password: new password of the master user: 8 to 128 printable characters.
        manage_master_user_password: let the runtime make the master password, or no longer.
        rotate_master_user_password: make another one; only where the runtime manages it.
        serverless_v2_scaling_configuration: range of capacity, and when to pause.
        deletion_protection: refuse to delete it.
        enable_iam_database_authentication: take IAM tokens as passwords.
        require_tls: refuse connections without TLS.
        internet_access_gateway_enabled: keep its endpoints open.
        storage_type: kind of storage: aurora, or aurora-iopt1 (I/O-optimized).
        db_cluster_parameter_group_name: other parameters to run with; static ones at its next
            start.
        backup_retention_period: days for which any second can be restored.
        backtrack_window: seconds for which it can be rewound; 0: not at all.
        backtrack_bytes_max: what that may take on the disk, log and page images; what does not fit
            into it cannot be rewound to any more.
        seconds_until_deep_pause: how long it is paused until it gives its data directory back;
            waking makes it again from the volume. 0: never.
        warm_branch: keep a standby ready for its next branch while it runs, or no longer. That
            takes the memory of one more instance, and the CPU of replaying what the writer writes.
        reset_settings: let a master user who locked himself out back in: settings of his databases
            and of his role, connection limits and refusals, all back to their defaults. Data stay.

        Raises ClusterNotFoundError, ClusterAlreadyExistsError, InvalidParameterError,
        InvalidClusterStateError, ParameterGroupNotFoundError.
        """
        from cluster_runtime.control.operations.clusters import ModifyDBCluster

        request = ModifyDBCluster(
            db_cluster_identifier,
            new_db_cluster_identifier=new_db_cluster_identifier,
            master_user_password=master_user_password,
            manage_master_user_password=manage_master_user_password,
            rotate_master_user_password=rotate_master_user_password,
            serverless_v2_scaling_configuration=serverless_v2_scaling_configuration,
            deletion_protection=deletion_protection,
            enable_iam_database_authentication=enable_iam_database_authentication,
            require_tls=require_tls,
            internet_access_gateway_enabled=internet_access_gateway_enabled,
            storage_type=storage_type,
            db_cluster_parameter_group_name=db_cluster_parameter_group_name,
            backup_retention_period=backup_retention_period,
            backtrack_window=backtrack_window,
            backtrack_bytes_max=backtrack_bytes_max,
            seconds_until_deep_pause=seconds_until_deep_pause,
            warm_branch=warm_branch,
            reset_settings=reset_settings,
        )
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def start_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Start a stopped cluster; it takes connections when this returns.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.clusters import StartDBCluster

        request = StartDBCluster(db_cluster_identifier)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def stop_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Stop a cluster: it refuses connections until it is started again.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError.
        """
        from cluster_runtime.control.operations.clusters import StopDBCluster

        request = StopDBCluster(db_cluster_identifier)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def pause_db_cluster(self, db_cluster_identifier: str, *, deep: bool = False) -> DBCluster:
        """Pause a cluster now, as auto-pause would; the next connect wakes it.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        deep: give its data directory back at once, and not after a day; waking makes it again from
            the volume.

        Raises ClusterNotFoundError, InvalidClusterStateError, StorageError.
        """
        from cluster_runtime.control.operations.clusters import PauseDBCluster

        request = PauseDBCluster(db_cluster_identifier, deep=deep)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def resume_db_cluster(self, db_cluster_identifier: str) -> DBCluster:
        """Wake a paused cluster now, as a connect would; one that runs stays as it is.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.clusters import ResumeDBCluster

        request = ResumeDBCluster(db_cluster_identifier)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def failover_db_cluster(
        self, db_cluster_identifier: str, target_db_instance_identifier: str | None = None
    ) -> DBCluster:
        """Make a reader the writer; the old writer returns as a reader. Clients wait meanwhile.

        In a cluster without readers the writer itself begins again, from the volume.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        target_db_instance_identifier: the reader that takes over; by default that of the lowest
            promotion tier, then the one that is least behind.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError,
        InstanceNotReadyError, InsufficientStorageError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.clusters import FailoverDBCluster

        request = FailoverDBCluster(db_cluster_identifier, target_db_instance_identifier)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def delete_db_cluster(
        self,
        db_cluster_identifier: str,
        *,
        skip_final_snapshot: bool = True,
        final_db_snapshot_identifier: str | None = None,
        delete_automated_backups: bool = False,
    ) -> DBCluster:
        """Delete a cluster with all its data.

        Its automated backup is kept for its retention period, so that it can be restored, unless
        that is to go too.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        skip_final_snapshot: take no final snapshot, unless one is named.
        final_db_snapshot_identifier: name of a snapshot that is taken first.
        delete_automated_backups: remove its automated backup as well. Snapshots stay.

        Raises ClusterNotFoundError, DeletionProtectedError, InvalidClusterStateError,
        InvalidParameterError, SnapshotAlreadyExistsError, InsufficientStorageError,
        BackupStoreUnavailableError, BackupStoreRefusedError, BackupKeyError.
        """
        from cluster_runtime.control.operations.clusters import DeleteDBCluster

        request = DeleteDBCluster(
            db_cluster_identifier,
            skip_final_snapshot=skip_final_snapshot,
            final_db_snapshot_identifier=final_db_snapshot_identifier,
            delete_automated_backups=delete_automated_backups,
        )
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def get_master_user_secret(self, db_cluster_identifier: str) -> MasterUserSecretValue:
        """Tell the master password of a cluster whose password the runtime manages.

        AWS Secrets Manager has it as `GetSecretValue`, of the secret that the cluster names.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.clusters import GetMasterUserSecret

        request = GetMasterUserSecret(db_cluster_identifier)
        result: MasterUserSecretValue = self._home.call(request)
        return result

    def restore_db_cluster_to_point_in_time(
        self,
        db_cluster_identifier: str,
        source_db_cluster_identifier: str | None = None,
        *,
        restore_type: Literal["full-copy", "copy-on-write"] = "full-copy",
        restore_to_time: datetime | None = None,
        use_latest_restorable_time: bool = False,
        port: int | None = None,
        tags: Sequence[Tag] = (),
        deletion_protection: bool = False,
        enable_iam_database_authentication: bool | None = None,
        serverless_v2_scaling_configuration: ServerlessScaling | None = None,
        db_cluster_parameter_group_name: str | None = None,
        source_db_cluster_resource_id: str | None = None,
        backup_retention_period: int | None = None,
        backup_location: str | None = None,
        backup_key: str | None = None,
        with_writer: bool = True,
        restore_to_transaction: int | None = None,
    ) -> ClusterHandle:
        """Make a cluster of what another one is now, or was at a time.

        It takes connections when this returns, and is independent of its source from then on:
        either may be deleted first. After an error nothing of it remains. What is not given is as
        it is in the source.

        db_cluster_identifier: Identifier: 1 to 63 letters, digits and hyphens, starting with a
            letter, not ending with a hyphen and without two in a row; case does not matter.
        source_db_cluster_identifier: identifier or resource id of the cluster to begin from; of one
            that was deleted, the last of this name whose backup is kept.
        restore_type: `copy-on-write` makes a clone of the present, which shares the storage of its
            source until either changes it; `full-copy` takes a time as well.
        restore_to_time: the new cluster has each commit whose time is not after this; aware.
        use_latest_restorable_time: the present instead of a time.
        port: port of the cluster endpoint; by default any free one.
        tags: words about it, at most 50; by default none.
        deletion_protection: refuse to delete it until this is switched off.
        enable_iam_database_authentication: take IAM tokens as passwords; by default as the source.
        serverless_v2_scaling_configuration: range of capacity, and when to pause.
        db_cluster_parameter_group_name: parameters that it runs with.
        source_db_cluster_resource_id: the source by the id that is never used again.
        backup_retention_period: days for which any second of it can be restored; by default as the
            source.
        backup_location: another place of backups than this host's, as `modify_backup_store` takes
            it: what some machine wrote there is enough. Of a place that holds one cluster alone, or
            one of the new cluster's name, no source need be named.
        backup_key: what opens the backups there: the text of a `backup.key`; by default this
            host's, and no key of its own where a KMS has it.
        with_writer: make an instance; without one it takes no connections until it gets one.
        restore_to_transaction: up to the commit of a transaction instead of a time, as the database
            numbers it (`xmin` of a row, `pg_current_xact_id()`); within the backtrack window, and
            with either restore type.

        Raises ClusterNotFoundError, ClusterAlreadyExistsError, InvalidClusterStateError,
        InvalidParameterError, InvalidRestoreError, PortInUseError, InsufficientStorageError,
        EngineError, QuorumLostError, EngineNotFoundError, ParameterGroupNotFoundError,
        BackupStoreUnavailableError, BackupStoreRefusedError, BackupKeyError, BackupDamagedError.
        """
        from cluster_runtime.control.operations.recovery.restoring import (
            RestoreDBClusterToPointInTime,
        )

        request = RestoreDBClusterToPointInTime(
            db_cluster_identifier,
            source_db_cluster_identifier,
            restore_type=restore_type,
            restore_to_time=restore_to_time,
            use_latest_restorable_time=use_latest_restorable_time,
            port=port,
            tags=tuple(tags),
            deletion_protection=deletion_protection,
            enable_iam_database_authentication=enable_iam_database_authentication,
            serverless_v2_scaling_configuration=serverless_v2_scaling_configuration,
            db_cluster_parameter_group_name=db_cluster_parameter_group_name,
            source_db_cluster_resource_id=source_db_cluster_resource_id,
            backup_retention_period=backup_retention_period,
            backup_location=backup_location,
            backup_key=backup_key,
            with_writer=with_writer,
            restore_to_transaction=restore_to_transaction,
        )
        result: ClusterHandle = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def reset_branch(self, db_cluster_identifier: str) -> DBCluster:
        """Make a branch what the cluster that it was made from is now; its own changes go.

        Its name, its endpoints and its settings stay. Connections end; who connects waits.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError,
        InsufficientStorageError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.restoring import ResetBranch

        request = ResetBranch(db_cluster_identifier)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def backtrack_db_cluster(
        self,
        db_cluster_identifier: str,
        backtrack_to: datetime,
        *,
        use_earliest_time_on_point_in_time_unavailable: bool = False,
    ) -> "DBClusterBacktrack":
        """Bring a cluster back to what it was at a time, in place.

        It has each commit then whose time is not after that. Its endpoints stay; connections end,
        and who connects waits. `undo_rewind` takes it back.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        backtrack_to: the time; aware.
        use_earliest_time_on_point_in_time_unavailable: the earliest time there is, where that is
            later.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError,
        InvalidRestoreError, InsufficientStorageError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.rewinding import BacktrackDBCluster

        request = BacktrackDBCluster(
            db_cluster_identifier,
            backtrack_to,
            use_earliest_time_on_point_in_time_unavailable=use_earliest_time_on_point_in_time_unavailable,
        )
        result: DBClusterBacktrack = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def rewind(
        self, db_cluster_identifier: str, to: str, *, dry_run: bool = False
    ) -> "RewindDescription":
        """Bring a cluster back to a restore point, a time or an LSN, in place.

        Its endpoints stay; connections end, and who connects waits. `undo_rewind` takes it back.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        to: the name of a restore point, a time such as 2026-11-29T20:15:00+01:00, or an LSN such as
            0/16B3748.
        dry_run: change nothing, and say whose transactions would go.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError,
        InsufficientStorageError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.rewinding import Rewind

        request = Rewind(db_cluster_identifier, to, dry_run=dry_run)
        result: RewindDescription = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def undo_rewind(self, db_cluster_identifier: str) -> DBCluster:
        """Take the last rewind of a cluster back, or the last reset of a branch.

        What was written since is kept in turn: a second call brings that back.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError,
        InsufficientStorageError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.rewinding import UndoRewind

        request = UndoRewind(db_cluster_identifier)
        result: DBCluster = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def create_restore_point(
        self, db_cluster_identifier: str, restore_point: str
    ) -> "RestorePoint":
        """Name this moment of a cluster, to rewind to it later: before something risky.

        It holds everything that was acknowledged before, and stays as long as the cluster's
        backtrack window reaches back to it.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        restore_point: its name: letters, digits, hyphens and underscores, with a letter first.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.rewinding import CreateRestorePoint

        request = CreateRestorePoint(db_cluster_identifier, restore_point)
        result: RestorePoint = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def describe_restore_points(self, db_cluster_identifier: str) -> "Sequence[RestorePoint]":
        """Show the restore points of a cluster, the oldest first.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.rewinding import DescribeRestorePoints

        request = DescribeRestorePoints(db_cluster_identifier)
        result: Sequence[RestorePoint] = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def delete_restore_point(self, db_cluster_identifier: str, restore_point: str) -> None:
        """Forget a restore point.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        restore_point: the name that it was given.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError, QuorumLostError.
        """
        from cluster_runtime.control.operations.recovery.rewinding import DeleteRestorePoint

        request = DeleteRestorePoint(db_cluster_identifier, restore_point)
        self._home.call(request)

    @renamed(identifier="db_cluster_identifier")
    def create_db_cluster_snapshot(
        self,
        db_cluster_snapshot_identifier: str,
        db_cluster_identifier: str,
        *,
        tags: Sequence[Tag] = (),
    ) -> "DBClusterSnapshot":
        """Keep what a cluster is now, until the snapshot is deleted.

        It has every commit that returned before this was called. It shares what it can with the
        automated backup; commits do not wait for it.

        db_cluster_snapshot_identifier: Identifier of the new snapshot, formed as those of clusters
            are, with 255 characters.
        db_cluster_identifier: Identifier of the cluster, or its resource id.
        tags: words about it, at most 50.

        Raises ClusterNotFoundError, SnapshotAlreadyExistsError, InvalidClusterStateError,
        InvalidParameterError, QuorumLostError, InsufficientStorageError,
        BackupStoreUnavailableError, BackupStoreRefusedError, BackupKeyError, BackupDamagedError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import CreateDBClusterSnapshot

        request = CreateDBClusterSnapshot(
            db_cluster_snapshot_identifier, db_cluster_identifier, tags=tuple(tags)
        )
        result: DBClusterSnapshot = self._home.call(request)
        return result

    def describe_db_cluster_snapshots(
        self,
        db_cluster_identifier: str | None = None,
        *,
        db_cluster_snapshot_identifier: str | None = None,
        snapshot_type: Literal["manual", "shared"] | None = None,
    ) -> "Sequence[DBClusterSnapshot]":
        """Show snapshots: of one cluster, one of them, or all.

        db_cluster_identifier: only those of this cluster, by its identifier or resource id.
        db_cluster_snapshot_identifier: the only snapshot to show.
        snapshot_type: only those that were made here, or that came as files.

        Raises SnapshotNotFoundError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import DescribeDBClusterSnapshots

        request = DescribeDBClusterSnapshots(
            db_cluster_identifier,
            db_cluster_snapshot_identifier=db_cluster_snapshot_identifier,
            snapshot_type=snapshot_type,
        )
        result: Sequence[DBClusterSnapshot] = self._home.call(request)
        return result

    def copy_db_cluster_snapshot(
        self,
        source_db_cluster_snapshot_identifier: str,
        target_db_cluster_snapshot_identifier: str,
        *,
        copy_tags: bool = False,
        tags: Sequence[Tag] = (),
    ) -> "DBClusterSnapshot":
        """Keep a snapshot under another name as well, independent of the first one.

        source_db_cluster_snapshot_identifier: identifier or ARN of the snapshot.
        target_db_cluster_snapshot_identifier: identifier of the copy.
        copy_tags: the tags of the snapshot too.
        tags: words about it, at most 50.

        Raises SnapshotNotFoundError, SnapshotAlreadyExistsError, InvalidSnapshotStateError,
        InvalidParameterError, InsufficientStorageError, BackupStoreUnavailableError,
        BackupStoreRefusedError, BackupKeyError, BackupDamagedError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import CopyDBClusterSnapshot

        request = CopyDBClusterSnapshot(
            source_db_cluster_snapshot_identifier,
            target_db_cluster_snapshot_identifier,
            copy_tags=copy_tags,
            tags=tuple(tags),
        )
        result: DBClusterSnapshot = self._home.call(request)
        return result

    def delete_db_cluster_snapshot(
        self, db_cluster_snapshot_identifier: str
    ) -> "DBClusterSnapshot":
        """Delete a snapshot. What others share with it stays.

        db_cluster_snapshot_identifier: Identifier of the snapshot.

        Raises SnapshotNotFoundError, InvalidSnapshotStateError, BackupStoreUnavailableError,
        BackupStoreRefusedError, BackupKeyError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import DeleteDBClusterSnapshot

        request = DeleteDBClusterSnapshot(db_cluster_snapshot_identifier)
        result: DBClusterSnapshot = self._home.call(request)
        return result

    def restore_db_cluster_from_snapshot(
        self,
        db_cluster_identifier: str,
        snapshot_identifier: str,
        *,
        engine: Literal["aurora-postgresql"] = "aurora-postgresql",
        port: int | None = None,
        tags: Sequence[Tag] = (),
        deletion_protection: bool = False,
        enable_iam_database_authentication: bool | None = None,
        serverless_v2_scaling_configuration: ServerlessScaling | None = None,
        db_cluster_parameter_group_name: str | None = None,
        backup_retention_period: int | None = None,
        with_writer: bool = True,
    ) -> ClusterHandle:
        """Make a cluster of a snapshot; it takes connections when this returns.

        After an error nothing of it remains. What is not given is as it was in the snapshot's
        cluster.

        db_cluster_identifier: Identifier: 1 to 63 letters, digits and hyphens, starting with a
            letter, not ending with a hyphen and without two in a row; case does not matter.
        snapshot_identifier: identifier or ARN of the snapshot.
        engine: there is one.
        port: port of the cluster endpoint; by default any free one.
        tags: words about it, at most 50; by default none.
        deletion_protection: refuse to delete it until this is switched off.
        enable_iam_database_authentication: take IAM tokens as passwords.
        serverless_v2_scaling_configuration: range of capacity, and when to pause.
        db_cluster_parameter_group_name: parameters that it runs with.
        backup_retention_period: days for which any second of it can be restored.
        with_writer: make an instance; without one it takes no connections until it gets one.

        Raises SnapshotNotFoundError, InvalidSnapshotStateError, ClusterAlreadyExistsError,
        InvalidParameterError, InvalidRestoreError, PortInUseError, InsufficientStorageError,
        EngineError, EngineNotFoundError, ParameterGroupNotFoundError, BackupStoreUnavailableError,
        BackupStoreRefusedError, BackupKeyError, BackupDamagedError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import (
            RestoreDBClusterFromSnapshot,
        )

        request = RestoreDBClusterFromSnapshot(
            db_cluster_identifier,
            snapshot_identifier,
            engine=engine,
            port=port,
            tags=tuple(tags),
            deletion_protection=deletion_protection,
            enable_iam_database_authentication=enable_iam_database_authentication,
            serverless_v2_scaling_configuration=serverless_v2_scaling_configuration,
            db_cluster_parameter_group_name=db_cluster_parameter_group_name,
            backup_retention_period=backup_retention_period,
            with_writer=with_writer,
        )
        result: ClusterHandle = self._home.call(request)
        return result

    def export_db_cluster_snapshot(
        self, db_cluster_snapshot_identifier: str, file: str, *, passphrase: str | None = None
    ) -> "DBClusterSnapshot":
        """Write a snapshot to a file that `import_db_cluster_snapshot` reads, here or elsewhere.

        Its objects stay encrypted. Their key is in the file: wrapped by a passphrase where one is
        given; otherwise whoever has the file has the data, and so only its owner may read it.

        db_cluster_snapshot_identifier: Identifier of the snapshot.
        file: an absolute path on the host's machine; nothing may be there.
        passphrase: what the import then has to be told.

        Raises SnapshotNotFoundError, InvalidSnapshotStateError, InvalidParameterError,
        InsufficientStorageError, BackupStoreUnavailableError, BackupStoreRefusedError,
        BackupKeyError, BackupDamagedError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import ExportDBClusterSnapshot

        request = ExportDBClusterSnapshot(
            db_cluster_snapshot_identifier, file, passphrase=passphrase
        )
        result: DBClusterSnapshot = self._home.call(request)
        return result

    def import_db_cluster_snapshot(
        self, db_cluster_snapshot_identifier: str, file: str, *, passphrase: str | None = None
    ) -> "DBClusterSnapshot":
        """Make a snapshot of a file that `export_db_cluster_snapshot` wrote.

        db_cluster_snapshot_identifier: Identifier of the new snapshot, formed as those of clusters
            are, with 255 characters.
        file: an absolute path on the host's machine.
        passphrase: what the export was told.

        Raises SnapshotAlreadyExistsError, InvalidParameterError, BackupStoreUnavailableError,
        BackupStoreRefusedError, BackupKeyError, BackupDamagedError.
        """
        from cluster_runtime.control.operations.recovery.snapshots import ImportDBClusterSnapshot

        request = ImportDBClusterSnapshot(
            db_cluster_snapshot_identifier, file, passphrase=passphrase
        )
        result: DBClusterSnapshot = self._home.call(request)
        return result

    def describe_db_cluster_automated_backups(
        self, db_cluster_resource_id: str | None = None, *, db_cluster_identifier: str | None = None
    ) -> "Sequence[DBClusterAutomatedBackup]":
        """Show the automated backups: of clusters that are there, and of deleted ones.

        db_cluster_resource_id: only that of this cluster.
        db_cluster_identifier: only those of clusters of this name.
        """
        from cluster_runtime.control.operations.recovery.backups import (
            DescribeDBClusterAutomatedBackups,
        )

        request = DescribeDBClusterAutomatedBackups(
            db_cluster_resource_id, db_cluster_identifier=db_cluster_identifier
        )
        result: Sequence[DBClusterAutomatedBackup] = self._home.call(request)
        return result

    def delete_db_cluster_automated_backup(
        self, db_cluster_resource_id: str
    ) -> "DBClusterAutomatedBackup":
        """Delete the automated backup of a cluster that is deleted. Snapshots stay.

        db_cluster_resource_id: Resource id of the deleted cluster.

        Raises AutomatedBackupNotFoundError, BackupStoreUnavailableError, BackupStoreRefusedError,
        BackupKeyError.
        """
        from cluster_runtime.control.operations.recovery.backups import (
            DeleteDBClusterAutomatedBackup,
        )

        request = DeleteDBClusterAutomatedBackup(db_cluster_resource_id)
        result: DBClusterAutomatedBackup = self._home.call(request)
        return result

    def describe_backup_store(self) -> "BackupStore":
        """Show where the backups of this host are kept, and what opens them."""
        from cluster_runtime.control.operations.recovery.backups import DescribeBackupStore

        request = DescribeBackupStore()
        result: BackupStore = self._home.call(request)
        return result

    def modify_backup_store(self, location: str, *, kms_key_id: str | None = None) -> "BackupStore":
        """Keep the backups of all clusters elsewhere from now on.

        An object is written, read, listed and deleted there first. What was kept before stays
        there; a restore can name that place.

        location: an absolute path, or `s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION]`;
            credentials are found as AWS's own tools find them.
        kms_key_id: a key of AWS KMS that wraps the data keys of new backups; by default
            `backup.key` of the state directory does.

        Raises InvalidParameterError, InsufficientStorageError, BackupStoreUnavailableError,
        BackupStoreRefusedError, BackupKeyError.
        """
        from cluster_runtime.control.operations.recovery.backups import ModifyBackupStore

        request = ModifyBackupStore(location, kms_key_id=kms_key_id)
        result: BackupStore = self._home.call(request)
        return result

    def describe_db_instances(
        self, db_instance_identifier: str | None = None, *, db_cluster_identifier: str | None = None
    ) -> Sequence[DBInstance]:
        """Show one instance, those of one cluster, or all; a writer comes before its readers.

        db_instance_identifier: the only instance to show.
        db_cluster_identifier: identifier or resource id of the cluster whose instances to show (the
            filter `db-cluster-id` of RDS).

        Raises InstanceNotFoundError, ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.instances import DescribeDBInstances

        request = DescribeDBInstances(
            db_instance_identifier, db_cluster_identifier=db_cluster_identifier
        )
        result: Sequence[DBInstance] = self._home.call(request)
        return result

    def create_db_instance(
        self,
        db_instance_identifier: str,
        *,
        db_cluster_identifier: str | None = None,
        db_instance_class: str = "db.serverless",
        promotion_tier: int = 1,
        engine: Literal["aurora-postgresql"] = "aurora-postgresql",
    ) -> DBInstance:
        """Give a cluster a reader; the first instance of a cluster without any is its writer.

        It takes connections when this returns. A cluster has at most 15 readers.

        db_instance_identifier: its name: 1 to 63 letters, digits and hyphens.
        db_cluster_identifier: identifier or resource id of the cluster; there are no instances
            without.
        db_instance_class: `db.serverless`, or a provisioned class, such as `db.r6g.large`: named
            limits.
        promotion_tier: readers of a lower tier become the writer first.
        engine: there is one.

        Raises ClusterNotFoundError, InstanceAlreadyExistsError, InstanceQuotaError,
        InvalidClusterStateError, InvalidParameterError, InsufficientStorageError, EngineError,
        QuorumLostError.
        """
        from cluster_runtime.control.operations.instances import CreateDBInstance

        request = CreateDBInstance(
            db_instance_identifier,
            db_cluster_identifier=db_cluster_identifier,
            db_instance_class=db_instance_class,
            promotion_tier=promotion_tier,
            engine=engine,
        )
        result: DBInstance = self._home.call(request)
        return result

    def modify_db_instance(
        self,
        db_instance_identifier: str,
        *,
        promotion_tier: int | None = None,
        db_instance_class: str | None = None,
    ) -> DBInstance:
        """Change settings of an instance, at once; no connection ends.

        db_instance_identifier: Identifier of the instance.
        promotion_tier: readers of a lower tier become the writer first.
        db_instance_class: `db.serverless`, or a provisioned class, such as `db.r6g.large`: named
            limits.

        Raises InstanceNotFoundError, InstanceNotReadyError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.instances import ModifyDBInstance

        request = ModifyDBInstance(
            db_instance_identifier,
            promotion_tier=promotion_tier,
            db_instance_class=db_instance_class,
        )
        result: DBInstance = self._home.call(request)
        return result

    def delete_db_instance(
        self, db_instance_identifier: str, *, skip_final_snapshot: bool = True
    ) -> DBInstance:
        """Delete an instance. Where it is the writer, a reader becomes the writer first.

        Without an instance a cluster keeps its data and takes no connections.

        db_instance_identifier: Identifier of the instance.
        skip_final_snapshot: none is taken in any case: the data stay with the cluster.

        Raises InstanceNotFoundError, InstanceNotReadyError, InvalidClusterStateError,
        InsufficientStorageError.
        """
        from cluster_runtime.control.operations.instances import DeleteDBInstance

        request = DeleteDBInstance(db_instance_identifier, skip_final_snapshot=skip_final_snapshot)
        result: DBInstance = self._home.call(request)
        return result

    def reboot_db_instance(self, db_instance_identifier: str) -> DBInstance:
        """Start an instance again; clients of a writer wait at the gateway meanwhile.

        db_instance_identifier: Identifier of the instance.

        Raises InstanceNotFoundError, InstanceNotReadyError, InvalidClusterStateError,
        InsufficientStorageError, EngineError, QuorumLostError.
        """
        from cluster_runtime.control.operations.instances import RebootDBInstance

        request = RebootDBInstance(db_instance_identifier)
        result: DBInstance = self._home.call(request)
        return result

    def describe_db_log_files(
        self,
        db_instance_identifier: str,
        *,
        filename_contains: str | None = None,
        file_last_written: int | None = None,
        file_size: int | None = None,
    ) -> Sequence[DescribeDBLogFilesDetails]:
        """Show the log files of an instance.

        db_instance_identifier: Identifier of the instance.
        filename_contains: show only those whose name has this in it.
        file_last_written: show only those written since; milliseconds since 1970.
        file_size: show only those that are larger; bytes.

        Raises InstanceNotFoundError.
        """
        from cluster_runtime.control.operations.instances import DescribeDBLogFiles

        request = DescribeDBLogFiles(
            db_instance_identifier,
            filename_contains=filename_contains,
            file_last_written=file_last_written,
            file_size=file_size,
        )
        result: Sequence[DescribeDBLogFilesDetails] = self._home.call(request)
        return result

    def download_db_log_file_portion(
        self,
        db_instance_identifier: str,
        log_file_name: str,
        *,
        marker: str | None = None,
        number_of_lines: int | None = None,
    ) -> DBLogFilePortion:
        """Read a part of a log file, of 1 MB at most.

        db_instance_identifier: Identifier of the instance.
        log_file_name: as describe_db_log_files shows it.
        marker: where to begin: `0`, or what the last part came with; by default the end is read.
        number_of_lines: at most so many lines.

        Raises InstanceNotFoundError, LogFileNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.instances import DownloadDBLogFilePortion

        request = DownloadDBLogFilePortion(
            db_instance_identifier, log_file_name, marker=marker, number_of_lines=number_of_lines
        )
        result: DBLogFilePortion = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def create_db_cluster_endpoint(
        self,
        db_cluster_identifier: str,
        db_cluster_endpoint_identifier: str,
        *,
        endpoint_type: Literal["READER", "ANY"] = "ANY",
        static_members: Sequence[str] = (),
        excluded_members: Sequence[str] = (),
    ) -> "DBClusterEndpoint":
        """Make an endpoint of a cluster that leads to some of its instances, in turn.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        db_cluster_endpoint_identifier: its name: 1 to 63 letters, digits and hyphens.
        endpoint_type: READER leads to readers alone, ANY to the writer too where it is a member.
        static_members: the instances that it leads to.
        excluded_members: those that it does not lead to: all others, and those that are made later.
            Without either list it leads to all.

        Raises ClusterNotFoundError, ClusterEndpointAlreadyExistsError, InstanceNotFoundError,
        InvalidClusterStateError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.instances import CreateDBClusterEndpoint

        request = CreateDBClusterEndpoint(
            db_cluster_identifier,
            db_cluster_endpoint_identifier,
            endpoint_type=endpoint_type,
            static_members=tuple(static_members),
            excluded_members=tuple(excluded_members),
        )
        result: DBClusterEndpoint = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def describe_db_cluster_endpoints(
        self,
        db_cluster_identifier: str | None = None,
        db_cluster_endpoint_identifier: str | None = None,
    ) -> "Sequence[DBClusterEndpoint]":
        """Show the endpoints of one cluster, or of all: its writer's, its readers', custom ones.

        db_cluster_identifier: identifier or resource id of the only cluster to look at.
        db_cluster_endpoint_identifier: the only custom endpoint to show.

        Raises ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.instances import DescribeDBClusterEndpoints

        request = DescribeDBClusterEndpoints(db_cluster_identifier, db_cluster_endpoint_identifier)
        result: Sequence[DBClusterEndpoint] = self._home.call(request)
        return result

    def modify_db_cluster_endpoint(
        self,
        db_cluster_endpoint_identifier: str,
        *,
        endpoint_type: Literal["READER", "ANY"] | None = None,
        static_members: Sequence[str] = (),
        excluded_members: Sequence[str] = (),
    ) -> "DBClusterEndpoint":
        """Change which instances a custom endpoint leads to, for connections from now on.

        db_cluster_endpoint_identifier: Identifier of the custom endpoint.
        endpoint_type: READER leads to readers alone, ANY to the writer too where it is a member.
        static_members: the instances that it leads to; takes the place of either list.
        excluded_members: those that it does not lead to; takes the place of either list.

        Raises ClusterEndpointNotFoundError, InstanceNotFoundError, InvalidClusterStateError,
        InvalidParameterError.
        """
        from cluster_runtime.control.operations.instances import ModifyDBClusterEndpoint

        request = ModifyDBClusterEndpoint(
            db_cluster_endpoint_identifier,
            endpoint_type=endpoint_type,
            static_members=tuple(static_members),
            excluded_members=tuple(excluded_members),
        )
        result: DBClusterEndpoint = self._home.call(request)
        return result

    def delete_db_cluster_endpoint(
        self, db_cluster_endpoint_identifier: str
    ) -> "DBClusterEndpoint":
        """Delete a custom endpoint; its connections end.

        db_cluster_endpoint_identifier: Identifier of the custom endpoint.

        Raises ClusterEndpointNotFoundError, InvalidClusterStateError.
        """
        from cluster_runtime.control.operations.instances import DeleteDBClusterEndpoint

        request = DeleteDBClusterEndpoint(db_cluster_endpoint_identifier)
        result: DBClusterEndpoint = self._home.call(request)
        return result

    @renamed(identifier="source_identifier")
    def describe_events(self, source_identifier: str | None = None) -> Sequence[Event]:
        """Show what happened to one cluster, or to all: oldest first.

        source_identifier: identifier or resource id of the only cluster to look at.

        Raises ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.events import DescribeEvents

        request = DescribeEvents(source_identifier)
        result: Sequence[Event] = self._home.call(request)
        return result

    def list_tags_for_resource(self, resource_name: str) -> Sequence[Tag]:
        """Show the tags of a cluster. Instances have those of their cluster.

        resource_name: ARN of the resource: of a cluster, or of one of its instances.

        Raises ClusterNotFoundError, InstanceNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.resources import ListTagsForResource

        request = ListTagsForResource(resource_name)
        result: Sequence[Tag] = self._home.call(request)
        return result

    def add_tags_to_resource(self, resource_name: str, tags: Sequence[Tag]) -> None:
        """Give a cluster tags; a key that it has already gets the new value.

        resource_name: ARN of the resource: of a cluster, or of one of its instances.
        tags: at most 50 in all.

        Raises ClusterNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.resources import AddTagsToResource

        request = AddTagsToResource(resource_name, tuple(tags))
        self._home.call(request)

    def remove_tags_from_resource(self, resource_name: str, tag_keys: Sequence[str]) -> None:
        """Take tags from a cluster.

        resource_name: ARN of the resource: of a cluster, or of one of its instances.
        tag_keys: those that it has not are passed over.

        Raises ClusterNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.resources import RemoveTagsFromResource

        request = RemoveTagsFromResource(resource_name, tuple(tag_keys))
        self._home.call(request)

    def describe_pending_maintenance_actions(
        self, resource_identifier: str | None = None
    ) -> Sequence[ResourcePendingMaintenanceActions]:
        """Show what will be done to clusters at their next start, or could be done.

        resource_identifier: ARN of the only cluster to look at.

        Raises ClusterNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.resources import DescribePendingMaintenanceActions

        request = DescribePendingMaintenanceActions(resource_identifier)
        result: Sequence[ResourcePendingMaintenanceActions] = self._home.call(request)
        return result

    def describe_host(self) -> HostDescription:
        """Show the process that hosts the clusters: its release, region and certificates."""
        from cluster_runtime.control.operations.resources import DescribeHost

        request = DescribeHost()
        result: HostDescription = self._home.call(request)
        return result

    def describe_db_engine_versions(
        self,
        engine: str | None = None,
        engine_version: str | None = None,
        db_parameter_group_family: str | None = None,
        default_only: bool | None = None,
    ) -> Sequence[DBEngineVersion]:
        """Show the versions of PostgreSQL that new clusters may have, the default first.

        engine: Name of the engine; there is `aurora-postgresql`.
        engine_version: the only version to show, such as `18` or `18.6`.
        db_parameter_group_family: the only family to show, such as `aurora-postgresql18`.
        default_only: show the default version alone.
        """
        from cluster_runtime.control.operations.engines import DescribeDBEngineVersions

        request = DescribeDBEngineVersions(
            engine, engine_version, db_parameter_group_family, default_only
        )
        result: Sequence[DBEngineVersion] = self._home.call(request)
        return result

    def describe_orderable_db_instance_options(
        self, engine: str, engine_version: str | None = None, db_instance_class: str | None = None
    ) -> Sequence[OrderableDBInstanceOption]:
        """Show which classes of instances and which storage clusters of an engine may have.

        engine: Name of the engine; there is `aurora-postgresql`.
        engine_version: the only version to show.
        db_instance_class: the only class to show, such as `db.serverless`.
        """
        from cluster_runtime.control.operations.engines import DescribeOrderableDBInstanceOptions

        request = DescribeOrderableDBInstanceOptions(engine, engine_version, db_instance_class)
        result: Sequence[OrderableDBInstanceOption] = self._home.call(request)
        return result

    def create_db_cluster_parameter_group(
        self, db_cluster_parameter_group_name: str, db_parameter_group_family: str, description: str
    ) -> DBClusterParameterGroup:
        """Make a group of parameters for clusters, with the engine's default values.

        db_cluster_parameter_group_name: its name: letters, digits and single hyphens.
        db_parameter_group_family: of the clusters it is for, such as `aurora-postgresql18`.
        description: what it is for.

        Raises ParameterGroupAlreadyExistsError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.engines import CreateDBClusterParameterGroup

        request = CreateDBClusterParameterGroup(
            db_cluster_parameter_group_name, db_parameter_group_family, description
        )
        result: DBClusterParameterGroup = self._home.call(request)
        return result

    def describe_db_cluster_parameter_groups(
        self, db_cluster_parameter_group_name: str | None = None
    ) -> Sequence[DBClusterParameterGroup]:
        """Show one parameter group, or all; the default one of each family among them.

        db_cluster_parameter_group_name: the only group to show.

        Raises ParameterGroupNotFoundError.
        """
        from cluster_runtime.control.operations.engines import DescribeDBClusterParameterGroups

        request = DescribeDBClusterParameterGroups(db_cluster_parameter_group_name)
        result: Sequence[DBClusterParameterGroup] = self._home.call(request)
        return result

    def describe_db_cluster_parameters(
        self, db_cluster_parameter_group_name: str, source: str | None = None
    ) -> Sequence[DBParameter]:
        """Show the parameters of a group, by name: their values, ranges, and when a change applies.

        db_cluster_parameter_group_name: Name of the parameter group.
        source: show only those of this source: `user` or `engine-default`.

        Raises ParameterGroupNotFoundError.
        """
        from cluster_runtime.control.operations.engines import DescribeDBClusterParameters

        request = DescribeDBClusterParameters(db_cluster_parameter_group_name, source)
        result: Sequence[DBParameter] = self._home.call(request)
        return result

    def modify_db_cluster_parameter_group(
        self, db_cluster_parameter_group_name: str, parameters: Sequence[DBParameter]
    ) -> DBClusterParameterGroup:
        """Change parameters of a group, and so of its clusters.

        Those with the method `immediate` apply to running writers at once, the others when these
        start the next time, for a reboot, a failover, or a wake after a pause.

        db_cluster_parameter_group_name: Name of the parameter group.
        parameters: names, values and methods.

        Raises ParameterGroupNotFoundError, ParameterGroupInUseError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.engines import ModifyDBClusterParameterGroup

        request = ModifyDBClusterParameterGroup(db_cluster_parameter_group_name, tuple(parameters))
        result: DBClusterParameterGroup = self._home.call(request)
        return result

    def reset_db_cluster_parameter_group(
        self,
        db_cluster_parameter_group_name: str,
        reset_all_parameters: bool | None = None,
        parameters: Sequence[DBParameter] = (),
    ) -> DBClusterParameterGroup:
        """Give parameters of a group the engine's default values again.

        db_cluster_parameter_group_name: Name of the parameter group.
        reset_all_parameters: all of them.
        parameters: those to reset; what is said beside their names counts for nothing.

        Raises ParameterGroupNotFoundError, ParameterGroupInUseError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.engines import ResetDBClusterParameterGroup

        request = ResetDBClusterParameterGroup(
            db_cluster_parameter_group_name, reset_all_parameters, tuple(parameters)
        )
        result: DBClusterParameterGroup = self._home.call(request)
        return result

    def delete_db_cluster_parameter_group(self, db_cluster_parameter_group_name: str) -> None:
        """Delete a parameter group that no cluster has.

        db_cluster_parameter_group_name: Name of the parameter group.

        Raises ParameterGroupNotFoundError, ParameterGroupInUseError.
        """
        from cluster_runtime.control.operations.engines import DeleteDBClusterParameterGroup

        request = DeleteDBClusterParameterGroup(db_cluster_parameter_group_name)
        self._home.call(request)

    @renamed(identifier="db_cluster_identifier")
    def describe_sessions(self, db_cluster_identifier: str) -> "Sequence[SessionDescription]":
        """Show who is connected to a cluster through the gateway: address, TLS, kind of credential.

        PostgreSQL itself sees a unix socket; `pid` joins this to its `pg_stat_activity`.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.sessions import DescribeSessions

        request = DescribeSessions(db_cluster_identifier)
        result: Sequence[SessionDescription] = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def describe_activity(self, db_cluster_identifier: str) -> ClusterActivity:
        """Show how much a cluster does: connections, transactions so far, lag of its readers.

        A paused cluster stays paused.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.sessions import DescribeActivity

        request = DescribeActivity(db_cluster_identifier)
        result: ClusterActivity = self._home.call(request)
        return result

    def register_session(
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
        from cluster_runtime.control.operations.sessions import RegisterSession

        request = RegisterSession(access_key_id, secret_access_key, session_token, expires)
        self._home.call(request)

    def list_metrics(self, db_cluster_identifier: str | None = None) -> Sequence[ListedMetric]:
        """List what there are metrics of: each cluster's, together, by instance and by role.

        Paused clusters stay paused.

        db_cluster_identifier: only those of this cluster, by its identifier or resource id.

        Raises ClusterNotFoundError.
        """
        from cluster_runtime.control.operations.measuring.metrics import ListMetrics

        request = ListMetrics(db_cluster_identifier)
        result: Sequence[ListedMetric] = self._home.call(request)
        return result

    def describe_metrics(
        self,
        db_cluster_identifier: str,
        *,
        metric_names: Sequence[str] = (),
        db_instance_identifier: str | None = None,
        role: Literal["WRITER", "READER"] | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        period: int = 60,
    ) -> Sequence[MetricSeries]:
        """Show what was measured of a cluster: CPU, memory, sessions, commits, I/O, capacity.

        Samples are taken once a second of what runs. They are kept for 10 minutes as they are, for
        two hours by 10 seconds, and for a day by the minute. A paused cluster stays paused, and has
        none.

        db_cluster_identifier: of the cluster, or its resource id.
        metric_names: as CloudWatch has them, such as `CPUUtilization`; by default all that there
            are.
        db_instance_identifier: only what was measured of this instance; by default of all together.
        role: only of instances while they were this.
        start_time: from when on; aware. By default an hour before the end.
        end_time: until when; aware. By default now.
        period: seconds that each datapoint covers: 1, 5, 10, 20, 30, or a multiple of 60

        Raises ClusterNotFoundError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.measuring.metrics import DescribeMetrics

        request = DescribeMetrics(
            db_cluster_identifier,
            metric_names=tuple(metric_names),
            db_instance_identifier=db_instance_identifier,
            role=role,
            start_time=start_time,
            end_time=end_time,
            period=period,
        )
        result: Sequence[MetricSeries] = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def describe_volume(self, db_cluster_identifier: str) -> "VolumeDescription":
        """Show the storage volume of a cluster: LSNs, epoch, and its six segments.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError, QuorumLostError.
        """
        from cluster_runtime.control.operations.volumes import DescribeVolume

        request = DescribeVolume(db_cluster_identifier)
        result: VolumeDescription = self._home.call(request)
        return result

    @renamed(identifier="db_cluster_identifier")
    def inject_fault(
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
        from cluster_runtime.control.operations.volumes import InjectFault

        request = InjectFault(db_cluster_identifier, target, kind, duration)
        self._home.call(request)

    @renamed(identifier="db_cluster_identifier")
    def heal_fault(self, db_cluster_identifier: str, target: str | None = None) -> None:
        """End the faults of a target, or all of them.

        db_cluster_identifier: Identifier of the cluster, or its resource id.
        target: `segment:<id>`, `az:<a, b or c>` or `writer`; by default all.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError.
        """
        from cluster_runtime.control.operations.volumes import HealFault

        request = HealFault(db_cluster_identifier, target)
        self._home.call(request)

    @renamed(identifier="db_cluster_identifier")
    def lose_compute(self, db_cluster_identifier: str) -> None:
        """Kill the writer and delete its data directory; the next connect rebuilds it.

        db_cluster_identifier: Identifier of the cluster, or its resource id.

        Raises ClusterNotFoundError, InvalidClusterStateError.
        """
        from cluster_runtime.control.operations.volumes import LoseCompute

        request = LoseCompute(db_cluster_identifier)
        self._home.call(request)

    @renamed(identifier="db_cluster_identifier")
    def describe_bill(
        self,
        db_cluster_identifier: str | None = None,
        *,
        since: datetime | None = None,
        by_tag: str | None = None,
        what_if: Literal["standard", "io-optimized"] | None = None,
    ) -> Bill:
        """Show what clusters used, and what Amazon Aurora would ask for it.

        Capacity, I/O requests, storage and backups, on the storage that each cluster was on and on
        the other one, side by side. Prices are those of a list that says where it is from.

        db_cluster_identifier: identifier or resource id of the only cluster to show.
        since: from the hour of this moment on; by default from the beginning of the month in UTC.
        by_tag: key of a tag whose values to add up by, instead of clusters.
        what_if: the storage to compare with: standard or io-optimized; by default the other one.

        Raises ClusterNotFoundError, InvalidParameterError, InsufficientStorageError.
        """
        from cluster_runtime.control.operations.billing.bills import DescribeBill

        request = DescribeBill(db_cluster_identifier, since=since, by_tag=by_tag, what_if=what_if)
        result: Bill = self._home.call(request)
        return result

    def describe_schema_diff(
        self,
        db_cluster_identifier: str,
        target_db_cluster_identifier: str,
        *,
        database_name: str | None = None,
        target_database_name: str | None = None,
    ) -> "SchemaDiff":
        """Show how the schema of one database differs from that of another one, as DDL.

        What is told has to happen to the first so that it is as the second. Paused clusters wake.

        db_cluster_identifier: identifier or resource id of the cluster to come from.
        target_db_cluster_identifier: of the cluster to get to; the same one, to compare two
            databases.
        database_name: database to come from; by default the cluster's own.
        target_database_name: database to get to; by default the one of the same name, or the
            cluster's own where no name is given.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError, EngineError,
        QuorumLostError.
        """
        from cluster_runtime.control.operations.comparing.diffs import DescribeSchemaDiff

        request = DescribeSchemaDiff(
            db_cluster_identifier,
            target_db_cluster_identifier,
            database_name=database_name,
            target_database_name=target_database_name,
        )
        result: SchemaDiff = self._home.call(request)
        return result

    def describe_data_diff(
        self,
        db_cluster_identifier: str,
        target_db_cluster_identifier: str,
        *,
        database_name: str | None = None,
        target_database_name: str | None = None,
        tables: Sequence[str] = (),
        max_rows: int = 20,
    ) -> "DataDiff":
        """Show how the rows of one database differ from those of another one, table by table.

        Each side is read in one snapshot, as its master user. How many rows differ is always exact;
        which ones is shown up to a limit. Paused clusters wake.

        db_cluster_identifier: identifier or resource id of the cluster to come from.
        target_db_cluster_identifier: of the cluster to get to; the same one, to compare two
            databases.
        database_name: database to come from; by default the cluster's own.
        target_database_name: database to get to; by default the one of the same name, or the
            cluster's own where no name is given.
        tables: only these, such as `public.orders`; by default all.
        max_rows: how many changed rows of each table to show.

        Raises ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError, EngineError,
        QuorumLostError.
        """
        from cluster_runtime.control.operations.comparing.diffs import DescribeDataDiff

        request = DescribeDataDiff(
            db_cluster_identifier,
            target_db_cluster_identifier,
            database_name=database_name,
            target_database_name=target_database_name,
            tables=tuple(tables),
            max_rows=max_rows,
        )
        result: DataDiff = self._home.call(request)
        return result
