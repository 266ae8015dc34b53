"""Work on indexes beside the caller: in a thread that lives as long as the work."""

import threading
import time
from collections.abc import Callable

import psycopg
import structlog

from memory.errors import AgentMemoryError
from memory.forked import FreshLock

log = structlog.get_logger(__name__)

AGAIN_AFTER_SECONDS = 300.0
"""It counts all vectors, so searches do not ask for it at will."""


class Tending:
    """Calls `tend` in a thread when asked to: one at a time, and not again at once."""

    def __init__(self, tend: Callable[[], object]) -> None:
        self._tend = tend
        self._lock = FreshLock()
        self._begun: float | None = None
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Have it done, unless it is under way or was done a moment ago."""
        with self._lock:
            now = time.monotonic()
            if self._thread is not None and self._thread.is_alive():
                return
            if self._begun is not None and now - self._begun < AGAIN_AFTER_SECONDS:
                return
            self._begun = now
            self._thread = threading.Thread(
                target=self._run, name="borealis-memory-indexes", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        try:
            self._tend()
        except (AgentMemoryError, psycopg.Error, OSError) as error:
            log.warning("memory.indexes_not_tended", error=str(error))
