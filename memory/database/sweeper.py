"""Removing what has expired from a background thread."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import psycopg
import structlog

from memory.errors import AgentMemoryError, ConfigurationError

log = structlog.get_logger(__name__)

DEFAULT_SWEEP_MINUTES = 5.0


class Sweeper:
    """Calls `sweep` again and again, in a thread that ends with the process or when told."""

    def __init__(self, sweep: Callable[[], int]) -> None:
        self._sweep = sweep
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self, minutes: float | None) -> Future[None]:
        """The future ends with the thread; cancelling it stops the thread.

        Raises ConfigurationError if it runs already.
        """
        if self._thread is not None and self._thread.is_alive():
            raise ConfigurationError("the sweeper is running; call stop_ttl_sweeper() first")
        interval = DEFAULT_SWEEP_MINUTES if minutes is None else minutes
        if interval <= 0:
            raise ConfigurationError(
                f"the sweep interval is {interval} minutes; it must be positive"
            )
        self._stop = threading.Event()
        future: Future[None] = Future()
        stop = self._stop
        future.add_done_callback(lambda _: stop.set())
        self._thread = threading.Thread(
            target=self._run, args=(interval * 60, future, self._stop), daemon=True
        )
        self._thread.name = "borealis-memory-sweeper"
        self._thread.start()
        return future

    def ask_to_stop(self) -> None:
        """Have the thread end, without waiting for it."""
        self._stop.set()

    def stop(self, timeout: float | None) -> bool:
        """Stop the thread; whether it ended within `timeout` seconds."""
        if self._thread is None:
            return True
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self, interval: float, future: Future[None], stop: threading.Event) -> None:
        while not stop.wait(interval):
            try:
                removed = self._sweep()
            except (AgentMemoryError, psycopg.Error) as error:
                log.warning("memory.sweep_failed", error=str(error))
            else:
                log.debug("memory.swept", removed=removed)
        if not future.done():
            future.set_result(None)
