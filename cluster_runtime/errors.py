"""The root of all errors that are raised on purpose, and those of the runtime.

One hierarchy: `except BorealisError` catches all of them and nothing else; those of `memory` and of
`mcp_server` descend from it too. Each class says who raises it, who sees it, and whether trying
again can help; the message names the thing, what is so, and what to do, in the words of its reader
(`cluster_runtime.wording`). Fault codes are the RDS API's, so that the HTTP endpoint can answer as
RDS does. This module imports nothing but those words.
"""

from enum import Flag, auto
from typing import ClassVar

from cluster_runtime.wording import PYTHON, Said, Words, tell


class Audience(Flag):
    """Who sees an error. The log has all of them."""

    CALLER = auto()
    """Whoever called an operation: a program, a command, a tool."""
    DATABASE_CLIENT = auto()
    """Whoever connects to a cluster, as an error of PostgreSQL."""
    HOST = auto()
    """Whoever opens a state directory."""


class BorealisError(Exception):
    """Base of all errors. Its text is for readers of Python; `told` has others.

    code: RDS's fault code. retry_helps: whether the same call may succeed later, although nobody
    does anything about it. seen_by: whom it reaches.
    """

    code: ClassVar[str] = "InternalFailure"
    retry_helps: ClassVar[bool] = False
    seen_by: ClassVar[Audience] = Audience.CALLER

    def __init__(self, *said: Said) -> None:
        super().__init__(*said)
        self._said = said

    def __str__(self) -> str:
        return self.told(PYTHON)

    @property
    def said(self) -> tuple[Said, ...]:
        """Its parts, for whoever passes it on."""
        return self._said

    def told(self, words: Words) -> str:
        """What happened and what to do, in the words of one kind of reader."""
        return tell(self._said, words)


class InvalidParameterError(BorealisError):
    """A caller passed a value outside its rules. Trying again unchanged cannot help."""

    code = "InvalidParameterValue"


class OperationNotSupportedError(BorealisError):
    """A control plane was asked for what it has not: a host has it, or another release."""

    code = "InvalidParameterCombination"


class ClusterNotFoundError(BorealisError):
    """The control plane knows no cluster of that identifier."""

    code = "DBClusterNotFoundFault"
    seen_by = Audience.CALLER | Audience.DATABASE_CLIENT


class InstanceNotFoundError(BorealisError):
    """The control plane knows no instance of that identifier."""

    code = "DBInstanceNotFound"


class InstanceNotReadyError(BorealisError):
    """An instance is not in a state for what was asked: it starts, is down, or is being deleted."""

    code = "InvalidDBInstanceState"
    retry_helps = True


class InstanceQuotaError(BorealisError):
    """A cluster has as many readers as it may have. Delete one first."""

    code = "InstanceQuotaExceeded"


class ClusterEndpointNotFoundError(BorealisError):
    """The control plane knows no custom endpoint of that identifier."""

    code = "DBClusterEndpointNotFoundFault"


class ClusterEndpointAlreadyExistsError(BorealisError):
    """A create used the identifier of a custom endpoint. Choose another one."""

    code = "DBClusterEndpointAlreadyExistsFault"


class ParameterGroupNotFoundError(BorealisError):
    """The control plane knows no parameter group of that name."""

    code = "DBParameterGroupNotFound"


class ParameterGroupAlreadyExistsError(BorealisError):
    """A create used the name of a parameter group. Choose another one."""

    code = "DBParameterGroupAlreadyExists"


class ParameterGroupInUseError(BorealisError):
    """A parameter group is a default one, which nobody changes, or clusters have it."""

    code = "InvalidDBParameterGroupState"


class LogFileNotFoundError(BorealisError):
    """An instance has no log file of that name."""

    code = "DBLogFileNotFoundFault"


class InstanceAlreadyExistsError(BorealisError):
    """A create used the identifier of an instance. Choose another one."""

    code = "DBInstanceAlreadyExists"


class ClusterAlreadyExistsError(BorealisError):
    """A create used an identifier that is taken. Choose another one, or delete the old cluster."""

    code = "DBClusterAlreadyExistsFault"


class SnapshotNotFoundError(BorealisError):
    """The control plane knows no snapshot of that identifier."""

    code = "DBClusterSnapshotNotFoundFault"


class SnapshotAlreadyExistsError(BorealisError):
    """A snapshot used an identifier that is taken. Choose another one, or delete the old one."""

    code = "DBClusterSnapshotAlreadyExistsFault"


