"""What rows of the catalog mean, without a database."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.advice import findings
from mcp_server.advice.findings import HIDDEN, Index, statement
from mcp_server.advice.plans import plan_of

ONE = Index(
    table_oid=1,
    schema="public",
    table="t",
    index="one",
    method="btree",
    columns=[1],
    keys=1,
    classes="{1978} {0}",
    options=[0],
    expressions="",
    predicate="",
    is_unique=False,
    valid=True,
    needed=False,
    of_partition=False,
    partitioned=False,
    bytes=1024**2,
    scans=0,
    table_is_read=True,
)
TWO = replace(ONE, index="two", columns=[1, 2], keys=2, classes="{1978,1978} {0,0}", options=[0, 0])


def gone(*indexes: Index) -> list[str]:
    return [each.of for each in findings.duplicates(indexes)]


def test_of_two_alike_one_goes_and_a_prefix_goes_before_the_longer() -> None:
    assert gone(ONE, replace(ONE, index="same")) == ["public.one"]
    assert gone(ONE, TWO) == ["public.one"]
    assert gone(replace(ONE, columns=[2]), TWO) == []


@pytest.mark.parametrize(
    "change",
    [
        {"predicate": "x"},
        {"expressions": "x"},
        {"method": "hash"},
        {"classes": "{1979} {0}"},
        {"classes": "{1978} {100}"},
        {"options": [3]},
        {"table_oid": 2},
        {"valid": False},
        {"needed": True},
        {"is_unique": True},
        {"of_partition": True},
        {"columns": [1, 5]},
    ],
)
def test_an_index_that_does_more_or_other_work_stays(change: dict[str, Any]) -> None:
    assert gone(replace(ONE, **change), TWO) == []


def test_a_unique_index_goes_only_where_another_one_is_as_unique() -> None:
    unique = replace(ONE, is_unique=True)
    assert gone(unique, replace(unique, index="same", needed=True)) == ["public.one"]
    assert gone(unique, replace(TWO, is_unique=True)) == []


@given(st.lists(st.sampled_from([ONE, TWO]), min_size=1, max_size=6))
def test_what_goes_is_always_done_by_one_that_stays(kinds: list[Index]) -> None:
    indexes = [replace(each, index=f"i{number}") for number, each in enumerate(kinds)]
    dropped = set(gone(*indexes))
    stay = [each for each in indexes if each.name not in dropped]
    for each in indexes:
        assert each in stay or any(other.does_for(each) for other in stay)


def test_a_statement_with_a_password_is_not_told() -> None:
    assert statement("alter role x PASSWORD 'abc'") == HIDDEN
    assert statement("select\n  1") == "select 1"
    row = {
        "hidden": False,
        "queryid": 1,
        "query": "create user x password 'abc'",
        "calls": 9,
        "mean_ms": 900.0,
        "max_ms": 901.0,
        "share": 0.9,
    }
    (found,) = findings.slow([row])
    assert "abc" not in found.mend
    assert list(findings.slow([row | {"mean_ms": 1.0, "share": 0.1}])) == []
    assert list(findings.slow([row | {"hidden": True}])) == []


def test_a_table_that_autovacuum_left_is_to_be_frozen() -> None:
    row = {
        "schema": "S",
        "table": "t",
        "age": 900_000_000,
        "multixact_age": 5,
        "frozen_at": 200_000_000,
        "multixact_frozen_at": 400_000_000,
    }
    (found,) = findings.wraparound([row, row | {"age": 210_000_000}])
    assert found.mend == 'vacuum (freeze) "S".t'
    (found,) = findings.wraparound([row | {"age": 1, "multixact_age": 900_000_000}])
    assert "multixact id is 900,000,000 old" in found.says


def test_a_cache_that_misses_is_told_and_a_small_number_of_reads_is_not() -> None:
    low = {"hit": 50_000, "read": 50_000, "since": None}
    (found,) = findings.cache([low, {"hit": 99_999, "read": 1}, {"hit": 1, "read": 99}])
    assert found.says.startswith("50.0% of 100,000")


def test_of_waiting_sessions_the_one_that_waits_for_nobody_is_to_be_ended() -> None:
    row = {
        "pid": 1,
        "blocker": 2,
        "waits_seconds": None,
        "waiting_user": None,
        "waiting_query": None,
        "holding_user": "ada",
        "holding_state": "idle in transaction",
        "holding_query": "select 1",
        "blocker_waits": True,
    }
    first, second = findings.locks([row, row | {"blocker": 3, "blocker_waits": False}])
    assert "pg_terminate_backend" not in first.mend
    assert second.mend == "select pg_terminate_backend(3)"


def test_a_plan_is_told_in_lines_with_what_is_remarkable() -> None:
    scan = {
        "Node Type": "Seq Scan",
        "Relation Name": "orders",
        "Alias": "o",
        "Total Cost": 10.0,
        "Plan Rows": 1,
        "Actual Rows": 50.0,
        "Actual Loops": 2,
        "Actual Total Time": 1.5,
        "Filter": "(x = 1)",
        "Rows Removed by Filter": 90_000,
    }
    sort = {"Node Type": "Sort", "Sort Key": ["x"], "Sort Space Type": "Disk", "Plans": [scan]}
    plan = plan_of([{"Plan": sort, "Execution Time": 3.5}])
    assert plan.lines[1].startswith(
        "  Seq Scan on orders o; cost=10 rows=1; actual rows=100 ms=3.0"
    )
    assert plan.execution_ms == 3.5
    assert [each.split(":")[0] for each in plan.remarks] == [
        "Sort sorts 0 kB on disk",
        "Seq Scan on orders o reads 180100 rows and keeps 100",
    ]
    assert len(plan_of([{"Plan": sort | {"Plans": [scan] * 500}}]).lines) == 201
