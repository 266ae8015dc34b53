"""A thread for the work that nobody waits for."""

import queue
import threading
import time
from collections.abc import Callable

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger

Work = Callable[[], None]

_log = get_logger(__name__)


class Worker:
    """Does what it is given, one after the other, from `start` to `close`.

    regularly: done every `every_s` seconds between, and at the start.
    """

    def __init__(self, name: str, regularly: Work | None = None, every_s: float = 0.0) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._regularly, self._every_s = regularly, every_s
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Finish what was given until now."""
        self._work.put(None)
        self._thread.join()

    def put(self, work: Work, *, after_s: float = 0.0) -> None:
        """Have something done; a failure of the disk or the volume is logged and forgotten."""
        if not after_s:
            self._work.put(work)
            return
        timer = threading.Timer(after_s, self._work.put, (work,))
        timer.daemon = True
        timer.start()

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if self._regularly is not None and now >= due:
                due = now + self._every_s
                self._do(self._regularly)
            try:
                left = max(0.0, due - now) if self._regularly is not None else None
                work = self._work.get(timeout=left)
            except queue.Empty:
                continue
            if work is None:
                return
            self._do(work)

    def _do(self, work: Work) -> None:
        try:
            work()
        except (OSError, LookupError, StorageError) as error:
            _log.warning("background work of a volume failed", error=str(error))
