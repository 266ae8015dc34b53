"""How much capacity an instance gets in the next second: the rule, without a clock.

Each tick says what the instance does with what it has. Capacity grows as soon as something is
nearly used up, as far as credits reach; it shrinks slowly, to what was needed in the last seconds,
and never below what sessions and memory need. Times are seconds of any monotonic clock.

Between growing (above BUSY of what there is) and having enough (FILLED) there is room, so that a
constant load leaves capacity alone.

Source: Aurora User Guide, "Aurora serverless scaling"; Barnhart et al., "Resource Management in
Aurora Serverless" (VLDB 2024), token bucket.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from cluster_runtime.serverless.scaling.demand import Demand, Resource
from cluster_runtime.serverless.scaling.units import (
    ACU,
    LEAST_RUNNING_ACU,
    CapacityUnit,
    check_capacity,
    check_range,
    rounded_down,
    rounded_up,
)
from cluster_runtime.serverless.scaling.versions import PlatformVersion

TICK_SECONDS = 1.0
"""How often it decides."""

BUSY = 0.9
"""From this share of the capacity on, a resource asks for more."""

FULL = 0.97
"""From this share on, nobody can say how much more would be used."""

FILLED = 0.8
"""Share of the capacity that a known demand is to fill."""

LONGEST_TICK_SECONDS = 10.0
"""A longer silence counts as this: the machine slept, and neither load nor credits are known."""


CLOCK_SLACK_SECONDS = 0.05
"""A tick that comes this much early is one."""


class Why(StrEnum):
    """What decided."""

    STEADY = "steady"
    NOT_DUE = "not due"
    GROWS = "grows"
    NO_CREDITS = "waits for credits"
    AT_MAXIMUM = "at the maximum"
    SHRINKS = "shrinks"
    HELD = "held"
    """By what sessions or memory need: it would shrink otherwise."""
    RANGE = "range"
    """Current capacity was outside of minimum and maximum."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The capacity from now on.

    target: ACU, in steps of 0.5. because: the resource that asks for most. credits: ACU left.
    """

    target: float
    why: Why
    because: Resource
    credits: float


@dataclass(frozen=True, slots=True)
class _Need:
    """ACU, not rounded. floor: what sessions and memory need. wanted: for all that is known."""

    floor: float
    wanted: float
    because: Resource
    busiest: float


@dataclass(frozen=True, slots=True)
class _Growth:
    """The last step up: to which capacity, and what it cost."""

    target: float
    paid: float


class CapacityPolicy:
    """The capacity of one instance.

    minimum, maximum: ACU; a minimum of 0 is taken as 0.5, the least that runs, since when to pause
        is decided elsewhere (`AutoPause`). The version's maximum holds as well.
    unit: what an ACU brings on this machine.
    Raises ValueError for a range that is none.
    """

    def __init__(
        self,
        version: PlatformVersion,
        minimum: float,
        maximum: float,
        *,
        unit: CapacityUnit = ACU,
    ) -> None:
        self.version = version
        self._unit = unit
        self._credits = version.scaling.credits_max
        self._growth: _Growth | None = None
        self._last_call: float | None = None
        self._clock = 0.0  # seconds that it has been asked for; goes on whatever `now` does
        self._decided = -TICK_SECONDS  # the first tick is due
        self._recent = _Highest(version.scaling.settle_seconds)
        self._to_give_back = 0.0
        self.configured(minimum, maximum)

    def configured(self, minimum: float, maximum: float) -> None:
        """The range is another now. Raises ValueError for one that is none."""
        check_range(minimum, maximum)
        self.maximum = min(maximum, self.version.maximum)
        self.minimum = min(max(minimum, LEAST_RUNNING_ACU), self.maximum)

    @property
    def look_seconds(self) -> float:
        """How often to call `tick`: more often than it decides where the version has triggers."""
        trigger = self.version.scaling.trigger_seconds
        return TICK_SECONDS if trigger is None else trigger

    def tick(self, now: float, demand: Demand, current: float) -> Decision:
        """What to do after a tick with this demand and `current` ACU in force.

        now: seconds. A clock that goes back, or far ahead, neither fills the bucket nor empties the
            cluster: a tick counts as 0 to 10 seconds.
        Capacity that was decided and is not in force, since the machine had no room, costs nothing.
        The range goes before everything, what sessions and memory need before the rest.
        Raises ValueError if `now` is not finite or `current` not 0 to 256 in steps of 0.5.
        """
        if not math.isfinite(now):
            raise ValueError(f"now is {now}; it must be seconds of a clock")
        check_capacity("current", current)
        elapsed = 0.0 if self._last_call is None else now - self._last_call
        elapsed = min(max(elapsed, 0.0), LONGEST_TICK_SECONDS)
        self._last_call = now
        self._clock += elapsed
        self._refill(elapsed, current)
        need = self._need(demand, current)
        self._recent.add(self._clock, need.wanted)
        within = min(max(current, self.minimum), self.maximum)
        if within != current:
            return self._decision(within, Why.RANGE, need)
        since = self._clock - self._decided
        due = since >= TICK_SECONDS - CLOCK_SLACK_SECONDS
        early = since >= self.look_seconds - CLOCK_SLACK_SECONDS and need.busiest >= FULL
        if not (due or early):
            return Decision(current, Why.NOT_DUE, need.because, self._credits)
        wanted = self._wanted(need, current, since)
        if wanted > current:
            return self._grow(wanted, current, need)
        if not due:
            return Decision(current, Why.NOT_DUE, need.because, self._credits)
        return self._shrink(since, current, need)

    def _refill(self, elapsed: float, current: float) -> None:
        scaling = self.version.scaling
        gained = elapsed * (
            scaling.credits_per_second + scaling.credits_per_second_per_acu * current
        )
        if self._growth is not None:
            gained += min(self._growth.paid, max(self._growth.target - current, 0.0))
            self._growth = None
        self._credits = min(self._credits + gained, scaling.credits_max)

    def _need(self, demand: Demand, current: float) -> _Need:
        rates, floors = demand.rates(self._unit), demand.floors(self._unit)
        asked = {
            **{each: acu / FILLED for each, acu in rates.items()},
            **floors,
        }
        because = max(asked, key=lambda each: asked[each])
        busiest = max(rates.values()) / current if current else math.inf
        return _Need(max(floors.values()), asked[because], because, busiest)

    def _wanted(self, need: _Need, current: float, since: float) -> float:
        """Where to grow to, if credits reach; `current` or less where there is no reason to."""
        wanted = need.floor
        if need.busiest >= BUSY:
            wanted = need.wanted
        if need.busiest >= FULL:
            blind = self.version.scaling.blind_per_second * min(since, TICK_SECONDS)
            wanted = max(wanted, current + blind)
        return rounded_up(wanted)

    def _grow(self, wanted: float, current: float, need: _Need) -> Decision:
        self._to_give_back = 0.0
        if current >= self.maximum:
            return self._decision(current, Why.AT_MAXIMUM, need)
        target = min(wanted, self.maximum, current + rounded_down(self._credits))
        if target <= current:
            return self._decision(current, Why.NO_CREDITS, need)
        self._credits = max(self._credits - (target - current), 0.0)
        self._growth = _Growth(target, target - current)
        return self._decision(target, Why.GROWS, need)

    def _shrink(self, since: float, current: float, need: _Need) -> Decision:
        lowest = max(rounded_up(self._recent.highest), self.minimum)
        if lowest >= current or not self._recent.settled(self._clock):
            self._to_give_back = 0.0
            held = rounded_up(need.floor) >= current > self.minimum
            return self._decision(current, Why.HELD if held else Why.STEADY, need)
        scaling = self.version.scaling
        self._to_give_back += since * (
            scaling.down_per_second * current + scaling.down_acu_per_second
        )
        step = rounded_down(self._to_give_back)
        if step == 0:
            return self._decision(current, Why.STEADY, need)
        self._to_give_back -= step
        return self._decision(max(current - step, lowest), Why.SHRINKS, need)

    def _decision(self, target: float, why: Why, need: _Need) -> Decision:
        self._decided = self._clock
        return Decision(target, why, need.because, self._credits)


class _Highest:
    """The most that was wanted in the last `seconds`; not settled before so long has passed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: float | None = None
        self._falling: deque[tuple[float, float]] = deque()

    def add(self, now: float, wanted: float) -> None:
        """Times do not go back."""
        if self._began is None:
            self._began = now
        while self._falling and self._falling[-1][1] <= wanted:
            self._falling.pop()
        self._falling.append((now, wanted))
        while self._falling[0][0] < now - self._seconds:
            self._falling.popleft()

    @property
    def highest(self) -> float:
        """ACU."""
        return self._falling[0][1]

    def settled(self, now: float) -> bool:
        """Whether it knows all of that time."""
        return self._began is not None and now - self._began >= self._seconds
