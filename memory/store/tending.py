"""Work on indexes beside the caller: in a thread that lives as long as the work, or its store."""

import threading
import time
from collections.abc import Callable

import psycopg
import structlog

from memory.database.steps import Stop
from memory.errors import AgentMemoryError
from memory.forked import FreshLock

log = structlog.get_logger(__name__)

THREAD_NAME = "borealis-memory-indexes"
AGAIN_AFTER_SECONDS = 300.0
"""It counts all vectors, so searches do not ask for it at will."""

SAY_AGAIN_SECONDS = 0.1
"""To stop: a statement that has not begun yet does not hear it."""


class Tending:
    """Calls `tend` in a thread when asked to: one at a time, and not again at once."""

    def __init__(self, tend: Callable[[Stop], object]) -> None:
        self._tend, self._stop = tend, Stop()
        self._lock = FreshLock()
        self._closed = False
        self._begun: float | None = None
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Have it done, unless it is under way or was done a moment ago."""
        with self._lock:
            if self._closed:
                return
            now = time.monotonic()
            if self._thread is not None and self._thread.is_alive():
                return
            if self._begun is not None and now - self._begun < AGAIN_AFTER_SECONDS:
                return
            self._begun = now
            self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Cancel what is under way, wait until it has ended, and begin nothing more."""
        with self._lock:
            self._closed, thread = True, self._thread
        # In a forked process the thread is not there, and the statement is the parent's.
        while thread is not None and thread.is_alive():
            self._stop.ask()
            thread.join(SAY_AGAIN_SECONDS)

    def _run(self) -> None:
        try:
            self._tend(self._stop)
        except (AgentMemoryError, psycopg.Error, OSError) as error:
            if self._stop.asked:
                log.info("memory.indexes_left_half_made", error=str(error))
                return
            log.warning("memory.indexes_not_tended", error=str(error))
