"""One instance under a load in virtual time: the policy of live clusters, and a queue for a CPU.

Capacity gives cores, cores do work. What is asked for and cannot be done at once waits and is done
when there is room, so a capacity that comes late is paid with time. CPU is what queues; memory,
network, I/O and connections are as the trace says, whatever the capacity.
"""

import math
from dataclasses import dataclass, replace

from cluster_runtime.serverless.auto_pause import AutoPause
from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.limits import max_connections
from cluster_runtime.serverless.scaling.policy import FULL, TICK_SECONDS, CapacityPolicy
from cluster_runtime.serverless.scaling.units import ACU, CapacityUnit
from cluster_runtime.serverless.scaling.versions import PlatformVersion
from cluster_runtime.serverless.simulator.traces import Trace

IDLE = Demand()
RESUME_SECONDS = 15.0
"""From 0 ACU to the first row (Aurora User Guide, "Scaling to Zero ACUs ...": about 15 seconds)."""

NOTHING = 1e-9
"""Seconds of a core that are a rounding error, and no work."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated. minimum, maximum: ACU.

    auto_pause_seconds: with a minimum of 0, idle seconds until it pauses; None: it does not.
    """

    version: PlatformVersion
    minimum: float = 0.5
    maximum: float = 256.0
    auto_pause_seconds: float | None = None
    unit: CapacityUnit = ACU

    def __post_init__(self) -> None:
        if self.auto_pause_seconds is not None and self.minimum > 0:
            raise ValueError(
                f"auto-pause with a minimum of {self.minimum:g} ACU: only with 0 does it pause"
            )

    def on(self, version: PlatformVersion) -> "Setting":
        """The same with another version."""
        return replace(self, version=version)


@dataclass(frozen=True, slots=True)
class Point:
    """A look, or more where nothing changed. at, seconds: its beginning and length.

    capacity: ACU in force. offered_cores: what would run if there were room. used_cores: what ran.
    work: done per second, in seconds of a core of platform version 2. waiting: such seconds that
    are queued. credits: ACU. refused: connections beyond `max_connections`.
    """

    at: float
    seconds: float
    capacity: float
    offered_cores: float
    used_cores: float
    work: float
    waiting: float
    credits: float
    refused: int


@dataclass(frozen=True, slots=True)
class Run:
    """What happened. finished: seconds at which all work was done; None if it never was."""

    trace: Trace
    setting: Setting
    points: tuple[Point, ...]
    finished: float | None

    @property
    def acu_hours(self) -> float:
        """What is paid for."""
        return sum(each.capacity * each.seconds for each in self.points) / 3600

    @property
    def peak_acu(self) -> float:
        """The most that it had."""
        return max(each.capacity for each in self.points)

    @property
    def best(self) -> float:
        """The most work per second that it did."""
        return max(each.work for each in self.points)

    @property
    def refused_connections(self) -> int:
        """The most connections beyond `max_connections` at any time."""
        return max(each.refused for each in self.points)

    @property
    def scale_down_seconds(self) -> float | None:
        """From the end of the work to the first time at the capacity that it ends with.

        None where it has not ended, or nobody looked on after that.
        """
        if self.finished is None:
            return None
        lowest = self.points[-1].capacity
        after = (each for each in self.points if each.at >= self.finished)
        down = next((each.at for each in after if each.capacity <= lowest), None)
        return None if down is None else down - self.finished

    def held_seconds(self, level: float) -> float:
        """How long it did at least so much work per second."""
        return sum(each.seconds for each in self.points if each.work >= level)


def simulate(trace: Trace, setting: Setting) -> Run:
    """Run a load against a policy. Raises ValueError for a range that is none."""
    instance = _Instance(trace, setting)
    points: list[Point] = []
    while instance.now < trace.seconds:
        _add(points, instance.step())
    return Run(trace, setting, tuple(points), instance.finished)


