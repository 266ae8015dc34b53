"""The log of a volume as one standby gets it: it can be told to end, where a branch begins."""

import os
import threading
from contextlib import suppress
from dataclasses import replace

from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.streaming.wal_protocol import ServedLog
from cluster_runtime.storage.streaming.wal_service import LogSource, WalCursor

_TOLD = b"\0"


class LogUpTo:
    """A `LogSource` over another one, with an end of its own once it was told one.

    From any thread.
    """

    def __init__(self, log: LogSource) -> None:
        self._log = log
        self._end: int | None = None
        self._watching: set[int] = set()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End where the log is durable now: who reads it has nothing behind that, nor gets it."""
        with self._lock:
            self._end = self._log.served_log().end

    def go_on(self, end: int) -> None:
        """Go on up to an LSN, and end there."""
        with self._lock:
            self._end = end
            for fd in self._watching:
                with suppress(BlockingIOError):  # it was told already
                    os.write(fd, _TOLD)

    def served_log(self) -> ServedLog:
        """What IDENTIFY_SYSTEM is answered with."""
        with self._lock:
            now = self._log.served_log()
            return now if self._end is None else replace(now, end=min(now.end, self._end))

    def cursor(self, lsn: int) -> WalCursor:
        """A reader of WAL from `lsn` on. Raises LookupError where that has been removed."""
        return self._log.cursor(lsn)

    def watch(self, fd: int) -> None:
        """Have `fd` (non-blocking) written to whenever there may be more."""
        with self._lock:
            self._watching.add(fd)
        self._log.watch(fd)

    def unwatch(self, fd: int) -> None:
        """Tell a file descriptor no more."""
        with self._lock:
            self._watching.discard(fd)
        self._log.unwatch(fd)

    def relay(self, feedback: Feedback) -> None:
        """The writer hears nothing of this standby: it needs none of its old rows."""
