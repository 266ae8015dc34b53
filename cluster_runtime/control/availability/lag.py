"""How far a reader is behind, in time: CloudWatch's AuroraReplicaLag."""

from datetime import datetime


def replica_lag_ms(
    replayed: int, durable: int, last_commit: datetime | None, now: datetime
) -> float:
    """Milliseconds that a reader shows behind what was durable just before it was asked.

    replayed: LSN up to which it shows the log. last_commit: the time of the last commit that it
    shows, by its writer's clock; None where it has shown none yet. Where it shows everything the
    lag is 0, however long ago the last commit was.
    """
    if replayed >= durable or last_commit is None:
        return 0.0
    return max(0.0, (now - last_commit).total_seconds() * 1000)
