"""A bill adds up, in decimals, and says when the other storage asks for less."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.metering.bill import (
    BACKUP,
    CAPACITY,
    HOURS_PER_MONTH,
    IO_REQUESTS,
    IO_SHARE,
    STORAGE,
    STORAGE_TYPES,
    charges,
    entry,
)
from cluster_runtime.serverless.metering.prices import PRICE_LIST, read_price_list
from cluster_runtime.serverless.metering.usage import BILLION, HOUR_S, Usage

PRICES = read_price_list().of("us-east-1")
GIB = 1 << 30
A_MONTH_S = HOURS_PER_MONTH * HOUR_S

usages = st.builds(
    Usage,
    acu_ns=st.integers(0, 256 * A_MONTH_S * BILLION),
    write_ios=st.integers(0, 10**12),
    read_ios=st.integers(0, 10**12),
    storage_byte_seconds=st.integers(0, (1 << 40) * A_MONTH_S),
    backup_byte_seconds=st.integers(0, (1 << 40) * A_MONTH_S),
)
used_on = st.lists(st.tuples(st.sampled_from(["aurora", "aurora-iopt1"]), usages), max_size=6)


def month(acu: float = 0, gib: int = 0, millions: int = 0, backup_gib: int = 0) -> Usage:
    """What a cluster uses in a month of 730 hours."""
    return Usage(
        acu_ns=int(acu * A_MONTH_S * BILLION),
        write_ios=millions * 600_000,
        read_ios=millions * 400_000,
        storage_byte_seconds=gib * GIB * A_MONTH_S,
        backup_byte_seconds=backup_gib * GIB * A_MONTH_S,
    )


def test_a_month_costs_what_the_price_list_says() -> None:
    used = month(acu=2, gib=100, millions=500, backup_gib=10)
    standard, optimized = (charges([(kind, used)], PRICES) for kind in STORAGE_TYPES.values())
    assert {each.item: each.amount for each in standard.lines} == {
        CAPACITY: Decimal("175.2"),  # 2 ACU, 730 hours, 0.12
        STORAGE: Decimal("10"),
        IO_REQUESTS: Decimal("100"),
        BACKUP: Decimal("0.21"),
    }
    assert standard.total == Decimal("285.41")
    assert {each.item: each.amount for each in optimized.lines} == {
        CAPACITY: Decimal("233.6"),
        STORAGE: Decimal("22.5"),
        IO_REQUESTS: Decimal(0),
        BACKUP: Decimal("0.21"),
    }


def test_both_bills_stand_side_by_side_and_advice_comes_from_a_quarter_on() -> None:
    much = entry("shop", [("aurora", month(acu=1, gib=10, millions=1000))], PRICES)
    assert much.io_share > IO_SHARE
    assert much.other.storage_type == "aurora-iopt1"
    assert much.other.total < much.charges.total
    assert "aurora-iopt1" in much.advice
    little = entry("shop", [("aurora", month(acu=1, gib=10, millions=10))], PRICES)
    assert little.io_share < IO_SHARE
    assert little.advice == ""


def test_no_advice_to_what_would_ask_for_more() -> None:
    """Much storage: a quarter for I/O, and I/O-Optimized storage is dearer nevertheless."""
    used = month(acu=0, gib=1000, millions=200)
    one = entry("archive", [("aurora", used)], PRICES)
    assert one.io_share >= IO_SHARE
    assert one.other.total > one.charges.total
    assert "more" in one.advice
    assert "aurora-iopt1" not in one.advice


def test_a_cluster_on_io_optimized_storage_hears_when_standard_asks_for_less() -> None:
    one = entry("quiet", [("aurora-iopt1", month(acu=1, gib=10, millions=1))], PRICES)
    assert one.other.storage_type == "aurora"
    assert "storage type aurora would" in one.advice


def test_what_if_names_the_storage_to_compare_with() -> None:
    used = [("aurora-iopt1", month(acu=1, millions=5))]
    one = entry("x", used, PRICES, "io-optimized")
    assert one.other == one.charges
    assert entry("x", used, PRICES, "standard").other.storage_type == "aurora"


def test_nothing_used_is_nothing_asked_for() -> None:
    one = entry("new", [], PRICES)
    assert one.charges.total == 0
    assert one.io_share == 0
    assert one.advice == ""


@given(used_on)
def test_a_total_is_the_sum_of_its_lines_and_no_amount_is_negative(
    used: list[tuple[str, Usage]],
) -> None:
    one = entry("x", used, PRICES)
    for found in (one.charges, one.other):
        assert found.total == sum((line.amount for line in found.lines), Decimal(0))
        assert all(line.amount >= 0 and line.quantity >= 0 for line in found.lines)
        assert all(isinstance(line.amount, Decimal) for line in found.lines)
    assert 0 <= one.io_share <= 1


@given(used_on)
def test_the_parts_of_a_bill_cost_together_what_they_cost_one_by_one(
    used: list[tuple[str, Usage]],
) -> None:
    """But for the rounding of each line to a millionth."""
    together = charges(used, PRICES).total
    apart = sum((charges([each], PRICES).total for each in used), Decimal(0))
    assert abs(together - apart) <= Decimal("0.000004") * max(1, len(used))


@given(usages, usages)
def test_who_uses_more_pays_no_less(one: Usage, more: Usage) -> None:
    for kind in STORAGE_TYPES.values():
        assert charges([(kind, one + more)], PRICES).total >= charges([(kind, one)], PRICES).total


def test_every_price_of_the_list_says_where_it_is_from() -> None:
    listed = read_price_list()
    assert len(listed.regions) >= 2
    for prices in listed.regions.values():
        assert prices.source
        assert prices.date
        assert prices.io_optimized.io == 0
        assert prices.io_optimized.acu_hour > prices.standard.acu_hour
    assert listed.of("mars-north-1").region == listed.default


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"default_region": "nowhere"},
        {"regions": {"us-east-1": {}}},
        {"currency": None, "regions": []},
    ],
)
def test_a_file_that_is_no_price_list_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({**json.loads(PRICE_LIST.read_text()), **change}))
    with pytest.raises(InvalidParameterError, match=r"prices\.json"):
        read_price_list(path)


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "cheap", None])
def test_what_is_no_price_is_refused(price: object, tmp_path: Path) -> None:
    listed = json.loads(PRICE_LIST.read_text())
    listed["regions"]["us-east-1"]["standard"]["acu_hour"] = price
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(listed))
    with pytest.raises(InvalidParameterError):
        read_price_list(path)


def test_a_price_that_is_a_number_in_the_file_never_becomes_a_float(tmp_path: Path) -> None:
    text = PRICE_LIST.read_text().replace('"acu_hour": "0.12"', '"acu_hour": 0.1234567890123456789')
    path = tmp_path / "prices.json"
    path.write_text(text)
    found = read_price_list(path).of("us-east-1").standard.acu_hour
    assert found == Decimal("0.1234567890123456789")
