"""What real clusters use is in their bill: through the runtime, over a restart, by tag."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.records.resources import Tag
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError
from cluster_runtime.serverless.metering.bill import CAPACITY, IO_REQUESTS, STORAGE, BillEntry
from tests.waiting import wait_until


def amounts(entry: BillEntry) -> dict[str, Decimal]:
    return {line.item: line.quantity for line in entry.charges.lines}


def bill_of(runtime: Runtime, name: str, **wanted: Any) -> BillEntry:
    (entry,) = runtime.describe_bill(name, **wanted).entries
    return entry


def write_much(cluster: ClusterHandle, rows: int = 20_000) -> None:
    with cluster.connect() as conn:
        conn.execute("create table if not exists t (x int)")
        conn.execute("insert into t select generate_series(1, %s)", [rows])


def test_a_cluster_that_runs_and_writes_is_charged_for_it_and_a_paused_one_for_storage(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("shop")
    write_much(cluster)

    def capacity() -> Decimal:
        return amounts(bill_of(shared_runtime, "shop"))[CAPACITY]

    assert wait_until(capacity) > 0
    used = amounts(bill_of(shared_runtime, "shop"))
    written = shared_runtime.describe_volume("shop").io.write_ios
    assert (
        0
        < used[IO_REQUESTS] * 10**6
        <= written + shared_runtime.describe_volume("shop").io.read_ios
    )
    shared_runtime.pause_db_cluster("shop")
    at_rest = amounts(bill_of(shared_runtime, "shop"))
    assert at_rest[IO_REQUESTS] >= used[IO_REQUESTS], "what the pause wrote, too"

    def later() -> dict[str, Decimal]:
        return amounts(bill_of(shared_runtime, "shop"))

    wait_until(lambda: later()[STORAGE] > at_rest[STORAGE])
    settled = later()[CAPACITY]
    wait_until(lambda: later()[STORAGE] > at_rest[STORAGE] * 2)
    assert later()[CAPACITY] == settled, "a paused cluster has no capacity"


def test_both_kinds_of_storage_stand_side_by_side(shared_runtime: Runtime) -> None:
    write_much(shared_runtime.create_db_cluster("sides"))
    entry = wait_until(
        lambda: next(
            (
                each
                for each in shared_runtime.describe_bill("sides").entries
                if amounts(each)[CAPACITY] and amounts(each)[IO_REQUESTS]
            ),
            None,
        )
    )
    assert (entry.charges.storage_type, entry.other.storage_type) == ("aurora", "aurora-iopt1")
    shared_runtime.modify_db_cluster("sides", storage_type="aurora-iopt1")
    same = bill_of(shared_runtime, "sides", what_if="io-optimized").other
    assert same.storage_type == "aurora-iopt1"
    optimized = {line.item: line.amount for line in same.lines}
    assert optimized[IO_REQUESTS] == 0


def test_a_bill_is_by_cluster_or_by_the_values_of_a_tag(shared_runtime: Runtime) -> None:
    for name, team in (("red-1", "red"), ("red-2", "red"), ("blue-1", "blue")):
        shared_runtime.create_db_cluster(name, tags=(Tag("team", team),))
    for name in ("red-1", "red-2", "blue-1"):
        wait_until(
            lambda name=name: any(  # type: ignore[misc]
                amounts(each)[STORAGE] for each in shared_runtime.describe_bill(name).entries
            )
        )
    named = {each.name: each for each in shared_runtime.describe_bill().entries}
    assert {"red-1", "red-2", "blue-1"} <= named.keys()
    tagged = {each.name: each for each in shared_runtime.describe_bill(by_tag="team").entries}
    assert {"red", "blue"} <= tagged.keys()
    red = amounts(tagged["red"])[STORAGE]
    parts = sum(
        (amounts(bill_of(shared_runtime, name))[STORAGE] for name in ("red-1", "red-2")), Decimal(0)
    )
    assert 0 < red <= parts


def test_a_restart_of_the_host_forgets_nothing_and_counts_nothing_twice(engine_dir: Path) -> None:
    state = engine_dir / "state"
    with Runtime.open(state, warm_pool_size=0) as runtime:
        write_much(runtime.create_db_cluster("notes"))
        wait_until(lambda: amounts(bill_of(runtime, "notes"))[CAPACITY])
    with Runtime.open(state, warm_pool_size=0) as runtime:
        before = amounts(bill_of(runtime, "notes"))
        assert before[CAPACITY] > 0
        assert before[IO_REQUESTS] > 0
    with Runtime.open(state, warm_pool_size=0) as runtime:
        after = amounts(bill_of(runtime, "notes"))
        assert after[CAPACITY] == before[CAPACITY]
        assert after[IO_REQUESTS] == before[IO_REQUESTS]
        runtime.delete_db_cluster("notes")
        (entry,) = runtime.describe_bill().entries
        assert entry.name == "notes", "who is gone is on the bill of its time"


def test_a_price_list_of_one_s_own_takes_the_place_of_the_release_s(runtime: Runtime) -> None:
    runtime.create_db_cluster("notes")
    own = Path(runtime.describe_host().state_directory) / "prices.json"
    rates = {"acu_hour": "1000", "storage_gib_month": "0", "million_ios": "0"}
    region = {
        "source": "ours",
        "date": "today",
        "checked": True,
        "standard": rates,
        "io_optimized": rates,
        "backup_gib_month": "0",
    }
    listed = {"format": 1, "currency": "EUR", "default_region": "x", "regions": {"x": region}}
    own.write_text(json.dumps(listed))
    bill = wait_until(lambda: (found := runtime.describe_bill()).total and found)
    assert (bill.currency, bill.region, bill.price_source) == ("EUR", "x", "ours")
    own.write_text("{")
    with pytest.raises(InvalidParameterError, match=r"prices\.json is no price list"):
        runtime.describe_bill()


def test_bad_questions_are_refused(shared_runtime: Runtime) -> None:
    with pytest.raises(ClusterNotFoundError):
        shared_runtime.describe_bill("nobody")
    with pytest.raises(InvalidParameterError, match="time zone"):
        shared_runtime.describe_bill(since=datetime(2026, 1, 1))
    with pytest.raises(InvalidParameterError, match="by_tag"):
        shared_runtime.describe_bill(by_tag="")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert shared_runtime.describe_bill(since=tomorrow).entries == ()
