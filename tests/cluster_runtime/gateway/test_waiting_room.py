"""Who gets a place among those that connect, and who loses one: without a socket."""

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.gateway.limits import GatewayLimits
from cluster_runtime.gateway.waiting_room import TURNED_AWAY_MAX, Progress, WaitingRoom

LIMITS = GatewayLimits(
    unauthenticated_per_endpoint=2, unauthenticated_shared=3, unauthenticated_per_address=100
)


@dataclass(eq=False)
class Client:
    endpoint: str = "notes"
    address: str = "127.0.0.1"
    progress: Progress = Progress.SILENT
    keeps_us_waiting: bool = True


def enter(room: WaitingRoom[Client], *clients: Client) -> list[bool]:
    return [room.enter(client).admitted for client in clients]


def test_the_oldest_silent_one_makes_room() -> None:
    room = WaitingRoom[Client](LIMITS)
    guests = [Client() for _ in range(5)]
    enter(room, *guests)
    assert room.enter(Client()).leaving == (guests[0],)
    assert room.enter(Client()).leaving == (guests[1],)
    assert len(room) == 5


def test_who_has_come_further_stays() -> None:
    room = WaitingRoom[Client](LIMITS)
    named, in_tls, silent = (
        Client(progress=step) for step in (Progress.NAMED, Progress.TLS_BEGUN, Progress.SILENT)
    )
    enter(
        room, named, in_tls, silent, Client(progress=Progress.NAMED), Client(keeps_us_waiting=False)
    )
    assert room.enter(Client(progress=Progress.NAMED)).leaving == (silent,)
    assert room.enter(Client(progress=Progress.NAMED)).leaving == (in_tls,)
    assert room.enter(Client()).leaving == (named,)


def test_who_waits_for_us_is_never_sent_away_and_a_newcomer_is_told() -> None:
    room = WaitingRoom[Client](LIMITS)
    assert enter(room, *(Client(keeps_us_waiting=False) for _ in range(5))) == [True] * 5
    assert enter(room, Client()) == [False]
    assert len(room) == 5


def test_an_endpoint_has_places_whatever_is_done_to_others() -> None:
    room = WaitingRoom[Client](LIMITS)
    assert (
        enter(room, *(Client("attacked", keeps_us_waiting=False) for _ in range(9))).count(True)
        == 5
    )
    for other in ("one", "two", "three"):
        entries = [room.enter(Client(other)) for _ in range(2)]
        assert [(entry.admitted, entry.leaving) for entry in entries] == [(True, ())] * 2


def test_who_leaves_gives_its_place_back() -> None:
    room = WaitingRoom[Client](LIMITS)
    busy = [Client(keeps_us_waiting=False) for _ in range(5)]
    enter(room, *busy)
    room.leave(busy[3])
    room.leave(busy[3])
    assert enter(room, Client(keeps_us_waiting=False), Client()) == [True, False]


def test_an_address_has_its_limit_over_all_endpoints() -> None:
    room = WaitingRoom[Client](
        GatewayLimits(unauthenticated_per_endpoint=50, unauthenticated_per_address=3)
    )
    greedy = [Client(f"endpoint {i}", "10.0.0.1") for i in range(3)]
    enter(room, *greedy)
    assert room.enter(Client("notes", "10.0.0.2")).leaving == ()
    assert room.enter(Client("notes", "10.0.0.1")).leaving == (greedy[0],)
    for guest in greedy:
        guest.keeps_us_waiting = False
    newest = Client("notes", "10.0.0.1", keeps_us_waiting=False)
    room.enter(newest)
    assert enter(room, Client("notes", "10.0.0.1")) == [False]


def test_for_the_whole_process_the_least_advanced_of_all_leaves() -> None:
    room = WaitingRoom[Client](LIMITS)
    silent = Client("b")
    enter(room, Client("a", progress=Progress.NAMED), silent, Client("c", keeps_us_waiting=False))
    assert room.make_room() is silent
    assert room.make_room() is not None
    assert room.make_room() is None
    assert len(room) == 1


def test_those_that_are_only_told_no_are_few() -> None:
    room = WaitingRoom[Client](LIMITS)
    enter(room, *(Client(keeps_us_waiting=False) for _ in range(5)))
    turned_away = [Client() for _ in range(TURNED_AWAY_MAX)]
    assert not any(room.enter(client).leaving for client in turned_away)
    assert room.enter(Client()).leaving == (turned_away[0],)


clients = st.builds(
    Client,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["x", "y"]),
    st.sampled_from(Progress),
    st.booleans(),
)


@given(
    st.lists(clients, max_size=60), st.integers(1, 4), st.integers(0, 4), st.integers(1, 8),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_no_limit_is_ever_passed_and_nobody_is_lost(
    some: list[Client], own: int, shared: int, per_address: int, random: Random
) -> None:
    room = WaitingRoom[Client](
        GatewayLimits(
            unauthenticated_per_endpoint=own,
            unauthenticated_shared=shared,
            unauthenticated_per_address=per_address,
        )
    )
    inside: dict[Client, None] = {}
    for client in some:
        entry = room.enter(client)
        assert all(left.keeps_us_waiting for left in entry.leaving)
        assert entry.admitted or not entry.leaving or client.endpoint == entry.leaving[0].endpoint
        for left in entry.leaving:
            inside.pop(left, None)
        if entry.admitted:
            inside[client] = None
        if inside and random.random() < 0.2:
            gone = random.choice(list(inside))
            del inside[gone]
            room.leave(gone)
        of = {e: sum(c.endpoint == e for c in inside) for e in "abc"}
        assert sum(max(0, n - own) for n in of.values()) <= shared
        assert all(sum(c.address == a for c in inside) <= per_address for a in "xy")
        assert len(room) == len(inside)
    for client in some:
        room.leave(client)
    assert len(room) == 0


@pytest.mark.parametrize(
    "limits",
    [
        {"max_connections": 0},
        {"unauthenticated_per_endpoint": 0},
        {"unauthenticated_shared": -1},
        {"unauthenticated_per_address": 0},
        {"authentication_timeout": 0},
    ],
)
def test_a_limit_that_lets_nobody_in_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(limits))):
        GatewayLimits(**limits)
