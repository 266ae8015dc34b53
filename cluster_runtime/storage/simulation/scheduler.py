"""Virtual time and a network that misbehaves, both from one seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

EVENTS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Storm:
    """How bad this run is. Probabilities, and times in milliseconds of virtual time."""

    loss: float
    duplication: float
    delay: float
    sync: float
    crash_every: float
    az_every: float
    corrupt_every: float
    takeover_every: float
    replace_every: float

    @classmethod
    def of(cls, rng: random.Random) -> "Storm":
        """The weather of a run: how much is lost, late, twice."""
        calm = rng.random() < 0.2
        return cls(
            loss=0.0 if calm else rng.choice((0.0, 0.02, 0.1, 0.3)),
            duplication=rng.choice((0.0, 0.05, 0.2)),
            delay=rng.choice((0.2, 1.0, 5.0)),
            sync=rng.choice((0.2, 1.0, 4.0)),
            crash_every=rng.choice((15.0, 40.0, 200.0)),
            az_every=rng.choice((40.0, 100.0, 400.0)),
            corrupt_every=rng.choice((30.0, 100.0, 400.0)),
            takeover_every=rng.choice((10.0, 25.0, 60.0)),
            replace_every=rng.choice((4.0, 15.0, 100.0)),
        )


class Scheduler:
    """Events in order of virtual time; ties in order of their making."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None) -> None:
        self.rng = random.Random(seed)
        self._draw = self.rng.random
        self.storm = Storm.of(self.rng)
        self.now = 0.0
        self.trace = trace
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._made = 0

    def after(self, delay: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call back after so many milliseconds of simulated time."""
        self._made += 1
        heappush(self._events, (self.now + delay, self._made, call, arguments))

    def send(self, call: Callable[..., None], *arguments: Any) -> None:
        """Deliver a message: later, perhaps never, perhaps twice, perhaps overtaken."""
        draw, storm = self._draw, self.storm
        if draw() < storm.loss:
            return
        self._made += 1  # `after`, spelled out: nothing runs as often as this
        heappush(self._events, (self.now + draw() * storm.delay, self._made, call, arguments))
        if storm.duplication and draw() < storm.duplication:
            self.after(draw() * storm.delay * 4, call, *arguments)

    def sometimes(self, every: float, call: Callable[[], None]) -> None:
        """Call again and again, with a random time between."""
        rate = 1 / every

        def again() -> None:
            call()
            self.after(self.rng.expovariate(rate), again)

        self.after(self.rng.expovariate(rate), again)

    def run_until(self, end: float) -> None:
        """Let everything happen that is due until then. RuntimeError where that never ends."""
        if self.run(EVENTS_MAX, end):
            raise RuntimeError(f"{EVENTS_MAX} events, and it is only {self.now:.3f}")
        self.now = end

    def run(self, steps: int, end: float = float("inf")) -> bool:
        """Let that many events happen, of those due by then; whether there were so many."""
        events, trace = self._events, self.trace
        for _ in range(steps):
            if not events or events[0][0] > end:
                return False
            self.now, _, call, arguments = heappop(events)
            if trace is not None:
                shown = ", ".join(map(str, arguments))
                trace(f"{self.now:8.2f}  {getattr(call, '__qualname__', call)}({shown})")
            call(*arguments)
        return True
