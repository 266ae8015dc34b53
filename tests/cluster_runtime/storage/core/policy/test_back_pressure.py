"""How fast log may come while segments are slow, or catch up."""

import pytest

from cluster_runtime.storage.core.policy.back_pressure import (
    BURST_BYTES,
    IDLE_S,
    LAG_BYTES,
    PATIENCE_S,
    PATIENCE_SHARE,
    RATE_MIN,
    SHARE,
    BackPressure,
)
from cluster_runtime.storage.core.policy.retention import is_waited_for

STEP_S = 0.01
MIB = 1 << 20


def test_nothing_is_held_back_where_nobody_is_behind() -> None:
    pressure = BackPressure()
    for step in range(1000):
        pressure.seen(step * STEP_S, lag=0, overtakes=False)
        assert pressure.wait_s == 0
        pressure.took(8 * MIB)


def heal(lag: float, copied_each_second: float, writer_wants: float, limit_s: float) -> float:
    """Seconds until a segment that lacks `lag` bytes lacks nothing, with a writer that never rests;
    infinity where that takes longer than the limit.
    """
    pressure, now = BackPressure(), 0.0
    pressure.seen(now, lag=int(lag), overtakes=False)
    while now < limit_s:
        now += STEP_S
        copied = copied_each_second * STEP_S
        lag -= copied
        if lag <= 0:
            return now
        pressure.copied(int(copied))
        pressure.seen(now, lag=int(lag), overtakes=False)
        room = writer_wants * STEP_S
        while room > 0 and pressure.wait_s == 0:
            taken = min(room, 128 << 10)
            pressure.took(int(taken))
            lag += taken
            room -= taken
    return float("inf")


@pytest.mark.parametrize("copied", [10 * MIB, 40 * MIB, 400 * MIB])
def test_a_segment_gets_up_with_a_writer_of_any_speed(copied: int) -> None:
    alone = 1024 * MIB / copied
    assert heal(1024 * MIB, copied, 10_000 * MIB, 100 * alone) < 3 * alone


def test_one_that_is_near_gets_up_too_once_the_writer_has_made_it_far() -> None:
    assert heal(LAG_BYTES / 2, 40 * MIB, 80 * MIB, 100) < 10


def taken_in_a_second(pressure: BackPressure, lag: int, copied: int) -> int:
    taken = 0
    for step in range(100):
        pressure.copied(copied // 100)
        pressure.seen(step * STEP_S, lag=lag, overtakes=False)
        while pressure.wait_s == 0 and taken < 1 << 40:
            pressure.took(128 << 10)
            taken += 128 << 10
    return taken


def test_a_writer_gets_a_share_of_what_is_copied_and_what_small_commits_need() -> None:
    copied = 80 * MIB
    taken = taken_in_a_second(BackPressure(), 1024 * MIB, copied)
    fair = RATE_MIN + SHARE * copied
    assert fair <= taken <= fair + 2 * BURST_BYTES


def test_a_writer_waits_for_nothing_where_nothing_is_copied() -> None:
    pressure = BackPressure()
    pressure.copied(MIB)
    pressure.seen(0, lag=1024 * MIB, overtakes=False)
    pressure.took(100 * MIB)
    pressure.seen(IDLE_S / 2, lag=1024 * MIB, overtakes=False)
    assert pressure.throttled
    assert pressure.wait_s > 0
    pressure.seen(2 * IDLE_S, lag=1024 * MIB, overtakes=False)
    assert not pressure.throttled
    assert pressure.wait_s == 0


def test_a_segment_that_is_far_behind_is_helped_until_it_is_up_and_a_near_one_is_not() -> None:
    pressure = BackPressure()
    pressure.copied(MIB)
    for lag, throttled in [
        (LAG_BYTES, False),
        (LAG_BYTES + 1, True),
        (LAG_BYTES // 2, True),
        (0, False),
        (LAG_BYTES, False),
    ]:
        pressure.seen(0.0, lag=lag, overtakes=False)
        assert pressure.throttled is throttled


def test_a_slow_segment_is_waited_for_a_fifth_of_the_time_at_most() -> None:
    pressure, waited = BackPressure(), 0.0
    longest = this_time = 0.0
    for step in range(1, 10_000):
        pressure.seen(step * STEP_S, lag=0, overtakes=True)
        this_time = this_time + STEP_S if pressure.wait_s > 0 else 0.0
        longest = max(longest, this_time)
        waited += STEP_S if pressure.wait_s > 0 else 0.0
    assert longest <= PATIENCE_S + 2 * STEP_S
    assert 0.05 < waited / (10_000 * STEP_S) <= PATIENCE_SHARE


def test_a_segment_that_is_a_little_late_is_waited_for_until_it_is_there() -> None:
    pressure = BackPressure()
    pressure.seen(1.0, lag=0, overtakes=True)
    assert 0 < pressure.wait_s <= PATIENCE_S
    pressure.seen(1.01, lag=0, overtakes=False)
    assert pressure.wait_s == 0


def test_log_is_kept_for_a_segment_as_long_as_that_is_less_than_beginning_again() -> None:
    assert is_waited_for(1000, 1000 + 4 * 16 * MIB, 16 * MIB)
    assert not is_waited_for(1000, 1001 + 4 * 16 * MIB, 16 * MIB)
