"""When log has to become pages: the bound that keeps a volume, and a rebuild, in proportion.

A rebuild replays the log since the last page image, and six segments keep it. So both are bounded
by the database, not by its history.
"""

from enum import IntEnum

LOG_BYTES_MIN = 16 << 20
DATABASE_SHARE = 3
REWOUND_BYTES = 4 << 20
"""What is not worth an image even after a rewind: it is replayed in a moment."""
NICE = 10
REPLAY_BYTES_PER_S = 18 << 20
"""What PostgreSQL's redo makes of the log of small transactions on one slow core."""
REPLAY_S = 3
IDLE_S = 3.0
BEHIND = 2
RETRY_S = 2.0
RETRY_MAX_S = 120.0


def log_bound(database_bytes: int) -> int:
    """How much log may lie behind the last image before the next one is due."""
    return max(LOG_BYTES_MIN, database_bytes // DATABASE_SHARE)


def is_due(
    log_bytes: int, database_bytes: int, *, rewinds: bool = False, rewound: bool = False
) -> bool:
    """Whether an image is to be made now.

    log_bytes: what a replay over the last image goes through: from where that begins, which may be
        far below what its pages hold.
    rewound: the database was just brought back to what it was. Who did that tries something, and
        may do it again soon, which then replays nothing of what came before.
    """
    bound = REWOUND_BYTES if rewound else image_spacing(database_bytes, rewinds=rewinds)
    return log_bytes > bound


def image_spacing(database_bytes: int, *, rewinds: bool) -> int:
    """The same where a rewind may begin from any image: what can be replayed in some seconds."""
    bound = log_bound(database_bytes)
    return min(bound, REPLAY_BYTES_PER_S * REPLAY_S) if rewinds else bound


class Politeness(IntEnum):
    """How far coalescing steps back behind commits: to a lower priority, or to idle time alone."""

    NONE = 0
    NICE = 1
    IDLE = 2


def politeness(log_bytes: int, database_bytes: int, seconds: float) -> Politeness:
    """How far one run of it steps back now, that many seconds after it began.

    At first it takes what commits leave, which is enough where the machine is not busy. On a busy
    one nothing may be left. Where it does not keep up it does not step back at all.
    """
    if log_bytes > BEHIND * log_bound(database_bytes):
        return Politeness.NONE
    return Politeness.IDLE if seconds < IDLE_S else Politeness.NICE


def retry_after(failures: int) -> float:
    """Seconds until what failed that often in a row is tried again."""
    return float(min(RETRY_S * 2 ** (failures - 1), RETRY_MAX_S))
