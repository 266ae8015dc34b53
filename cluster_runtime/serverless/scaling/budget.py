"""Who waits and who is squeezed when all clusters together want more than the machine has.

Each cluster has a right to its minimum, then to what its sessions and memory need, then to what it
wants. A level is filled for all before the next one begins, and where the machine cannot fill it,
it is shared in proportion to minimum capacities: whoever reserved twice as much gets twice as much,
and nobody more than they asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapify, heappop, heappush

from cluster_runtime.serverless.scaling.units import (
    ACU_STEP,
    LEAST_RUNNING_ACU,
    rounded_down,
    rounded_up,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What one instance asks for. All numbers are ACU.

    wanted: the policy's target; 0 for one that is paused.
    minimum: of its cluster. 0 counts as 0.5, which is the least that runs.
    needed: what its sessions and memory need.
    current: what it has; 0 for one that is to start.
    """

    identifier: str
    wanted: float
    minimum: float
    needed: float = 0.0
    current: float = 0.0

    def __post_init__(self) -> None:
        for name in ("wanted", "minimum", "needed", "current"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} of {self.identifier!r} is {value} ACU; 0 or more")


class Fate(StrEnum):
    """What became of a request."""

    GRANTED = "granted"
    WAITS = "waits"
    """It keeps what it has, or does not start, and would have more if others had less."""
    SQUEEZED = "squeezed"
    """It gets less than it has, since others have a better right to it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """ACU that an instance may have now, in steps of 0.5, and a sentence about why."""

    identifier: str
    acu: float
    fate: Fate
    reason: str


def share(
    requests: Sequence[Request], machine_acu: float, overcommit: float = 1.0
) -> dict[str, Grant]:
    """What each instance gets; together no more than `machine_acu` times `overcommit`.

    machine_acu: what the machine has: the lesser of its cores and its memory, in ACU.
    overcommit: 1 for none; 2 lets clusters have twice what the machine has, on the bet that they
        are not busy at once.
    Raises ValueError for a machine without capacity, an overcommit below 1, or an identifier twice.
    """
    if not 0 < machine_acu < float("inf") or not 1 <= overcommit < float("inf"):
        raise ValueError(
            f"a machine of {machine_acu} ACU with overcommit {overcommit}: "
            "the first must be more than 0, the second 1 or more"
        )
    if len({each.identifier for each in requests}) < len(requests):
        raise ValueError("an instance asks twice; each identifier once")
    limit = rounded_down(machine_acu * overcommit)
    # Whoever runs goes before whoever is to start; among those, the bigger reservation.
    order = sorted(requests, key=lambda one: (one.current == 0, -one.minimum, one.identifier))
    given = {each.identifier: 0.0 for each in order}
    left = limit
    for level in LEVELS:
        left = _fill(order, level, given, left)
    return {each.identifier: _grant(each, given[each.identifier], limit) for each in requests}


def _least(request: Request) -> float:
    return min(LEAST_RUNNING_ACU, rounded_up(request.wanted))


def _reserved(request: Request) -> float:
    return min(max(request.minimum, LEAST_RUNNING_ACU), rounded_up(request.wanted))


def _needed(request: Request) -> float:
    return max(_reserved(request), min(rounded_up(request.needed), rounded_up(request.wanted)))


def _wanted(request: Request) -> float:
    return rounded_up(request.wanted)


LEVELS: tuple[Callable[[Request], float], ...] = (_least, _reserved, _needed, _wanted)
"""Each names the ACU that an instance has a right to before anybody gets of the next one."""


def _fill(
    order: Sequence[Request],
    level: Callable[[Request], float],
    given: dict[str, float],
    left: float,
) -> float:
    """Raise everybody to a level as far as it goes; return what is left.

    A step at a time to whoever has least for its reservation, which is exact in steps of 0.5.
    """
    hungry = [
        (given[each.identifier] / _weight(each), place, each)
        for place, each in enumerate(order)
        if given[each.identifier] < level(each)
    ]
    heapify(hungry)
    while hungry and left >= ACU_STEP:
        _, place, each = heappop(hungry)
        given[each.identifier] += ACU_STEP
        left -= ACU_STEP
        if given[each.identifier] < level(each):
            heappush(hungry, (given[each.identifier] / _weight(each), place, each))
    return left


def _weight(request: Request) -> float:
    return max(request.minimum, LEAST_RUNNING_ACU)


def _grant(request: Request, acu: float, limit: float) -> Grant:
    wanted = _wanted(request)
    if acu >= wanted:
        return Grant(request.identifier, acu, Fate.GRANTED, f"gets the {acu:g} ACU that it wants")
    machine = f"all clusters together have {limit:g}"
    if acu < request.current:
        reason = f"has {request.current:g} ACU and may keep {acu:g}: {machine}"
        return Grant(request.identifier, acu, Fate.SQUEEZED, reason)
    return Grant(request.identifier, acu, Fate.WAITS, f"gets {acu:g} of {wanted:g} ACU: {machine}")
