"""What a thread does later: it asks `due`, waits no longer than that, and fires."""

import heapq
from collections.abc import Callable


class Timers:
    """Used on one thread. clock: in seconds; only its differences count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    @property
    def due(self) -> float | None:
        """When the next one is due, as the clock has it; None where none waits."""
        return self._waiting[0][0] if self._waiting else None

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something done in some seconds. What is due at the same time keeps its order."""
        self._number += 1
        heapq.heappush(self._waiting, (self._clock() + seconds, self._number, action))

    def fire(self) -> None:
        """Do what is due by now."""
        while self._waiting and self._waiting[0][0] <= self._clock():
            heapq.heappop(self._waiting)[2]()
