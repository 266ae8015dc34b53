"""All serverless instances of a host, a tick at a time: what each wants, and what it gets. Pure.

Each has a policy of its own. Readers of promotion tiers 0 and 1 want no less than their writer, so
that they can take over; the others scale alone. What they want together is shared by the budget of
the machine. Times are seconds of any monotonic clock.

Source: Aurora User Guide, "Aurora serverless scaling" ("Choosing the promotion tier").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cluster_runtime.serverless.scaling.budget import Fate, Request, share
from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.policy import TICK_SECONDS, CapacityPolicy, Decision, Why
from cluster_runtime.serverless.scaling.units import (
    LEAST_RUNNING_ACU,
    CapacityUnit,
    rounded_down,
)
from cluster_runtime.serverless.scaling.versions import PlatformVersion

FOLLOWS_UP_TO_TIER = 1
FOLLOWS = "as much as its writer, or more"


@dataclass(frozen=True, slots=True)
class Member:
    """An instance that runs, as a tick finds it.

    server: its name among all. minimum, maximum: ACU of its cluster. tier: its promotion tier.
    demand: what it did in the last tick; None where that is not known yet.
    """

    server: str
    cluster: str
    is_writer: bool
    tier: int
    minimum: float
    maximum: float
    demand: Demand | None

    @property
    def follows(self) -> bool:
        """Whether it has as much as its writer at least."""
        return not self.is_writer and self.tier <= FOLLOWS_UP_TO_TIER


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an instance has, in ACU: granted of what is wanted, and why.

    held_to: what it is held to. That is what was granted, and less where more instances run than
    the machine has room for: each of them has the least then, and they share what there is.
    measured: whether its load is known; one that has just begun may use what it finds meanwhile.
    """

    granted: float
    wanted: float
    reason: str
    held_to: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """What the machine has in ACU; with the overcommit, `total`; granted, of what is wanted.

    granted: more than the total only where so many instances run that each has the least.
    """

    machine: float
    total: float
    granted: float
    wanted: float


@dataclass(slots=True)
class _Known:
    policy: CapacityPolicy
    granted: float


