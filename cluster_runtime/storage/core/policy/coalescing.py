"""When log has to become pages: the bound that keeps a volume, and a rebuild, in proportion.

A rebuild replays the log since the last page image, and six segments keep it. So both are bounded
by the database, not by its history.
"""

LOG_BYTES_MIN = 16 << 20
DATABASE_SHARE = 3
NICE = 10
BEHIND = 2
RETRY_S = 2.0
RETRY_MAX_S = 120.0


def log_bound(database_bytes: int) -> int:
    """How much log may lie behind the last image before the next one is due."""
    return max(LOG_BYTES_MIN, database_bytes // DATABASE_SHARE)


def is_due(log_bytes: int, database_bytes: int) -> bool:
    """Whether an image is to be made now."""
    return log_bytes > log_bound(database_bytes)


def niceness(log_bytes: int, database_bytes: int) -> int:
    """How far coalescing steps back behind commits: not any more where it does not keep up."""
    return 0 if log_bytes > BEHIND * log_bound(database_bytes) else NICE


def retry_after(failures: int) -> float:
    """Seconds until what failed that often in a row is tried again."""
    return float(min(RETRY_S * 2 ** (failures - 1), RETRY_MAX_S))
