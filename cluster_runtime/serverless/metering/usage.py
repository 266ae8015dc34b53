"""What a cluster uses, hour by hour: added up without a clock, file or float.

A reading says what was used since the reading before. What a cluster *holds* (storage, backup)
counts for the time up to the next reading, however long that is: also while its host is not there.
What it *does* (capacity, I/O) counts only where somebody saw it.

Units: capacity in billionths of an ACU-second, so that sums are exact; I/O requests as Aurora
counts them, writes of 4 KiB and reads of 8 KiB (`storage.core.policy.growth`); bytes times seconds.

Source: Amazon Aurora User Guide, "DB instance billing for Aurora".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

HOUR_S = 3600
BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Usage:
    """An amount of everything that is billed. acu_ns: billionths of an ACU-second.

    backup_byte_seconds: those beyond what the cluster's own storage took in the same time, which
    cost nothing.
    """

    acu_ns: int = 0
    write_ios: int = 0
    read_ios: int = 0
    storage_byte_seconds: int = 0
    backup_byte_seconds: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.acu_ns + other.acu_ns,
            self.write_ios + other.write_ios,
            self.read_ios + other.read_ios,
            self.storage_byte_seconds + other.storage_byte_seconds,
            self.backup_byte_seconds + other.backup_byte_seconds,
        )

    @property
    def acu_seconds(self) -> Decimal:
        """Capacity times time."""
        return Decimal(self.acu_ns) / BILLION


@dataclass(frozen=True, slots=True)
class Account:
    """How far a cluster is metered, and what it holds. until: the latest time that it was read at,
    in whole seconds since 1970.
    """

    until: int
    storage_bytes: int = 0
    backup_bytes: int = 0
    storage_type: str = "aurora"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen of a cluster at a time, in whole seconds since 1970.

    done: since the reading before; nothing of what it holds. passed: the seconds since then by a
    clock that nobody sets; None where none ran all the while, as over a restart. storage_bytes,
    backup_bytes: from now on; None: as before. storage_type: from now on.
    """

    at: int
    done: Usage = field(default_factory=Usage)
    storage_bytes: int | None = None
    backup_bytes: int | None = None
    storage_type: str = "aurora"
    passed: int | None = None


@dataclass(frozen=True, slots=True)
class Metered:
    """A share of the usage: of one hour, in hours since 1970, on one type of storage."""

    hour: int
    storage_type: str
    usage: Usage


def advance(account: Account, reading: Reading) -> tuple[Account, tuple[Metered, ...]]:
    """The account after a reading, and what that adds.

    What is held counts for the time that passed, whatever the clock was set to meanwhile, in the
    hours that it shows now. Where nobody knows how much passed, it counts from the latest reading
    that there ever was: no second counts twice.
    """
    shares = list(_held(account, reading))
    if reading.done != Usage():
        shares.append(Metered(reading.at // HOUR_S, account.storage_type, reading.done))
    after = replace(
        account,
        until=max(account.until, reading.at),
        storage_bytes=_known(reading.storage_bytes, account.storage_bytes),
        backup_bytes=_known(reading.backup_bytes, account.backup_bytes),
        storage_type=reading.storage_type,
    )
    return after, tuple(shares)


def _held(account: Account, reading: Reading) -> Iterator[Metered]:
    """What it held from the last reading on, cut at full hours."""
    begin, until = account.until, reading.at
    if reading.passed is not None:
        begin = until - reading.passed
    free = min(account.storage_bytes, account.backup_bytes)
    while begin < until:
        end = min(until, (begin // HOUR_S + 1) * HOUR_S)
        seconds = end - begin
        yield Metered(
            begin // HOUR_S,
            account.storage_type,
            Usage(
                storage_byte_seconds=account.storage_bytes * seconds,
                backup_byte_seconds=(account.backup_bytes - free) * seconds,
            ),
        )
        begin = end


def _known(now: int | None, before: int) -> int:
    return before if now is None else now
