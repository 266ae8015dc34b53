"""The System V shared memory of a postmaster: removed when nobody was left to do it.

PostgreSQL keeps a few bytes of it as a lock on its data directory, and removes them when it ends.
After SIGKILL they stay, and a kernel has room for 4,096 by default. Linux tells which process made
a segment, so nothing that a data directory says has to be believed.

Source: man proc(5), /proc/sysvipc/shm; PostgreSQL `src/backend/port/sysv_shmem.c`.
"""

import ctypes
import errno
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.engine.sandbox.libc import libc
from cluster_runtime.logs import get_logger

SEGMENTS = Path("/proc/sysvipc/shm")
PATIENCE_S = 5.0
POLL_S = 0.002
_IPC_RMID = 0
_GONE = (errno.EINVAL, errno.EIDRM)

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of this machine. maker: the process that made it; attached: how many use it."""

    id: int
    maker: int
    attached: int
    maker_uid: int


def parse_segments(text: str) -> Iterator[Segment]:
    """The rows of /proc/sysvipc/shm, whose first line names the columns."""
    head, *rows = text.splitlines() or [""]
    names = head.split()
    for row in rows:
        values = dict(zip(names, row.split(), strict=False))
        yield Segment(
            id=int(values["shmid"]),
            maker=int(values["cpid"]),
            attached=int(values["nattch"]),
            maker_uid=int(values["cuid"]),
        )


def remove_left_behind(maker: int, uid: int, patience_s: float = PATIENCE_S) -> list[int]:
    """Remove the segments that a process, now gone, made as `uid`; return their ids.

    One that is attached belongs to somebody who lives: the children of a killed postmaster end
    soon after it, and are waited for that long. Elsewhere than on Linux nothing is removed.
    """
    deadline = time.monotonic() + patience_s
    removed = []
    while True:
        found = [one for one in _segments() if one.maker == maker and one.maker_uid == uid]
        removed += _remove(found)
        if time.monotonic() > deadline or not any(segment.attached for segment in found):
            return removed
        time.sleep(POLL_S)


def remove_all_of(uid: int) -> list[int]:
    """Remove every unused segment of a user that has no process any more."""
    return _remove(segment for segment in _segments() if segment.maker_uid == uid)


def _segments() -> Iterator[Segment]:
    try:
        text = SEGMENTS.read_text(encoding="ascii")
    except FileNotFoundError:
        return iter(())
    return parse_segments(text)


def _remove(segments: Iterable[Segment]) -> list[int]:
    control = libc().shmctl
    removed = []
    for segment in segments:
        if segment.attached:
            continue
        if control(segment.id, _IPC_RMID, None) == 0:
            removed.append(segment.id)
        elif ctypes.get_errno() not in _GONE:
            reason = os.strerror(ctypes.get_errno())
            _log.warning("shared memory was left behind", segment=segment.id, reason=reason)
    return removed
