"""What a cluster uses: nothing twice, nothing forgotten, whatever the clock and the host do."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.serverless.metering.usage import (
    HOUR_S,
    Account,
    Metered,
    Reading,
    Usage,
    advance,
)

amounts = st.integers(0, 10**15)
readings = st.builds(
    Reading,
    at=st.integers(0, 10 * 24 * HOUR_S),
    done=st.builds(Usage, acu_ns=amounts, write_ios=amounts, read_ios=amounts),
    storage_bytes=st.none() | st.integers(0, 1 << 48),
    backup_bytes=st.none() | st.integers(0, 1 << 48),
    storage_type=st.sampled_from(["aurora", "aurora-iopt1"]),
)


def total(shares: Iterable[Metered]) -> Usage:
    return sum((each.usage for each in shares), Usage())


def test_what_is_held_counts_until_the_next_reading_and_from_then_on_otherwise() -> None:
    account = Account(1000, storage_bytes=10)
    account, shares = advance(account, Reading(1060, storage_bytes=30))
    assert total(shares).storage_byte_seconds == 600
    _, shares = advance(account, Reading(1070))
    assert total(shares).storage_byte_seconds == 300


def test_a_clock_that_is_set_forward_charges_the_time_that_passed() -> None:
    account = Account(1000, storage_bytes=10)
    account, shares = advance(account, Reading(90_000, passed=60))
    assert total(shares).storage_byte_seconds == 600
    _, shares = advance(account, Reading(90_010, passed=10))
    assert total(shares).storage_byte_seconds == 100


def test_it_is_cut_at_full_hours() -> None:
    account = Account(HOUR_S - 10, storage_bytes=1)
    _, shares = advance(account, Reading(2 * HOUR_S + 5))
    assert [(each.hour, each.usage.storage_byte_seconds) for each in shares] == [
        (0, 10),
        (1, HOUR_S),
        (2, 5),
    ]


def test_backups_cost_nothing_up_to_the_size_of_the_storage() -> None:
    for backup, billed in ((50, 0), (100, 0), (130, 300)):
        _, shares = advance(Account(0, storage_bytes=100, backup_bytes=backup), Reading(10))
        assert total(shares).backup_byte_seconds == billed


def test_another_storage_type_counts_from_its_reading_on() -> None:
    account = Account(0, storage_bytes=1)
    account, first = advance(account, Reading(10, storage_type="aurora-iopt1"))
    _, second = advance(account, Reading(30, storage_type="aurora-iopt1"))
    assert {each.storage_type for each in first} == {"aurora"}
    assert {each.storage_type for each in second} == {"aurora-iopt1"}
    assert total(second).storage_byte_seconds == 20


def test_what_was_done_counts_on_the_storage_that_it_was_done_on() -> None:
    done = Usage(write_ios=5)
    _, shares = advance(Account(0), Reading(10, done, storage_type="aurora-iopt1"))
    assert [each.storage_type for each in shares if each.usage.write_ios] == ["aurora"]


@given(st.lists(readings, max_size=30))
def test_no_second_and_no_request_counts_twice_however_the_clock_jumps(
    history: list[Reading],
) -> None:
    """Against the plainest sum: each second of the highest time belongs to one reading."""
    account = Account(0)
    held_at: list[tuple[int, int]] = []
    done = Usage()
    found = Usage()
    latest, storage = 0, 0
    for reading in history:
        account, shares = advance(account, reading)
        found += total(shares)
        done += reading.done
        held_at.append((max(0, reading.at - latest), storage))
        latest = max(latest, reading.at)
        storage = storage if reading.storage_bytes is None else reading.storage_bytes
        assert account.until == latest
    assert found.storage_byte_seconds == sum(seconds * size for seconds, size in held_at)
    assert (found.acu_ns, found.write_ios, found.read_ios) == (
        done.acu_ns,
        done.write_ios,
        done.read_ios,
    )


@given(st.lists(readings, min_size=1, max_size=20), st.data())
def test_readings_in_between_change_nothing_but_the_hours(
    history: list[Reading], data: st.DataObject
) -> None:
    """A host that looks more often, or starts again in between, charges the same."""
    ordered = sorted(history, key=lambda each: each.at)
    end = Reading(ordered[-1].at + 1000)
    once, often = Account(0), Account(0)
    sum_once, sum_often = Usage(), Usage()
    for reading in (*ordered, end):
        between = data.draw(st.integers(often.until, max(often.until, reading.at)))
        idle = Reading(between, storage_type=often.storage_type)
        often, shares = advance(often, idle)
        sum_often += total(shares)
        often, shares = advance(often, reading)
        sum_often += total(shares)
        once, shares = advance(once, reading)
        sum_once += total(shares)
    assert sum_once == sum_often


@given(st.lists(readings, max_size=20))
def test_every_share_lies_in_an_hour_and_none_is_negative(history: list[Reading]) -> None:
    account = Account(0)
    for reading in history:
        account, shares = advance(account, reading)
        for each in shares:
            usage = each.usage
            assert 0 <= usage.storage_byte_seconds <= (1 << 48) * HOUR_S
            assert 0 <= usage.backup_byte_seconds <= (1 << 48) * HOUR_S
            assert each.hour * HOUR_S <= account.until
