"""When a paused cluster gives its data directory back."""

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.deep_pause import DEEP_PAUSE_SECONDS, Paused


def test_it_is_due_after_a_day_and_not_before() -> None:
    paused = Paused(since=1000.0, seconds=DEEP_PAUSE_SECONDS)
    assert paused.due_at == 1000.0 + 86_400
    assert paused.wait(1000.0 + 86_399) == 1.0
    assert paused.wait(1000.0 + 86_400) == 0.0


def test_one_that_was_cut_short_goes_on_at_once() -> None:
    assert Paused(since=None, seconds=86_400).wait(5.0) == 0.0


def test_a_cluster_may_have_none() -> None:
    assert Paused(since=1000.0, seconds=None).wait(1e12) is None
    assert Paused(since=None, seconds=None).wait(1e12) is None


@given(st.floats(0, 4e9), st.integers(1, 10**8), st.floats(0, 4e9))
def test_no_clock_keeps_a_cluster_from_it_for_longer_than_its_time(
    since: float, seconds: int, now: float
) -> None:
    wait = Paused(since, seconds).wait(now)
    assert wait is not None
    assert 0 <= wait <= seconds
    assert (wait == 0) is (now >= since + seconds)
