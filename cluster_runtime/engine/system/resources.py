"""What a process may have of its system: file descriptors, threads, processes; and none left.

Running out is the state of a machine and no fault of a disk or server: it is told as that, before
anybody concludes that a segment is lost.
"""

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster_runtime.engine.system.files import is_no_space
from cluster_runtime.errors import (
    EngineError,
    InsufficientResourcesError,
    InsufficientStorageError,
)
from cluster_runtime.logs import get_logger

OPEN_FILES_WANTED = 65_536
"""A running cluster has some 30 open, a paused one the six sockets that wake it."""

SWITCH_S = 0.001
"""For how long a thread may keep others from the interpreter; Python's own value is 0.005."""

_FILES = {errno.EMFILE: "open files of this process", errno.ENFILE: "open files of this machine"}
_PROCESSES = {errno.EAGAIN: "processes that this user may have", errno.ENOMEM: "memory"}
_NO_THREAD = "can't start new thread"

_log = get_logger(__name__)


def raise_open_files() -> int:
    """Raise the limit of open files as far as the system permits; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(OPEN_FILES_WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # macOS has a limit below its hard one
        _log.warning("the limit of open files stays", limit=soft, error=str(error))
        return soft
    return wanted


def switch_often() -> None:
    """Have the threads of this process give way to each other after a millisecond.

    Each commit passes through one of them, several times, and waits each time for as long as
    somebody computes: who lays out a branch, makes an image, or works for the process that this
    runtime is embedded in. A process that has chosen less keeps that.
    """
    if sys.getswitchinterval() > SWITCH_S:
        sys.setswitchinterval(SWITCH_S)


def used_up(error: BaseException, *, starting: bool = False) -> InsufficientResourcesError | None:
    """The error that says what has run out; None for any other error.

    starting: it came of starting a process, where EAGAIN means that no more are permitted.
    """
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return _told("threads")
    known = _FILES | _PROCESSES if starting else _FILES
    if isinstance(error, OSError) and error.errno in known:
        return _told(known[error.errno])
    return None


def says_no_space(error: Exception) -> bool:
    """Whether a full disk is what it is about, also one that PostgreSQL's log tells of."""
    return is_no_space(error) or os.strerror(errno.ENOSPC) in str(error)


@contextmanager
def saying_no_space(where: Path | str) -> Iterator[None]:
    """Raises InsufficientStorageError where the block finds the disk full. where: what is on it.

    PostgreSQL says so in its log, which an EngineError quotes.
    """
    try:
        yield
    except (OSError, EngineError) as error:
        if not says_no_space(error):
            raise
        raise InsufficientStorageError(
            f"no space left on the disk of {where}; free some and try again"
        ) from error


def _told(what: str) -> InsufficientResourcesError:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = f" (the limit is {soft}; ulimit -n raises it)" if what == _FILES[errno.EMFILE] else ""
    return InsufficientResourcesError(
        f"no {what} left{limit}: pause, stop or delete clusters that nobody needs, or give the "
        "host more"
    )
