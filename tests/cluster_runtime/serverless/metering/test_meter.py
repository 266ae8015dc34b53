"""The meter and its ledger: durable, exact, and never twice."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from cluster_runtime.errors import InsufficientStorageError, StateDirectoryError
from cluster_runtime.serverless.metering.ledger import Ledger
from cluster_runtime.serverless.metering.meter import Known, Meter
from cluster_runtime.serverless.metering.usage import BILLION, Usage

SHOP = Known("cluster-1", "shop", (("team", "red"),), "aurora")


class Volume:
    """An open volume with counters of its own."""

    def __init__(self) -> None:
        self.billed_ios = 0, 0
        self.bytes_used = 100
        self._ended: list[Callable[[], None]] = []

    def before_close(self, call: Callable[[], None]) -> None:
        self._ended.append(call)

    def close(self) -> None:
        for call in self._ended:
            call()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metering.sqlite"


def used(meter: Meter, cluster: str = "cluster-1") -> Usage:
    found = meter.used(0)
    return sum((usage for _, usage in found[cluster][1]), Usage()) if cluster in found else Usage()


def test_a_clock_that_jumps_a_year_ahead_charges_no_year_and_a_restart_all_that_passed(
    path: Path,
) -> None:
    year = 365 * 24 * 3600
    meter, volume = Meter(Ledger.open(path)), Volume()
    meter.attach("cluster-1", volume)
    meter.flush([SHOP], 1000, clock=5.0)
    meter.flush([SHOP], 1010, clock=15.0)
    assert used(meter).storage_byte_seconds == 1000
    meter.flush([SHOP], 1020 + year, clock=24.5)
    assert used(meter).storage_byte_seconds == 2000
    volume.close()
    meter.close()
    again = Meter(Ledger.open(path))
    again.flush([SHOP], 1050 + year, clock=3.0, all_of_them=True)
    assert used(again).storage_byte_seconds == 5000
    again.flush([], 1060 + 2 * year, clock=13.0)
    assert used(again).storage_byte_seconds == 6000
    again.close()


def test_a_clock_that_was_ahead_and_is_put_right_charges_what_passes_from_then_on(
    path: Path,
) -> None:
    year = 365 * 24 * 3600
    meter, volume = Meter(Ledger.open(path)), Volume()
    meter.attach("cluster-1", volume)
    meter.flush([SHOP], 1000 + year, clock=5.0)
    meter.flush([SHOP], 1010 + year, clock=15.0)
    meter.flush([SHOP], 1020, clock=24.5)  # put right
    assert used(meter).storage_byte_seconds == 2000
    meter.ran("cluster-1", 0.5, BILLION)
    for number in range(1, 101):  # no second is lost or gained by rounding, many times over
        meter.flush([SHOP], 1020 + number * 10, clock=24.5 + number * 10.004)
    assert used(meter).storage_byte_seconds == 102_000
    of_the_future = sum((each for _, each in meter.used(year // 3600)["cluster-1"][1]), Usage())
    assert (of_the_future.storage_byte_seconds, of_the_future.acu_ns) == (1000, 0)
    volume.close()
    meter.close()
    again = Meter(Ledger.open(path))  # how long it was away nobody knows: the latest time is ahead
    again.flush([SHOP], 9000, clock=3.0, all_of_them=True)
    again.flush([SHOP], 9010, clock=13.0, all_of_them=True)
    assert used(again).storage_byte_seconds == 103_000
    again.close()


def test_branches_that_come_and_go_leave_nothing_in_the_meter_and_all_in_the_ledger(
    path: Path,
) -> None:
    meter = Meter(Ledger.open(path))
    for number in range(20):
        meter.ran(f"branch-{number}", 1.0, BILLION)
        meter.flush([Known(f"branch-{number}", f"b{number}", (), "aurora")], number, clock=number)
    meter.flush([], 100, clock=100.0)
    assert not meter._entries  # memory of a host that lives for months
    assert not meter._read_at
    assert meter.used(0)["branch-3"][0].name == "b3"
    assert used(meter, "branch-3").acu_seconds == 1
    meter.close()


def test_what_was_gathered_is_in_the_ledger_once_and_outlives_the_host(path: Path) -> None:
    meter = Meter(Ledger.open(path))
    meter.ran("cluster-1", 0.5, 3 * BILLION)
    meter.flush([SHOP], 1000)
    meter.flush([SHOP], 1010)
    assert used(meter).acu_seconds == Decimal("1.5")
    meter.close()
    again = Meter(Ledger.open(path))
    again.flush([SHOP], 1020)
    assert used(again).acu_seconds == Decimal("1.5")
    again.ran("cluster-1", 2.0, BILLION)
    again.flush([SHOP], 1030)
    assert used(again).acu_seconds == Decimal("3.5")
    again.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_io_counts_from_the_opening_of_a_volume_to_its_close_and_each_opening_anew(
    path: Path,
) -> None:
    meter = Meter(Ledger.open(path))
    for _ in range(2):
        volume = Volume()
        meter.attach("cluster-1", volume)
        volume.billed_ios = 10, 4
        meter.flush([SHOP], 1000)
        meter.flush([SHOP], 1000)
        volume.billed_ios = 12, 4
        volume.close()
    meter.flush([SHOP], 1000)
    assert (used(meter).write_ios, used(meter).read_ios) == (24, 8)
    meter.close()


def test_storage_counts_while_the_cluster_is_paused_and_its_host_is_gone(path: Path) -> None:
    meter = Meter(Ledger.open(path))
    volume = Volume()
    meter.attach("cluster-1", volume)
    volume.close()
    meter.flush([SHOP], 1000)
    meter.close()
    again = Meter(Ledger.open(path))
    again.flush([SHOP], 1500, all_of_them=True)
    assert used(again).storage_byte_seconds == 500 * 100
    again.close()


def test_a_paused_cluster_is_not_written_again_and_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(path)
    meter = Meter(ledger)
    meter.flush([SHOP], 1000)
    written: list[int] = []
    record = ledger.record
    monkeypatch.setattr(ledger, "record", lambda read: (written.append(len(read)), record(read))[1])
    meter.flush([SHOP], 2000)
    assert written == [0]
    meter.close()


def test_a_deleted_cluster_is_charged_until_then_and_keeps_its_name(path: Path) -> None:
    meter = Meter(Ledger.open(path))
    volume = Volume()
    meter.attach("cluster-1", volume)
    meter.flush([SHOP], 1000)
    volume.close()
    meter.flush([], 1100)
    meter.flush([], 9000, all_of_them=True)
    entry, _ = meter.used(0)["cluster-1"]
    assert entry.name == "shop"
    assert used(meter).storage_byte_seconds == 100 * 100
    meter.close()


def test_what_an_unnamed_cluster_did_is_its_own_once_it_has_a_name(path: Path) -> None:
    meter = Meter(Ledger.open(path))
    meter.ran("cluster-1", 1.0, BILLION)
    meter.ran("cluster-2", 1.0, BILLION)
    meter.flush([], 1000)
    meter.forget("cluster-2")
    meter.flush([SHOP], 1010)
    assert used(meter).acu_seconds == 1
    assert used(meter, "cluster-2") == Usage()
    meter.close()


def test_what_the_ledger_did_not_take_is_in_the_next_flush(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(path)
    meter = Meter(ledger)
    meter.ran("cluster-1", 1.0, BILLION)

    def full(_: object) -> None:
        raise InsufficientStorageError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "record", full)
        with pytest.raises(InsufficientStorageError):
            meter.flush([SHOP], 1000)
    meter.ran("cluster-1", 1.0, BILLION)
    meter.flush([SHOP], 1010)
    assert used(meter).acu_seconds == 2
    meter.close()


def test_a_transaction_that_fails_in_the_middle_leaves_nothing(path: Path) -> None:
    meter = Meter(Ledger.open(path))
    meter.flush([SHOP], 1000)
    other = sqlite3.connect(path)
    other.execute(
        "create trigger full before insert on usage when new.resource_id = 'cluster-2' "
        "begin select raise(abort, 'disk full'); end"
    )
    other.commit()
    other.close()
    second = Known("cluster-2", "second", (), "aurora")
    for name in ("cluster-1", "cluster-2"):
        meter.ran(name, 1.0, BILLION)
    with pytest.raises(InsufficientStorageError, match="disk full"):
        meter.flush([SHOP, second], 1010)
    assert used(meter) == Usage()
    sqlite3.connect(path, isolation_level=None).execute("drop trigger full")
    meter.flush([SHOP, second], 1020)
    assert used(meter).acu_seconds == used(meter, "cluster-2").acu_seconds == 1
    meter.close()


HOST = """
import sys
from pathlib import Path
from cluster_runtime.serverless.metering.ledger import Ledger
from cluster_runtime.serverless.metering.meter import Known, Meter
meter = Meter(Ledger.open(Path(sys.argv[1])))
shop = Known("cluster-1", "shop", (), "aurora")
number = 0
while True:
    meter.ran("cluster-1", 1.0, 10**9)
    meter.flush([shop], 1000)
    number += 1
    print(number, flush=True)
