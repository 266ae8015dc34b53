"""Every error that the runtime raises on purpose.

One hierarchy: `except BorealisError` catches all of them and nothing else. Each class says who
raises it and whether trying again can help; the message names the thing, what is so, and what
to do, in the words of its reader (`cluster_runtime.wording`). Fault codes are the RDS API's, so
that the HTTP endpoint can answer as RDS does.
"""

from cluster_runtime.wording import PYTHON, Said, Words, tell


class BorealisError(Exception):
    """Base of all errors of this package. Its text is for readers of Python; `told` has others."""

    code = "InternalFailure"

    def __init__(self, *said: Said) -> None:
        super().__init__(*said)
        self._said = said

    def __str__(self) -> str:
        return self.told(PYTHON)

    def told(self, words: Words) -> str:
        """What happened and what to do, in the words of one kind of reader."""
        return tell(self._said, words)


class InvalidParameterError(BorealisError):
    """A caller passed a value outside its rules. Trying again unchanged cannot help."""

    code = "InvalidParameterValue"


class ClusterNotFoundError(BorealisError):
    """The control plane knows no cluster of that identifier."""

    code = "DBClusterNotFoundFault"


class ClusterAlreadyExistsError(BorealisError):
    """A create used an identifier that is taken. Choose another one, or delete the old cluster."""

    code = "DBClusterAlreadyExistsFault"


class InvalidClusterStateError(BorealisError):
    """The cluster's status does not allow the operation now. Trying again later may help."""

    code = "InvalidDBClusterStateFault"


class DeletionProtectedError(InvalidClusterStateError):
    """A delete met `deletion_protection`. Switch it off with modify_db_cluster first."""

    code = "InvalidParameterCombination"


class StateDirectoryInUseError(BorealisError):
    """Another process hosts this state directory. Its message names the process."""


class StateDirectoryError(BorealisError):
    """The state directory cannot be used: wrong owner, not writable, or of a newer version."""


class CatalogCorruptedError(BorealisError):
    """The catalog's file is not a readable catalog. Nothing was changed; restore or move it."""


class PortInUseError(BorealisError):
    """The requested port is taken on this machine. Choose another one, or none."""


class InsufficientStorageError(BorealisError):
    """The file system ran out of space. What was half-made has been removed."""

    code = "InsufficientStorageClusterCapacity"


class EngineError(BorealisError):
    """PostgreSQL did not start, stop or answer as it should. The message quotes its log."""


class EngineNotFoundError(EngineError):
    """No PostgreSQL of the requested version is installed. The message lists those that are."""

    code = "InvalidParameterCombination"


class StorageError(BorealisError):
    """The volume could not do what was asked."""


class QuorumLostError(StorageError):
    """Too few segments answer for the operation. Heal or repair segments, then try again."""


class StaleEpochError(StorageError):
    """A newer writer has opened the volume; this one must stop. Trying again cannot help."""
