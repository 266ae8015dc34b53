"""When an idle cluster pauses: the rule, at every instant that matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.auto_pause import AutoPause


def test_a_cluster_pauses_when_it_has_been_idle_for_long_enough_and_not_before() -> None:
    policy = AutoPause(idle_seconds=300, idle_since=1000)
    assert policy.deadline == 1300
    assert not policy.due(1299.9)
    assert policy.due(1300)


def test_an_open_connection_keeps_it_awake_however_long_it_is_silent() -> None:
    policy = AutoPause(idle_seconds=300, idle_since=0)
    policy.opened()
    assert policy.deadline is None
    assert not policy.due(1e9)


def test_idleness_begins_when_the_last_connection_closes() -> None:
    policy = AutoPause(idle_seconds=300, idle_since=0)
    policy.opened()
    policy.opened()
    policy.closed(500)
    assert policy.deadline is None
    policy.closed(700)
    assert policy.deadline == 1000


def test_being_woken_counts_as_activity() -> None:
    policy = AutoPause(idle_seconds=300, idle_since=0)
    policy.started(1000)
    assert not policy.due(1299)
    assert policy.due(1300)


def test_a_cluster_with_a_minimum_capacity_never_pauses() -> None:
    policy = AutoPause(idle_seconds=None, idle_since=0)
    assert policy.deadline is None
    assert not policy.due(1e9)


def test_a_new_setting_starts_the_clock_anew() -> None:
    policy = AutoPause(idle_seconds=300, idle_since=0)
    policy.configured(60, now=290)
    assert policy.deadline == 350
    policy.configured(None, now=300)
    assert policy.deadline is None
    policy.configured(300, now=400)
    assert policy.deadline == 700


def test_a_connection_cannot_end_twice() -> None:
    policy = AutoPause(idle_seconds=300, idle_since=0)
    policy.opened()
    policy.closed(1)
    with pytest.raises(ValueError, match="opened"):
        policy.closed(2)


events = st.lists(
    st.tuples(
        st.sampled_from(["opened", "closed", "started", "rested", "configured", "never"]),
        st.floats(0.1, 400),
    ),
    max_size=40,
)


@given(events)
def test_it_never_pauses_under_a_connection_nor_early_and_always_in_the_end(
    history: list[tuple[str, float]],
) -> None:
    """Against the whole history, kept in the plainest way."""
    policy = AutoPause(idle_seconds=300, idle_since=0)
    now, open_connections, idle_seconds, active_at = 0.0, 0, 300.0, 0.0
    at_rest = False
    for event, seconds_later in history:
        now += seconds_later
        match event:
            case "opened":
                policy.opened()
                open_connections += 1
                at_rest = False
            case "closed" if open_connections:
                policy.closed(now)
                open_connections -= 1
                active_at = now
            case "started":
                policy.started(now)
                active_at = now
                at_rest = False
            case "rested":
                policy.rested()
                at_rest = True
            case "configured" | "never":
                idle_seconds = 60.0 if event == "configured" else float("inf")
                policy.configured(60 if event == "configured" else None, now)
                active_at = now
        idle = open_connections == 0 and now >= active_at + idle_seconds
        may_pause = idle and not at_rest
        assert policy.due(now) is may_pause
        # The driver's timer is set to the deadline: it must be neither late nor missing.
        never = open_connections > 0 or at_rest or idle_seconds == float("inf")
        assert (policy.deadline is None) is never
        if policy.deadline is not None:
            assert policy.due(policy.deadline)
