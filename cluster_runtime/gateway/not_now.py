"""What a client hears whose cluster could not be woken: why, and what helps. Pure.

SQLSTATE 57P03 (cannot_connect_now) for all of them, which drivers take for "try again". The texts
are fixed: no path, name or quoted log reaches whoever knocks; the cluster's events have all.

Source: PostgreSQL documentation, Appendix A, "PostgreSQL Error Codes", class 57.
"""

from dataclasses import dataclass

from cluster_runtime.errors import (
    BorealisError,
    InsufficientResourcesError,
    InsufficientStorageError,
    InvalidClusterStateError,
    QuorumLostError,
    StorageError,
)
from cluster_runtime.wording import DATABASE_CLIENT

CANNOT_CONNECT_NOW = "57P03"
AGAIN = "The next connect tries again."


@dataclass(frozen=True, slots=True)
class NotNow:
    """Why no connection can be had now, and what to do."""

    text: str
    hint: str | None


def why_not(error: BorealisError) -> NotNow:
    """What is said of an error of `Backend.wake` or `Backend.login`."""
    if isinstance(error, InvalidClusterStateError):
        return NotNow(error.told(DATABASE_CLIENT), None)
    for kind, why, hint in _KNOWN:
        if isinstance(error, kind):
            return NotNow(f"the instance could not be started: {why}", f"{hint} {AGAIN}")
    return NotNow(
        "the instance could not be started; see the cluster's events",
        f"The cluster's events and its PostgreSQL log say why. {AGAIN}",
    )


_KNOWN: tuple[tuple[type[BorealisError], str, str], ...] = (
    (
        InsufficientStorageError,
        "the disk of its host is full",
        "Free space on the host.",
    ),
    (
        InsufficientResourcesError,
        "its host has no file, process or memory left for it",
        "Pause, stop or delete other clusters of the host, or raise its limits.",
    ),
    (
        QuorumLostError,
        "too few segments of its volume answer",
        "Bring the segments back, or heal them; the cluster's events say which.",
    ),
    (
        StorageError,
        "its volume is damaged",
        "Heal its segments, or restore the cluster to a point in time; its events say more.",
    ),
)
