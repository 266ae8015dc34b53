"""A thread for the work that nobody waits for."""

import queue
import threading
import time
from collections.abc import Callable

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger

Work = Callable[[], None]

AGAIN_S = 1.0
"""When something that failed is done again."""

_log = get_logger(__name__)


class Jobs:
    """What is done regularly, each job on its own: one that fails keeps no other from being done.

    A failure is logged once, and again only when it is another one, or the job went well between.
    """

    def __init__(self, *jobs: Work) -> None:
        self._jobs = jobs
        self._told: dict[Work, str] = {}

    def do(self) -> None:
        """Do all of them, in their order. Raises nothing."""
        for job in self._jobs:
            try:
                job()
            except Exception as error:  # noqa: BLE001 - the others are done all the same
                if self._told.get(job) != repr(error):
                    _log_failure(error)
                self._told[job] = repr(error)
            else:
                self._told.pop(job, None)


class Worker:
    """Does what it is given, one after the other, from `start` to `close`.

    regularly: done at the start and between, as often as it says: it returns the seconds until the
    next time.
    """

    def __init__(self, name: str, regularly: Callable[[], float] | None = None) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._regularly = regularly
        self._due = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
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
        while True:
            left = None
            if self._regularly is not None:
                if time.monotonic() >= self._due:
                    self._do(self._do_regularly)
                left = max(0.0, self._due - time.monotonic())
            try:
                work = self._work.get(timeout=left)
            except queue.Empty:
                continue
            if work is None:
                return
            self._do(work)

    def _do_regularly(self) -> None:
        assert self._regularly is not None
        self._due = time.monotonic() + AGAIN_S
        self._due = time.monotonic() + self._regularly()

    def _do(self, work: Work) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - commits wait for what this thread does next
            _log_failure(error)


def _log_failure(error: Exception) -> None:
    if isinstance(error, OSError | LookupError | StorageError):
        _log.warning("background work of a volume failed", error=str(error))
    else:
        _log.error("background work of a volume failed", error=repr(error), exc_info=error)
