"""A ring has, for any stretch that it keeps, exactly the statistics of the samples in it."""

import math
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_runtime.serverless.metrics.history import OF_THE_VOLUME, History, Origin
from cluster_runtime.serverless.metrics.periods import SHORT_PERIODS_S, begin, is_a_period
from cluster_runtime.serverless.metrics.ring import (
    RESOLUTIONS,
    Points,
    Resolution,
    Ring,
    Statistics,
    merged,
)
from tests.examples import examples

SMALL = (Resolution(1, 20), Resolution(10, 12), Resolution(60, 10))
# Whole numbers: their sums are the same in any order.
VALUES = st.integers(-(10**6), 10**6).map(float)
SAMPLES = st.lists(st.tuples(st.integers(1, 40), VALUES), min_size=1, max_size=80)


def statistics(values: list[float]) -> Statistics:
    return Statistics(len(values), sum(values), min(values), max(values))


def expected(
    samples: list[tuple[float, float]], start: int, end: float, period: int, least: int
) -> Points:
    """What a list of samples says. least: seconds of which what came before is gone."""
    found: dict[int, list[float]] = {}
    for at, value in samples:
        if at >= least and start <= at < end:
            found.setdefault(start + int(at - start) // period * period, []).append(value)
    return {at: statistics(values) for at, values in found.items()}


@given(SAMPLES, st.sampled_from([1, 5, 10, 20, 30, 60, 120, 300]), st.integers(0, 600))
def test_each_period_has_the_statistics_of_its_samples(
    gaps: list[tuple[int, float]], period: int, back: int
) -> None:
    ring = Ring(["a"], SMALL)
    samples, now = [], 6000
    for gap, value in gaps:
        now += gap
        ring.add(now + 0.5, {"a": value})
        samples.append((float(now), value))
    resolution = next(each for each in reversed(SMALL) if period % each.step == 0)
    start = begin(now - back, max(period, resolution.step))
    kept = (now // resolution.step - resolution.slots + 1) * resolution.step
    end = math.ceil((now + 1) / resolution.step) * resolution.step
    assert ring.read("a", start, end, period) == expected(samples, start, end, period, kept)


@given(SAMPLES)
def test_a_minute_is_what_its_seconds_are_together(gaps: list[tuple[int, float]]) -> None:
    ring = Ring(["a"])
    now = 6000
    for gap, value in gaps[:14]:
        now += gap
        ring.add(now, {"a": value})
    coarse = ring.read("a", 6000, now + 60, 60)
    fine = ring.read("a", 6000, now + 60, 1)
    for at, one in coarse.items():
        within = [each for second, each in fine.items() if at <= second < at + 60]
        total = within[0]
        for each in within[1:]:
            total = total.merged(each)
        assert one == total
        assert one.average == pytest.approx(one.sum / one.sample_count)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_sums_of_fractions_are_right_to_the_last_digits(values: list[float]) -> None:
    ring = Ring(["a"])
    for value in values:
        ring.add(0.0, {"a": value})
    (one,) = ring.read("a", 0, 60, 60).values()
    scale = max(1.0, math.fsum(abs(value) for value in values))
    assert abs(one.sum - math.fsum(values)) <= 1e-12 * scale
    assert (one.minimum, one.maximum, one.sample_count) == (min(values), max(values), len(values))


@settings(max_examples=examples(50))
@given(st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=60), VALUES)
def test_however_the_clock_jumps_the_newest_sample_is_there_and_no_more_than_fits(
    jumps: list[int], value: float
) -> None:
    ring = Ring(["a"], SMALL)
    now = 10**9
    for jump in jumps:
        now += jump
        ring.add(now, {"a": value})
        assert ring.read("a", now, now + 1, 1)[now].maximum == value
        for (_, rows), resolution in zip(ring.rows(), SMALL, strict=True):
            numbers = [number for number, _ in rows]
            assert numbers == sorted(numbers)
            assert len(numbers) <= resolution.slots


def test_what_was_not_measured_is_absent_and_not_zero() -> None:
    ring = Ring(["a", "b"])
    ring.add(100, {"a": 0.0})
    assert ring.read("b", 0, 200, 1) == {}
    assert ring.read("a", 0, 200, 1) == {100: Statistics(1, 0.0, 0.0, 0.0)}
    assert ring.active == {"a"}


def test_a_day_is_kept_by_the_minute_and_no_more() -> None:
    ring = Ring(["a"])
    for minute in range(1500):
        ring.add(minute * 60, {"a": float(minute)})
    assert len(ring.read("a", 0, 1500 * 60, 60)) == RESOLUTIONS[-1].slots == 1440
    assert len(ring.read("a", 0, 1500 * 60, 1)) == 10
    ring.forget_before(1500 * 60 + 86_400)
    assert ring.newest is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused_and_changes_nothing(value: float) -> None:
    ring = Ring(["a", "b"])
    with pytest.raises(ValueError, match="not finite"):
        ring.add(1, {"a": 1.0, "b": value})
    assert ring.read("a", 0, 60, 60) == {}
    with pytest.raises(KeyError):
        ring.add(1, {"c": 1.0})
    with pytest.raises(ValueError, match="0 s"):
        ring.read("a", 0, 60, 0)


@given(st.lists(st.dictionaries(st.integers(0, 5), VALUES), max_size=4))
def test_things_together_have_the_statistics_of_all_their_samples(
    things: list[dict[int, float]],
) -> None:
    together = merged(
        {at: Statistics(1, value, value, value) for at, value in thing.items()} for thing in things
    )
    for at in {each for thing in things for each in thing}:
        assert together[at] == statistics([thing[at] for thing in things if at in thing])
    assert list(together) == sorted(together)


def test_the_roles_of_an_instance_are_told_apart_and_together() -> None:
    history = History()
    history.add(Origin("one", "WRITER"), 60, {"CPUUtilization": 50.0})
    history.add(Origin("one", "READER"), 120, {"CPUUtilization": 10.0})
    history.add(Origin("two", "READER"), 60, {"CPUUtilization": 30.0})
    history.add(OF_THE_VOLUME, 60, {"VolumeBytesUsed": 7.0})
    history.add(Origin("two", "READER"), 60, {})

    def average(**of: str) -> dict[int, float]:
        points = history.read("CPUUtilization", 0, 180, 60, **of)  # type: ignore[arg-type]
        return {at: one.average for at, one in points.items()}

    assert average() == {60: 40.0, 120: 10.0}
    assert average(instance="one") == {60: 50.0, 120: 10.0}
    assert average(role="READER") == {60: 30.0, 120: 10.0}
    assert average(instance="gone") == {}
    assert history.read("VolumeBytesUsed", 0, 180, 60, role="WRITER") == {}
    assert history.read("VolumeBytesUsed", 0, 180, 60)[60].maximum == 7.0
    with pytest.raises(KeyError):
        history.read("Nothing", 0, 180, 60)


def test_a_ring_of_other_columns_keeps_those_in_common() -> None:
    ring = Ring(["a", "b"])
    ring.add(60, {"a": 1.0, "b": 2.0})
    other = ring.with_names(["b", "c"])
    other.add(61, {"c": 3.0})
    assert other.read("b", 0, 120, 60)[60].sum == 2.0
    assert other.read("c", 0, 120, 60)[60].sum == 3.0
    assert ring.with_names(["a", "b"]) is ring


def test_rows_that_were_read_are_not_changed_by_what_comes() -> None:
    ring = Ring(["a"])
    ring.add(60, {"a": 1.0})
    rows = [[(number, array("d", row)) for number, row in slots] for _, slots in ring.rows()]
    taken = [slots for _, slots in ring.rows()]
    ring.add(60, {"a": 5.0})
    assert taken == rows


@given(st.integers(-10, 100_000))
def test_periods_are_cloudwatchs(seconds: int) -> None:
    whole = seconds > 0 and seconds % 60 == 0 and seconds <= 86_400
    assert is_a_period(seconds) is (seconds in SHORT_PERIODS_S or whole)
    if is_a_period(seconds):
        assert begin(12_345.6, seconds) == 12_345 // min(seconds, 60) * min(seconds, 60)
