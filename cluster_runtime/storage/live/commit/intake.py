"""Whether log may be taken from the writer now: backlog, and back-pressure for slow segments."""

from collections.abc import Callable, Sequence

from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.policy.back_pressure import BackPressure
from cluster_runtime.storage.core.sizes import Sizes
from cluster_runtime.storage.live.commit.lanes import Lane

_log = get_logger(__name__)


class Intake:
    """Of one commit path, on its thread."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        sizes: Sizes,
        clock: Callable[[], float],
        after: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """after: has something done in some seconds, and the commit path look again after that.

        `throttled` may be read on any thread.
        """
        self._lanes, self._sizes, self._clock, self._after = lanes, sizes, clock, after
        self._pressure = BackPressure()
        self._looks_again = self.throttled = False

    def may_take(self, head: int, complete: int) -> bool:
        """Whether more may come. head: where the log ends. complete: what a write quorum has."""
        if head - complete > self._sizes.backlog:
            return False
        lag, room = 0, self._sizes.ring - self._sizes.ring // 4
        overtakes = False
        for lane in self._lanes:
            missing = head - lane.store.end
            if lane.live:
                overtakes = overtakes or missing > room
            elif lane.fault is None and not (lane.useless or lane.problem):
                lag = max(lag, missing)
        pressure = self._pressure
        pressure.seen(self._clock(), lag=lag, overtakes=overtakes)
        if pressure.throttled is not self.throttled:
            self.throttled = pressure.throttled
            _log.info("back-pressure on the writer", throttled=self.throttled, lag_bytes=lag)
        wait_s = pressure.wait_s
        if wait_s > 0 and not self._looks_again:
            self._looks_again = True
            self._after(wait_s, self._look_again)
        return wait_s <= 0

    def took(self, count: int) -> None:
        """Note bytes of log that came from the writer."""
        self._pressure.took(count)

    def copied(self, count: int) -> None:
        """Note bytes of log that a segment which is behind got from its peers."""
        self._pressure.copied(count)

    def _look_again(self) -> None:
        self._looks_again = False