class InvalidSnapshotStateError(BorealisError):
    """A snapshot is being made, and does not allow the operation yet. That passes."""

    code = "InvalidDBClusterSnapshotStateFault"
    retry_helps = True


class AutomatedBackupNotFoundError(BorealisError):
    """There is no automated backup of that cluster: it was deleted with it, or has run out."""

    code = "DBClusterAutomatedBackupNotFoundFault"


class BackupStoreUnavailableError(BorealisError):
    """The object store of backups does not answer. Commits go on; uploads are tried again."""

    retry_helps = True


class BackupStoreRefusedError(BorealisError):
    """The object store of backups has no such bucket, or refuses these credentials."""

    code = "InvalidS3BucketFault"


class BackupKeyError(BorealisError):
    """The key that a backup's data key is wrapped with is not to be had, or is another one."""

    code = "KMSKeyNotAccessibleFault"


class BackupDamagedError(BorealisError):
    """An object of a backup is missing, or not what was written. The message names it."""

    code = "InvalidRestoreFault"


class InvalidClusterStateError(BorealisError):
    """The cluster is changing, and its status does not allow the operation now. That passes."""

    code = "InvalidDBClusterStateFault"
    retry_helps = True
    seen_by = Audience.CALLER | Audience.DATABASE_CLIENT


class ClusterClosedError(InvalidClusterStateError):
    """The cluster is stopped, being deleted, or closed by a setting: waiting does not change that.

    The message says what does.
    """

    retry_helps = False


class InvalidRestoreError(BorealisError):
    """What a cluster was at that point cannot be had any more, or not yet. Choose another one."""

    code = "InvalidRestoreFault"


class DeletionProtectedError(InvalidClusterStateError):
    """A delete met `deletion_protection`. Switch it off with modify_db_cluster first."""

    code = "InvalidParameterCombination"
    retry_helps = False
    seen_by = Audience.CALLER


class StateDirectoryInUseError(BorealisError):
    """Another process hosts this state directory. Its message names the process."""

    seen_by = Audience.HOST


class HostLostError(BorealisError):
    """The host ended with a call under way that changes something: done, or not done.

    Look before you call again; what only reads is asked again by itself.
    """


class HostUnavailableError(BorealisError):
    """A host did not start, or does not answer. Its log in the state directory says why."""

    retry_helps = True
    seen_by = Audience.CALLER | Audience.HOST


class HostVersionError(BorealisError):
    """The host of the state directory is of another release, which speaks otherwise."""

    seen_by = Audience.CALLER | Audience.HOST


class StateDirectoryError(BorealisError):
    """The state directory cannot be used: wrong owner, not writable, or of a newer version."""

    seen_by = Audience.HOST


class CatalogCorruptedError(BorealisError):
    """The catalog's file is not a readable catalog. Nothing was changed; restore or move it."""

    seen_by = Audience.HOST


class PortInUseError(BorealisError):
    """The requested port is taken on this machine. Choose another one, or none."""

    code = "InvalidParameterValue"


class InsufficientStorageError(BorealisError):
    """The file system ran out of space. What was half-made has been removed."""

    code = "InsufficientStorageClusterCapacity"


class InsufficientResourcesError(BorealisError):
    """The host has no file descriptor, thread or process left for what was asked.

    Nothing of it remains. Trying again helps once clusters were paused, stopped or deleted.
    """

    code = "InsufficientDBClusterCapacityFault"
    retry_helps = True
    seen_by = Audience.CALLER | Audience.DATABASE_CLIENT


class EngineError(BorealisError):
    """PostgreSQL did not start, stop or answer as it should. The message quotes its log.

    Trying again may help: each start begins from the volume.
    """

    retry_helps = True
    seen_by = Audience.CALLER | Audience.DATABASE_CLIENT


class EngineNotFoundError(EngineError):
    """No PostgreSQL of the requested version is installed. The message lists those that are."""

    code = "InvalidParameterCombination"
    retry_helps = False
    seen_by = Audience.CALLER | Audience.HOST


class StorageError(BorealisError):
    """The volume could not do what was asked."""

    seen_by = Audience.CALLER | Audience.DATABASE_CLIENT


class QuorumLostError(StorageError):
    """Too few segments answer for the operation. Once they are healed or repaired, it works."""

    retry_helps = True


class VolumeWithoutSpaceError(QuorumLostError, InsufficientStorageError):
    """Too few segments answer, for the disk that they are on is full. Free some, and it works."""


class StaleEpochError(StorageError):
    """A newer writer has opened the volume; this one must stop. Trying again cannot help."""
