"""Operations that bring a cluster back to what it was, in place, and the marks for that."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Annotated

from cluster_runtime.control.operations.clusters import DB_CLUSTER_NOUN
from cluster_runtime.control.operations.declaration import Request, Result, operation
from cluster_runtime.control.operations.recovery.errors import CUT_ERRORS
from cluster_runtime.control.operations.types import DB_CLUSTER, ClusterReference
from cluster_runtime.control.records.rules import Must, check_restore_point
from cluster_runtime.errors import (
    ClusterNotFoundError,
    EngineError,
    InsufficientStorageError,
    InvalidClusterStateError,
    InvalidParameterError,
    InvalidRestoreError,
    QuorumLostError,
)
from cluster_runtime.wording import Parameter

REWINDS = "cluster_runtime.control.records.recovery.rewinds"
BACKTRACK = Result(REWINDS, "DBClusterBacktrack")
RESTORE_POINT = Result(REWINDS, "RestorePoint")
RESTORE_POINTS = Result(REWINDS, "RestorePoint", many=True)
REWIND = Result(REWINDS, "RewindDescription")
RestorePointName = Annotated[str, Must(check_restore_point)]


@operation(
    "BacktrackDBCluster",
    of=DB_CLUSTER_NOUN,
    returns=BACKTRACK,
    raises=(
        ClusterNotFoundError,
        InvalidClusterStateError,
        InvalidParameterError,
        *CUT_ERRORS,
    ),
)
@dataclass(frozen=True, slots=True)
class BacktrackDBCluster(Request):
    """Bring a cluster back to what it was at a time, in place.

    It has each commit then whose time is not after that. Its endpoints stay; connections end, and
    who connects waits. `undo_rewind` takes it back.

    backtrack_to: the time; aware.
    use_earliest_time_on_point_in_time_unavailable: the earliest time there is, where that is later.
    """

    db_cluster_identifier: ClusterReference
    backtrack_to: datetime
    _: KW_ONLY
    use_earliest_time_on_point_in_time_unavailable: bool = False

    def check(self) -> None:
        """Raises InvalidParameterError for a time that is none."""
        if self.backtrack_to.tzinfo is None:
            raise InvalidParameterError(Parameter("backtrack_to"), " names no time zone")


@operation(
    "Rewind",
    of=DB_CLUSTER_NOUN,
    returns=REWIND,
    raises=(
        ClusterNotFoundError,
        InvalidClusterStateError,
        *CUT_ERRORS,
    ),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class Rewind(Request):
    """Bring a cluster back to a restore point, a time or an LSN, in place.

    Its endpoints stay; connections end, and who connects waits. `undo_rewind` takes it back.

    to: the name of a restore point, a time such as 2026-11-29T20:15:00+01:00, or an LSN such as
        0/16B3748.
    dry_run: change nothing, and say whose transactions would go.
    """

    db_cluster_identifier: ClusterReference
    to: str
    _: KW_ONLY
    dry_run: bool = False


@operation(
    "UndoRewind",
    of=DB_CLUSTER_NOUN,
    returns=DB_CLUSTER,
    raises=(
        ClusterNotFoundError,
        InvalidClusterStateError,
        InvalidRestoreError,
        InsufficientStorageError,
        EngineError,
        QuorumLostError,
    ),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class UndoRewind(Request):
    """Take the last rewind of a cluster back, or the last reset of a branch.

    What was written since is kept in turn: a second call brings that back.
    """

    db_cluster_identifier: ClusterReference


@operation(
    "CreateRestorePoint",
    of=DB_CLUSTER_NOUN,
    returns=RESTORE_POINT,
    raises=(ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError, QuorumLostError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class CreateRestorePoint(Request):
    """Name this moment of a cluster, to rewind to it later: before something risky.

    It holds everything that was acknowledged before, and stays as long as the cluster's backtrack
    window reaches back to it.

    restore_point: its name: letters, digits, hyphens and underscores, with a letter first.
    """

    db_cluster_identifier: ClusterReference
    restore_point: RestorePointName


@operation(
    "DescribeRestorePoints",
    of=DB_CLUSTER_NOUN,
    returns=RESTORE_POINTS,
    raises=(ClusterNotFoundError, InvalidClusterStateError, QuorumLostError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DescribeRestorePoints(Request):
    """Show the restore points of a cluster, the oldest first."""

    db_cluster_identifier: ClusterReference


@operation(
    "DeleteRestorePoint",
    of=DB_CLUSTER_NOUN,
    returns=None,
    raises=(ClusterNotFoundError, InvalidClusterStateError, InvalidRestoreError, QuorumLostError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DeleteRestorePoint(Request):
    """Forget a restore point.

    restore_point: the name that it was given.
    """

    db_cluster_identifier: ClusterReference
    restore_point: str