def _add(points: list[Point], point: Point) -> None:
    """Looks at which all is the same are one: most of a recorded day."""
    if points and replace(point, at=0.0, seconds=0.0) == replace(points[-1], at=0.0, seconds=0.0):
        point = replace(points[-1], seconds=points[-1].seconds + point.seconds)
        points.pop()
    points.append(point)


class _Instance:
    def __init__(self, trace: Trace, setting: Setting) -> None:
        self.now = 0.0
        self.finished: float | None = None
        self._trace = trace
        self._setting = setting
        self._policy = CapacityPolicy(
            setting.version, setting.minimum, setting.maximum, unit=setting.unit
        )
        self._capacity = self._policy.minimum
        self._credits = setting.version.scaling.credits_max
        self._waiting = 0.0
        self._undone = trace.work_core_seconds
        self._index = 0
        self._connections = max_connections(setting.minimum, self._policy.maximum)
        self._pause = AutoPause(setting.auto_pause_seconds, 0.0)
        self._resumes: float | None = None

    def step(self) -> Point:
        """What happens until the next look."""
        at = self.now
        demand = self._demand()
        self._pause_or_resume(demand)
        until = min(at + self._look_seconds(demand), self._next_change)
        seconds = until - at
        cores, work = self._serve(demand, seconds)
        self.now = until
        point = Point(
            at,
            seconds,
            self._capacity,
            self._offered_cores(demand),
            cores,
            work / seconds,
            self._waiting,
            self._credits,
            max(demand.connections - self._connections, 0),
        )
        if self._capacity:
            used = replace(
                demand, cpu_cores=cores, connections=min(demand.connections, self._connections)
            )
            decision = self._policy.tick(self.now, used, self._capacity)
            self._capacity, self._credits = decision.target, decision.credits
        return point

    def _look_seconds(self, demand: Demand) -> float:
        """Between ticks only an instance that is full is looked at: it alone would change."""
        room = self._capacity * self._setting.unit.cores
        pressed = self._waiting > 0 or self._offered_cores(demand) >= FULL * room
        return self._policy.look_seconds if pressed else TICK_SECONDS

    @property
    def _next_change(self) -> float:
        """When the trace says something else, or ends."""
        following = self._index + 1
        samples = self._trace.samples
        return samples[following].at if following < len(samples) else self._trace.seconds

    def _demand(self) -> Demand:
        samples = self._trace.samples
        while self._index + 1 < len(samples) and samples[self._index + 1].at <= self.now:
            self._index += 1
        if self._undone is not None and self._undone <= 0:
            return IDLE
        return samples[self._index].demand

    def _offered_cores(self, demand: Demand) -> float:
        """Clients that wait keep as many busy on any version; the rest needs fewer on a better."""
        better = self._setting.version.performance if self._undone is None else 1.0
        return demand.cpu_cores / better

    def _pause_or_resume(self, demand: Demand) -> None:
        active = demand.connections > 0 or demand.cpu_cores > 0 or self._waiting > 0
        if active:
            self._pause.started(self.now)
        if self._capacity and self._pause.due(self.now):
            self._capacity = 0.0
        elif not self._capacity and active:
            self._resumes = self.now + RESUME_SECONDS if self._resumes is None else self._resumes
            if self.now >= self._resumes:
                self._capacity, self._resumes = self._policy.minimum, None

    def _serve(self, demand: Demand, seconds: float) -> tuple[float, float]:
        """Cores used, work done."""
        performance = self._setting.version.performance
        room = self._capacity * self._setting.unit.cores
        if self._undone is not None:
            cores = min(demand.cpu_cores, room)
            work = min(cores * performance * seconds, self._undone)
            self._undone -= work
            if work and self._undone <= 0:
                self.finished = self.now + work / (cores * performance)
            return work / performance / seconds, work
        self._waiting += demand.cpu_cores * seconds
        sessions = demand.connections or math.inf
        cores = min(room, sessions, self._waiting / performance / seconds)
        work = cores * performance * seconds
        self._waiting -= work
        if self._waiting < NOTHING:
            self._waiting = 0.0
        if work:
            self.finished = None if self._waiting else self.now + seconds
        return cores, work
