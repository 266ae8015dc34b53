"""The bill as `borealis bill` draws it, and deep pause as `borealis describe` does."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from cluster_runtime import Runtime
from cluster_runtime.serverless.metering.bill import Bill, bill_total, entry
from cluster_runtime.serverless.metering.prices import read_price_list
from cluster_runtime.serverless.metering.usage import Usage
from mcp_server.cli.watching.bill_view import draw
from tests.mcp_server.cli.test_operation_commands import borealis
from tests.waiting import wait_until

__all__ = ["borealis"]


def bill(*used: tuple[str, Usage]) -> Bill:
    prices = read_price_list().of("us-east-1")
    entries = (entry("shop", used, prices),) if used else ()
    return Bill(
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 30, tzinfo=UTC),
        prices.region,
        "USD",
        prices.source,
        prices.date,
        prices.checked,
        entries,
        bill_total(entries),
    )


def drawn(shown: Bill) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(draw(shown))
    found: str = console.file.getvalue()  # type: ignore[attr-defined]
    return found


def test_both_kinds_of_storage_stand_side_by_side_with_advice_and_source() -> None:
    much = Usage(acu_ns=3600 * 10**9, write_ios=50_000_000)
    picture = drawn(bill(("aurora", much)))
    for part in (
        "Standard (now), USD",
        "I/O-Optimized, USD",
        "10.000000",
        "storage type aurora-iopt1",
    ):
        assert part in picture, picture
    assert "Total 10.120000 USD" in picture
    assert "AWS Price List API" in picture


def test_a_cluster_that_changed_its_storage_is_one_table() -> None:
    hour = Usage(acu_ns=3600 * 10**9)
    picture = drawn(bill(("aurora", hour), ("aurora-iopt1", hour)))
    assert "Both in turn (now)" in picture
    assert "0.280000" in picture


def test_nothing_used_is_said() -> None:
    assert "nothing was used since 2026-11-01" in drawn(bill())


def test_the_commands_show_it(borealis: Any) -> None:
    assert borealis("create", "billed")[0] == 0

    def paid() -> Any:
        status, out, err = borealis("bill", "billed", "--json")
        assert status == 0, err
        found = json.loads(out)
        return Decimal(found["total"]) and found

    assert wait_until(paid)["entries"][0]["name"] == "billed"
    status, out, _ = borealis("bill", "--by", "team", "--what-if", "standard")
    assert status == 0
    assert "(untagged)" in out
    assert "Standard" in out
    status, _, err = borealis("bill", "nobody")
    assert status == 1
    assert "nobody" in err
    assert borealis("bill", "--what-if", "cheaper")[0] == 2
    assert borealis("pause", "billed", "--deep")[0] == 0
    described = borealis("describe", "billed")[1]
    assert "MB of the disk" in described
    assert borealis("modify", "billed", "--seconds-until-deep-pause", "60")[0] == 0
    assert borealis("delete", "billed", "--yes")[0] == 0


def test_a_runtime_s_own_bill_is_drawn(runtime: Runtime) -> None:
    assert drawn(runtime.describe_bill())
