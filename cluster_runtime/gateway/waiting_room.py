"""Who may be in its startup, and who has to go for a newcomer: decided without a socket.

Whoever opens connections and says nothing costs nobody else the way in. Each endpoint has places
of its own, all share some more, and where no place is free the newcomer takes that of the guest
that has come least far, the oldest of those, among the ones that keep us waiting.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from cluster_runtime.gateway.limits import GatewayLimits

TURNED_AWAY_MAX = 16
"""Newcomers without a place that an endpoint still listens to, only to tell them why."""


class Progress(IntEnum):
    """How far a client has come in its startup."""

    SILENT = 0
    TLS_BEGUN = 1
    TLS_ESTABLISHED = 2
    NAMED = 3


class Guest(Protocol):
    """A connection in its startup.

    keeps_us_waiting: what happens next is the client's to do.
    """

    @property
    def endpoint(self) -> object:
        """The door that it waits at."""

    @property
    def address(self) -> str:
        """Where it comes from."""

    @property
    def progress(self) -> Progress:
        """How far it is in its startup."""

    @property
    def keeps_us_waiting(self) -> bool:
        """Whether it has the next word."""


AnyGuest = TypeVar("AnyGuest", bound=Guest)
Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class Entry(Generic[AnyGuest]):
    """admitted: the newcomer has a place; else it may only be told that there is none.
    leaving: who has lost its place for that.
    """

    admitted: bool
    leaving: tuple[AnyGuest, ...] = ()


class WaitingRoom(Generic[AnyGuest]):
    """The guests of all endpoints of a gateway."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        # Of each endpoint, and of each address, in the order they came.
        self._of_endpoint: dict[object, dict[AnyGuest, None]] = {}
        self._of_address: dict[str, dict[AnyGuest, None]] = {}
        self._turned_away: dict[object, dict[AnyGuest, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._of_endpoint.values()))

    def enter(self, newcomer: AnyGuest) -> Entry[AnyGuest]:
        """Take a newcomer in. Those that leave for it have left when this returns."""
        endpoint, address = newcomer.endpoint, newcomer.address
        leaving: list[AnyGuest] = []
        if not self._has_place(endpoint):
            first = _least_far(self._of_endpoint.get(endpoint, ()))
            if first is None:
                return self._turn_away(newcomer)
            leaving.append(first)
        same_address = self._of_address.get(address, {})
        others = [guest for guest in same_address if guest not in leaving]
        if len(others) >= self._limits.unauthenticated_per_address:
            second = _least_far(others)
            if second is None:
                return self._turn_away(newcomer)
            leaving.append(second)
        for guest in leaving:
            self.leave(guest)
        self._of_endpoint.setdefault(endpoint, {})[newcomer] = None
        self._of_address.setdefault(address, {})[newcomer] = None
        return Entry(admitted=True, leaving=tuple(leaving))

    def make_room(self) -> AnyGuest | None:
        """Who leaves where the process itself has no more room, whatever its endpoint; None: all
        wait for us.
        """
        guest = _least_far(guest for guests in self._of_endpoint.values() for guest in guests)
        if guest is not None:
            self.leave(guest)
        return guest

    def leave(self, guest: AnyGuest) -> None:
        """It is established or gone. Harmless for one that has left before."""
        _forget(self._of_endpoint, guest.endpoint, guest)
        _forget(self._of_address, guest.address, guest)
        _forget(self._turned_away, guest.endpoint, guest)

    def _has_place(self, endpoint: object) -> bool:
        own = self._limits.unauthenticated_per_endpoint
        if len(self._of_endpoint.get(endpoint, ())) < own:
            return True
        shared = sum(max(0, len(guests) - own) for guests in self._of_endpoint.values())
        return shared < self._limits.unauthenticated_shared

    def _turn_away(self, newcomer: AnyGuest) -> Entry[AnyGuest]:
        turned_away = self._turned_away.setdefault(newcomer.endpoint, {})
        leaving = (next(iter(turned_away)),) if len(turned_away) >= TURNED_AWAY_MAX else ()
        for guest in leaving:
            del turned_away[guest]
        turned_away[newcomer] = None
        return Entry(admitted=False, leaving=leaving)


def _least_far(guests: Iterable[AnyGuest]) -> AnyGuest | None:
    """Of those that keep us waiting the least advanced, and of these the oldest."""
    found: AnyGuest | None = None
    for guest in guests:
        if guest.keeps_us_waiting and (found is None or guest.progress < found.progress):
            found = guest
            if guest.progress is Progress.SILENT:
                break
    return found


def _forget(groups: dict[Group, dict[AnyGuest, None]], group: Group, guest: AnyGuest) -> None:
    guests = groups.get(group)
    if guests is not None:
        guests.pop(guest, None)
        if not guests:
            del groups[group]
