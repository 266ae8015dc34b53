"""Who waits and who is squeezed on a machine that is full."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.scaling.budget import Fate, Grant, Request, share
from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.policy import CapacityPolicy
from cluster_runtime.serverless.scaling.units import ACU, rounded_down, rounded_up
from cluster_runtime.serverless.scaling.versions import VERSIONS


def acus(grants: dict[str, Grant]) -> dict[str, float]:
    return {name: grant.acu for name, grant in grants.items()}


def test_everybody_gets_what_they_want_where_there_is_enough() -> None:
    grants = share([Request("a", 4, 1), Request("b", 4, 0.5), Request("c", 0, 0)], 8)
    assert acus(grants) == {"a": 4, "b": 4, "c": 0}
    assert {grant.fate for grant in grants.values()} == {Fate.GRANTED}


def test_what_is_left_is_shared_in_proportion_to_minimum_capacity() -> None:
    grants = share([Request("a", 64, 2), Request("b", 64, 1), Request("c", 2, 1)], 14)
    assert acus(grants) == {"a": 8, "b": 4, "c": 2}


def test_a_minimum_goes_before_the_needs_of_others_and_those_before_wishes() -> None:
    requests = [Request("big", 40, 0, needed=30, current=40), Request("reserved", 16, 8, current=8)]
    assert acus(share(requests, 8.5)) == {"big": 0.5, "reserved": 8}
    assert acus(share(requests, 36)) == {"big": 28, "reserved": 8}
    assert acus(share(requests, 42)) == {"big": 30, "reserved": 12}


def test_the_reason_says_who_waits_and_who_is_squeezed() -> None:
    grants = share([Request("had", 8, 1, current=8), Request("comes", 8, 1)], 8)
    assert acus(grants) == {"had": 4, "comes": 4}
    assert grants["had"].fate is Fate.SQUEEZED
    assert grants["had"].reason == "has 8 ACU and may keep 4: all clusters together have 8"
    assert grants["comes"].fate is Fate.WAITS
    assert grants["comes"].reason == "gets 4 of 8 ACU: all clusters together have 8"


def test_who_runs_goes_on_where_there_is_no_room_for_one_more() -> None:
    grants = share([Request("new", 1, 8), *(Request(f"r{n}", 1, 0, current=1) for n in (1, 2))], 1)
    assert acus(grants) == {"new": 0, "r1": 0.5, "r2": 0.5}
    assert grants["new"].fate is Fate.WAITS


def test_overcommit_shares_more_than_there_is() -> None:
    requests = [Request("a", 8, 1), Request("b", 8, 1)]
    assert acus(share(requests, 8, overcommit=2)) == {"a": 8, "b": 8}
    assert acus(share(requests, 8, overcommit=1.25)) == {"a": 5, "b": 5}


def test_nobody_at_all_is_no_trouble() -> None:
    assert share([], 8) == {}


@pytest.mark.parametrize("machine", [0, -1, math.nan, math.inf])
def test_a_machine_without_capacity_is_refused(machine: float) -> None:
    with pytest.raises(ValueError, match="machine"):
        share([], machine)


@pytest.mark.parametrize("overcommit", [0.5, math.nan, math.inf])
def test_an_overcommit_that_gives_less_than_there_is_is_refused(overcommit: float) -> None:
    with pytest.raises(ValueError, match="overcommit"):
        share([], 8, overcommit)


def test_an_instance_asks_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        share([Request("a", 1, 1), Request("a", 1, 1)], 8)


@pytest.mark.parametrize("name", ["wanted", "minimum", "needed", "current"])
@pytest.mark.parametrize("value", [-0.5, math.nan, math.inf])
def test_a_request_that_is_no_number_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Request(**{"identifier": "a", "wanted": 1.0, "minimum": 1.0, name: value})  # type: ignore[arg-type]


amounts = st.one_of(st.just(0.0), st.floats(0, 256))
steps = st.integers(0, 128).map(lambda number: number / 2)
requests_of_many = st.lists(
    st.tuples(amounts, steps, amounts, amounts), min_size=1, max_size=20
).map(lambda rows: [Request(f"c{number}", *row) for number, row in enumerate(rows)])


@given(requests_of_many, st.floats(0.1, 300), st.floats(1, 4))
def test_the_budget_is_never_passed_nor_left_unused_while_somebody_waits(
    requests: list[Request], machine: float, overcommit: float
) -> None:
    grants = share(requests, machine, overcommit)
    limit = rounded_down(machine * overcommit)
    total = sum(grant.acu for grant in grants.values())
    assert total <= machine * overcommit + 1e-6
    for one in requests:
        grant = grants[one.identifier]
        assert 0 <= grant.acu <= rounded_up(one.wanted)
        assert grant.acu % 0.5 == 0
        if grant.fate is not Fate.GRANTED:
            assert total == limit
            assert grant.acu < one.wanted + 1e-6
        else:
            assert grant.acu >= one.wanted - 1e-6


@given(requests_of_many, st.floats(0.5, 300))
def test_nobody_has_more_for_their_minimum_than_one_who_waits_but_by_an_earlier_right(
    requests: list[Request], machine: float
) -> None:
    grants = share(requests, machine)
    for poor in requests:
        if grants[poor.identifier].acu >= rounded_up(poor.wanted):
            continue
        mine = grants[poor.identifier].acu / max(poor.minimum, 0.5)
        for rich in requests:
            right = max(rich.minimum, 0.5, rounded_up(rich.needed))
            got = grants[rich.identifier].acu
            if got > right:
                assert (got - 0.5) / max(rich.minimum, 0.5) <= mine + 1e-9


@given(st.lists(st.tuples(steps, st.integers(1, 40)), min_size=1, max_size=8), st.floats(1, 64))
def test_clusters_under_load_on_one_machine_never_have_more_than_it(
    clusters: list[tuple[float, int]], machine: float
) -> None:
    policies = {
        f"c{number}": CapacityPolicy(VERSIONS["3"], minimum, 64)
        for number, (minimum, _) in enumerate(clusters)
    }
    current = dict.fromkeys(policies, 0.0)
    for second in range(60):
        requests = []
        for number, (name, policy) in enumerate(policies.items()):
            cores = min(clusters[number][1] / 4, current[name] * ACU.cores)
            decision = policy.tick(second, Demand(cpu_cores=cores), current[name])
            assert decision.credits >= 0
            requests.append(Request(name, decision.target, policy.minimum, current=current[name]))
        current = acus(share(requests, machine))
        assert sum(current.values()) <= rounded_down(machine)
