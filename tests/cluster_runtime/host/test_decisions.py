"""Who attaches, who hosts, what is sent again, and when a host ends: the rules alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.host.attaching import (
    PROTOCOL,
    SILENT_SECONDS_MAX,
    UNNAMED_SECONDS_MAX,
    Fate,
    Seen,
    Step,
    may_be_sent_again,
    next_step,
)
from cluster_runtime.host.idling import IDLE_SECONDS, LOOK_SECONDS_MAX, IdleEnd, Use

FREE = Seen(locked=False)
STARTING = Seen(locked=True, named=True)
UNNAMED = Seen(locked=True)
READY = Seen(locked=True, named=True, answers=True)


@pytest.mark.parametrize(
    ("seen", "waited", "step"),
    [
        (FREE, 0, Step.TAKE),
        (READY, 0, Step.ATTACH),
        (STARTING, 0, Step.WAIT),
        (STARTING, SILENT_SECONDS_MAX - 1, Step.WAIT),
        (STARTING, SILENT_SECONDS_MAX, Step.SILENT),
        (UNNAMED, UNNAMED_SECONDS_MAX - 1, Step.WAIT),
        (UNNAMED, UNNAMED_SECONDS_MAX, Step.IN_USE),
        (Seen(locked=True, named=True, protocol=PROTOCOL - 1, answers=True), 0, Step.OLDER_HOST),
        (Seen(locked=True, named=True, protocol=PROTOCOL + 1, answers=True), 0, Step.NEWER_HOST),
    ],
)
def test_what_a_program_does_next(seen: Seen, waited: float, step: Step) -> None:
    assert next_step(seen, waited) is step


@given(
    st.builds(Seen, st.booleans(), st.booleans(), st.integers(0, 3), st.booleans()),
    st.floats(0, 1000),
)
def test_nobody_hosts_beside_a_host_and_nobody_waits_without_end(seen: Seen, waited: float) -> None:
    step = next_step(seen, waited)
    assert (step is Step.TAKE) is not (seen.locked or seen.answers)
    if waited >= SILENT_SECONDS_MAX:
        assert step is not Step.WAIT
    if step is Step.ATTACH:
        assert seen.answers
        assert seen.protocol == PROTOCOL


@pytest.mark.parametrize(
    ("fate", "reads", "again"),
    [
        (Fate.NOT_SENT, True, True),
        (Fate.NOT_SENT, False, True),
        (Fate.UNKNOWN, True, True),
        (Fate.UNKNOWN, False, False),
    ],
)
def test_what_may_have_been_done_is_sent_again_only_where_it_reads(
    fate: Fate, reads: bool, again: bool
) -> None:
    assert may_be_sent_again(fate, reads=reads) is again


@pytest.mark.parametrize("use", [Use(attached=1), Use(calls=1), Use(connections=1), Use(running=1)])
def test_whoever_needs_a_host_keeps_it(use: Use) -> None:
    idle = IdleEnd(IDLE_SECONDS)
    assert idle.next_look(Use(), 0) is not None
    assert idle.next_look(use, IDLE_SECONDS - 1) is not None
    assert idle.next_look(use, 10 * IDLE_SECONDS) is not None
    assert idle.next_look(Use(), 10 * IDLE_SECONDS) is not None
    assert idle.next_look(Use(), 11 * IDLE_SECONDS) is None


def test_a_host_that_nobody_ever_used_ends_after_fifteen_minutes() -> None:
    idle, now = IdleEnd(IDLE_SECONDS), 1000.0
    while (seconds := idle.next_look(Use(), now)) is not None:
        assert 0 < seconds <= LOOK_SECONDS_MAX
        now += seconds
    assert now == 1000.0 + 15 * 60
