"""A bill: usage at a region's prices, on the storage that it was on and on the other one. Pure.

A GiB-month is 730 hours. I/O-Optimized storage asks nothing for I/O requests and more for the rest;
Amazon's advice is to look at it once I/O is a quarter of the bill.

Sources: Amazon Aurora pricing, https://aws.amazon.com/rds/aurora/pricing/; Aurora User Guide,
"Storage configurations for Amazon Aurora DB clusters". Amounts are rounded half to even, to
millionths.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from cluster_runtime.serverless.metering.prices import Prices
from cluster_runtime.serverless.metering.usage import HOUR_S, Usage

WhatIf = Literal["standard", "io-optimized"]
STORAGE_TYPES: Mapping[WhatIf, str] = {"standard": "aurora", "io-optimized": "aurora-iopt1"}

CAPACITY, STORAGE, IO_REQUESTS, BACKUP = "Capacity", "Storage", "I/O requests", "Backup storage"
HOURS_PER_MONTH = 730
IO_SHARE = Decimal("0.25")
_GIB_MONTH = (1 << 30) * HOUR_S * HOURS_PER_MONTH
_SMALLEST = Decimal("0.000001")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class BillLine:
    """One thing that is asked for: how much of it, in which unit, at which price for one."""

    item: str
    quantity: Decimal
    unit: str
    price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Charges:
    """What is asked for together. storage_type: `aurora`, `aurora-iopt1`; empty for both."""

    storage_type: str
    lines: tuple[BillLine, ...]
    total: Decimal


@dataclass(frozen=True, slots=True)
class BillEntry:
    """The bill of a cluster, or of all that have the same value of a tag.

    charges: for the storage that it was on. other: the same usage on the other one, or on the one
    that was asked for. io_share: of the charges, that I/O requests are; 0 to 1. advice: what to
    change, and what that saves; empty where nothing is.
    """

    name: str
    charges: Charges
    other: Charges
    io_share: Decimal
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What was used in a time, at the prices of a list.

    region: whose prices; another one than the host's where the list does not have that.
    price_source, price_date: where they are from. prices_checked: whether all of them stand there.
    """

    since: datetime
    until: datetime
    region: str
    currency: str
    price_source: str
    price_date: str
    prices_checked: bool
    entries: tuple[BillEntry, ...]
    total: Decimal


UsedOn = Sequence[tuple[str, Usage]]
"""Usage by the type of storage that the cluster was on meanwhile."""


def entry(name: str, used: UsedOn, prices: Prices, what_if: WhatIf | None = None) -> BillEntry:
    """The bill of what was used. what_if: the storage to compare with."""
    actual = charges(used, prices)
    total = sum((usage for _, usage in used), Usage())
    on = {kind: charges([(kind, total)], prices) for kind in STORAGE_TYPES.values()}
    now_on = used[-1][0] if used else STORAGE_TYPES["standard"]
    other = STORAGE_TYPES[what_if] if what_if is not None else _other(now_on)
    io = sum((line.amount for line in actual.lines if line.item == IO_REQUESTS), _ZERO)
    share = (io / actual.total).quantize(Decimal("0.0001")) if actual.total else _ZERO
    return BillEntry(name, actual, on[other], share, _advice(now_on, share, on))


def charges(used: UsedOn, prices: Prices) -> Charges:
    """What is asked for usage, each part of it at the rates of the storage that it was on."""
    lines: dict[tuple[str, Decimal], BillLine] = {}
    for storage_type, usage in used:
        for line in _lines(storage_type, usage, prices):
            key = line.item, line.price
            known = lines.get(key)
            quantity = line.quantity + (known.quantity if known is not None else _ZERO)
            lines[key] = _line(line.item, quantity, line.unit, line.price)
    kinds = {kind for kind, _ in used}
    return Charges(
        kinds.pop() if len(kinds) == 1 else "",
        tuple(lines.values()),
        _total(line.amount for line in lines.values()),
    )


def _lines(storage_type: str, usage: Usage, prices: Prices) -> Iterable[BillLine]:
    rates = prices.rates(storage_type)
    yield _line(CAPACITY, usage.acu_seconds / HOUR_S, "ACU-hour", rates.acu_hour)
    gib_months = Decimal(usage.storage_byte_seconds) / _GIB_MONTH
    yield _line(STORAGE, gib_months, "GiB-month", rates.storage)
    millions = Decimal(usage.write_ios + usage.read_ios) / 10**6
    yield _line(IO_REQUESTS, millions, "million", rates.io)
    gib_months = Decimal(usage.backup_byte_seconds) / _GIB_MONTH
    yield _line(BACKUP, gib_months, "GiB-month", prices.backup)


def _line(item: str, quantity: Decimal, unit: str, price: Decimal) -> BillLine:
    amount = (quantity * price).quantize(_SMALLEST, rounding=ROUND_HALF_EVEN)
    return BillLine(item, quantity, unit, price, amount)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)


def bill_total(entries: Iterable[BillEntry]) -> Decimal:
    """What is asked for all of them."""
    return _total(each.charges.total for each in entries)


def _other(storage_type: str) -> str:
    return "aurora" if storage_type == "aurora-iopt1" else "aurora-iopt1"


def _advice(now_on: str, share: Decimal, on: Mapping[str, Charges]) -> str:
    """What Amazon advises: from a quarter for I/O on, I/O-Optimized storage begins to pay."""
    standard, optimized = on["aurora"].total, on["aurora-iopt1"].total
    if now_on == "aurora" and share >= IO_SHARE:
        begins = f"I/O requests are {share:.0%} of the bill: "
        if optimized < standard:
            return begins + _saves("aurora-iopt1", standard, optimized)
        return begins + "I/O-Optimized storage would still ask for more; look again if that grows"
    if now_on == "aurora-iopt1" and standard < optimized:
        return "I/O is little: " + _saves("aurora", optimized, standard)
    return ""


def _saves(storage_type: str, now: Decimal, then: Decimal) -> str:
    saved = (now - then) / now
    asked = f"{then:.6f} instead of {now:.6f}, {saved:.0%} less"
    return f"storage type {storage_type} would ask for {asked}"
