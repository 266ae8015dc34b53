"""What a cluster can go back to, and what becomes of it when it does.

Source: Amazon RDS API Reference, data type DBClusterBacktrack, and the names of its members.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DBClusterBacktrack:
    """A cluster that went back to a time, as BacktrackDBCluster shows it."""

    db_cluster_identifier: str
    backtrack_identifier: str
    backtrack_to: datetime
    backtracked_from: datetime
    backtrack_request_creation_time: datetime
    status: str = "COMPLETED"


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A name for a moment of a cluster. lsn: up to where its log goes then."""

    name: str
    lsn: str
    created: datetime


@dataclass(frozen=True, slots=True)
class RewindDescription:
    """A cluster that goes back, or would.

    lsn: up to where its log goes then. commits: how many go, from the first to the last, by the
    times of their records. sessions: who is connected now, and will be disconnected.
    dry_run: whether nothing was changed. can_be_undone: until when it can be taken back; None while
    nothing was changed.
    """

    db_cluster_identifier: str
    lsn: str
    commits: int
    first_commit: datetime | None
    last_commit: datetime | None
    sessions: tuple[str, ...]
    dry_run: bool
    can_be_undone: datetime | None = None