"""


def test_a_host_that_is_killed_at_any_moment_has_counted_each_reading_once(path: Path) -> None:
    """What it said that it noted is there; of the one under way, all or nothing."""
    noted = 0
    for _ in range(3):
        host = subprocess.Popen(
            [sys.executable, "-c", HOST, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert host.stdout is not None
        said = [int(host.stdout.readline()) for _ in range(5)]
        os.kill(host.pid, signal.SIGKILL)
        said += [int(line) for line in host.stdout if line.strip()]
        host.wait()
        host.stdout.close()
        meter = Meter(Ledger.open(path))
        found = int(used(meter).acu_seconds)
        meter.close()
        assert noted + said[-1] <= found <= noted + said[-1] + 1
        noted = found


def test_a_ledger_of_a_newer_release_is_refused(path: Path) -> None:
    Ledger.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(StateDirectoryError, match="newer release"):
        Ledger.open(path)


def test_a_damaged_ledger_is_put_aside_and_a_new_one_begun(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)
    meter = Meter(Ledger.open(path))
    meter.ran("cluster-1", 1.0, BILLION)
    meter.flush([SHOP], 1000)
    assert used(meter).acu_seconds == 1
    meter.close()
    assert [each.read_bytes()[:7] for each in path.parent.glob("*.damaged-*")] == [b"this is"]


def test_a_ledger_that_the_disk_has_no_room_for_now_stays_where_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter(Ledger.open(path))
    meter.ran("cluster-1", 1.0, BILLION)
    meter.flush([SHOP], 1000)
    wal = path.with_name(f"{path.name}-wal")
    kept = path.read_bytes(), wal.read_bytes()

    def full(*_: object, **__: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", full)
        with pytest.raises(InsufficientStorageError, match="free some"):
            Ledger.open(path)
    assert (path.read_bytes(), wal.read_bytes()) == kept
    meter.close()
    again = Meter(Ledger.open(path))
    assert used(again).acu_seconds == 1
    again.close()


def test_what_a_cluster_did_just_before_its_deletion_is_charged(path: Path) -> None:
    """One that is made and deleted between two flushes too."""
    meter = Meter(Ledger.open(path))
    meter.ran("cluster-1", 1.0, 2 * BILLION)
    meter.end(SHOP)
    meter.flush([], 1000)
    assert used(meter).acu_seconds == 2
    meter.flush([], 5000, all_of_them=True)
    assert used(meter).acu_seconds == 2
    assert used(meter).storage_byte_seconds == 0
    meter.close()


def test_a_deleted_cluster_holds_nothing_from_its_deletion_on(path: Path) -> None:
    """Wherever the host ends before the next look."""
    meter = Meter(Ledger.open(path))
    meter.backed_up("cluster-1", 10)
    meter.flush([SHOP], 1000)
    meter.backed_up("cluster-1", 10)
    meter.end(SHOP)
    meter.flush([], 1100)
    assert used(meter).backup_byte_seconds == 10 * 100
    meter.close()
    again = Meter(Ledger.open(path))
    again.flush([], 1100 + 7 * 86_400)
    assert used(again).backup_byte_seconds == 10 * 100
    again.close()