class Fleet:
    """The capacity of every instance of a host.

    machine_acu: what the machine has. overcommit: how many times as much may be given. Raises
    ValueError for a machine without capacity, or an overcommit below 1.
    """

    def __init__(
        self,
        version: PlatformVersion,
        machine_acu: float,
        overcommit: float,
        unit: CapacityUnit,
    ) -> None:
        share([], machine_acu, overcommit)  # raises where they are none
        self._version, self._unit = version, unit
        self._machine_acu, self._overcommit = machine_acu, overcommit
        self._known: dict[str, _Known] = {}
        self._wanted = 0.0

    def tick(self, now: float, members: Sequence[Member]) -> dict[str, Capacity]:
        """What each of the instances that run has from now on, by the names of their servers."""
        for each in members:
            self._look_at(each)
        self._known = {each.server: self._known[each.server] for each in members}
        decided = {each.server: self._decided(now, each) for each in members}
        wanted = self._with_followers(members, decided)
        grants = share(
            [self._request(each, wanted[each.server]) for each in members],
            self._machine_acu,
            self._overcommit,
        )
        self._wanted = sum(wanted.values())
        # Nobody who runs is stopped: whoever the budget has nothing for still has the least.
        granted = {name: max(each.acu, LEAST_RUNNING_ACU) for name, each in grants.items()}
        total = sum(granted.values())
        part = min(1.0, self.budget.total / total) if total else 1.0
        found = {}
        for each in members:
            grant, want = grants[each.server], wanted[each.server]
            decision = decided[each.server]
            reason = _said(decision)
            if decision is not None and each.follows and decision.why is not Why.GROWS:
                reason = FOLLOWS
            if grant.fate is not Fate.GRANTED:
                reason = f"{reason}; {grant.reason}"
            acu = self._known[each.server].granted = granted[each.server]
            found[each.server] = Capacity(acu, want, reason, acu * part, decision is not None)
        return found

    @property
    def look_seconds(self) -> float:
        """How often to look whether an instance has used up all of its CPU."""
        trigger = self._version.scaling.trigger_seconds
        return TICK_SECONDS if trigger is None else trigger

    def used_up(self, member: Member) -> Member:
        """An instance that would have used more CPU than it has: it has used all of it."""
        known = self._known.get(member.server)
        if known is None or member.demand is None:
            return member
        full = replace(member.demand, cpu_cores=known.granted * self._unit.cores)
        return replace(member, demand=full)

    @property
    def budget(self) -> Budget:
        """What the machine has, and what was given of it at the last tick."""
        return Budget(
            self._machine_acu,
            rounded_down(self._machine_acu * self._overcommit),
            sum(each.granted for each in self._known.values()),
            self._wanted,
        )

    def _look_at(self, member: Member) -> None:
        known = self._known.get(member.server)
        if known is None:
            policy = CapacityPolicy(self._version, member.minimum, member.maximum, unit=self._unit)
            self._known[member.server] = _Known(policy, policy.minimum)
        else:
            known.policy.configured(member.minimum, member.maximum)

    def _decided(self, now: float, member: Member) -> Decision | None:
        """None for one whose demand is not known: it keeps what it has."""
        if member.demand is None:
            return None
        known = self._known[member.server]
        return known.policy.tick(now, member.demand, known.granted)

    def _with_followers(
        self, members: Sequence[Member], decided: dict[str, Decision | None]
    ) -> dict[str, float]:
        wanted = {each.server: self._within(each, decided[each.server]) for each in members}
        writers = {each.cluster: wanted[each.server] for each in members if each.is_writer}
        for each in members:
            if each.follows:
                least = min(writers.get(each.cluster, 0.0), self._known[each.server].policy.maximum)
                wanted[each.server] = max(wanted[each.server], least)
        return wanted

    def _within(self, member: Member, decision: Decision | None) -> float:
        """The decision; while there is none, what it has as far as the range lets it."""
        known = self._known[member.server]
        if decision is not None:
            return decision.target
        return min(max(known.granted, known.policy.minimum), known.policy.maximum)

    def _request(self, member: Member, wanted: float) -> Request:
        floors = member.demand.floors(self._unit).values() if member.demand is not None else ()
        current = self._known[member.server].granted
        return Request(member.server, wanted, member.minimum, max(floors, default=0.0), current)


def machine_capacity(cores: float, memory_bytes: float, unit: CapacityUnit) -> float:
    """The ACU that a machine has: what its cores or its memory suffice for, at least one's half."""
    acu = min(cores / unit.cores, memory_bytes / unit.memory_bytes)
    return max(LEAST_RUNNING_ACU, rounded_down(acu))


def _said(decision: Decision | None) -> str:
    if decision is None:
        return "not measured yet"
    if decision.why in (Why.STEADY, Why.NOT_DUE, Why.RANGE):
        return str(decision.why)
    return f"{decision.why} ({decision.because})"


NOTE_EVERY_S = 600.0
"""How often at most the events of a cluster tell that an instance has scaled."""


@dataclass(frozen=True, slots=True)
class _Noted:
    at: float
    granted: float


class ScalingNotes:
    """Which changes of capacity become events: the first, and then what came of ten minutes."""

    def __init__(self) -> None:
        self._noted: dict[str, _Noted] = {}

    def seen(self, now: float, server: str, granted: float) -> tuple[float, float] | None:
        """From and to, where this is to be told now.

        The capacity of one that has just begun is where its changes count from.
        """
        before = self._noted.get(server)
        if before is None:
            self._noted[server] = _Noted(-math.inf, granted)
            return None
        if granted == before.granted or now - before.at < NOTE_EVERY_S:
            return None
        self._noted[server] = replace(before, at=now, granted=granted)
        return before.granted, granted

    def keep_only(self, servers: set[str]) -> None:
        """Forget the others: they run no more."""
        self._noted = {name: each for name, each in self._noted.items() if name in servers}
