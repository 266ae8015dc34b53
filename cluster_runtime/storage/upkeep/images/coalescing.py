"""Coalescing by itself: whenever an image is due, a few volumes at a time, and never while paused.

A thread lives only while there is something to do; so does the coalescer's PostgreSQL.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.coalescing import retry_after
from cluster_runtime.storage.disk.page_images import PageImage
from cluster_runtime.storage.upkeep.images.interruption import InterruptedCoalescingError

AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
"""How many volumes of one host coalesce at the same time."""

SLOT_POLL_S = 0.1

_log = get_logger(__name__)
_slots = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class CoalescingReport:
    """running: an image is being made now. images: made since the volume was opened.

    last_seconds: what the last one took. problem: why the last try failed; empty where it did not.
    """

    running: bool = False
    images: int = 0
    last_seconds: float | None = None
    problem: str = ""


class Coalescing:
    """Makes one volume's images when they are due. From any thread."""

    def __init__(
        self, due: Callable[[], bool], make: Callable[[Callable[[], bool]], PageImage]
    ) -> None:
        """due: asked often, must be quick. make: makes an image, and asks what it is given whether
        to end before that is done; it raises InterruptedCoalescingError then.
        """
        self._due = due
        self._make = make
        self._lock = threading.Condition()
        self._running = threading.Lock()
        self._thread: threading.Thread | None = None
        self._enabled = False
        self._rests = 0
        self._interrupts = 0
        self._closed = threading.Event()
        self._failures = 0
        self._not_before = 0.0
        self.report = CoalescingReport()

    def enable(self) -> None:
        """Make images by itself from now on."""
        self._enabled = True

    def look(self) -> None:
        """Begin to make an image on a thread of its own if one is due. Returns at once."""
        if not self._enabled or self._closed.is_set() or time.monotonic() < self._not_before:
            return
        with self._lock:
            if self._rests or (self._thread is not None and self._thread.is_alive()):
                return
            if not self._due():
                return
            self._thread = threading.Thread(
                target=self._run, args=(self._interrupts,), name="borealis-coalescing", daemon=True
            )
            self._thread.start()

    def now(self) -> PageImage:
        """Make an image, whether due or not, and return it. Waits for one under way, and for the
        end of a rest.
        """
        with self._lock:
            self._lock.wait_for(lambda: not self._rests or self._closed.is_set())
            interrupts = self._interrupts
        made = self._once(interrupts, wanted=lambda: True)
        assert made is not None, "an image was wanted"
        return made

    def settle(self) -> None:
        """Wait until nothing is due any more: before a pause. A failure is logged, and no reason
        not to pause; nor is what a rest keeps from being made.
        """
        with self._lock:
            rests, interrupts = self._rests, self._interrupts
        if self._enabled and not rests:
            self._run(interrupts)

    def interrupt(self) -> None:
        """End what is under way, and wait for its end."""
        self._interrupts += 1
        with self._running:
            pass

    @contextmanager
    def resting(self) -> Iterator[None]:
        """End what is under way; and nothing begins before the end of this."""
        with self._lock:
            self._rests += 1
        try:
            self.interrupt()
            yield
        finally:
            with self._lock:
                self._rests -= 1
                self._lock.notify_all()

    def close(self) -> None:
        """End what is under way, for good."""
        with self._lock:
            self._closed.set()
            self._lock.notify_all()
        self.interrupt()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self, interrupts: int) -> None:
        """Until nothing is due: log goes on to come while an image is made.

        interrupts: how many there were when this was begun.
        """
        try:
            while self._once(interrupts, wanted=self._due) is not None:
                self._failures = 0
        except InterruptedCoalescingError:
            return
        except (OSError, LookupError, psycopg.Error, BorealisError) as error:
            self._failures += 1
            again = retry_after(self._failures)
            self._not_before = time.monotonic() + again
            self.report = CoalescingReport(
                False, self.report.images, self.report.last_seconds, str(error)
            )
            _log.warning("coalescing failed; it is tried again", error=str(error), seconds=again)

    def _once(self, interrupts: int, wanted: Callable[[], bool]) -> PageImage | None:
        """Make one image where it is still `wanted` once it is this one's turn."""

        def stopped() -> bool:
            return self._closed.is_set() or self._interrupts != interrupts

        with self._running:
            if not wanted():
                return None
            while not _slots.acquire(timeout=SLOT_POLL_S):
                if stopped():
                    break
            else:
                try:
                    # Others had their turn meanwhile.
                    return self._timed(stopped) if wanted() else None
                finally:
                    _slots.release()
            raise InterruptedCoalescingError("coalescing was interrupted before it began")

    def _timed(self, stopped: Callable[[], bool]) -> PageImage:
        before = self.report
        if stopped():
            raise InterruptedCoalescingError("coalescing was interrupted before it began")
        self.report = CoalescingReport(True, before.images, before.last_seconds, before.problem)
        began = time.monotonic()
        try:
            made = self._make(stopped)
        except BaseException:
            self.report = before
            raise
        self.report = CoalescingReport(False, before.images + 1, time.monotonic() - began)
        return made
