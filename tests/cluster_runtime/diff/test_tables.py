"""Which columns are compared, by which key, and in which buckets."""

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.diff.data.tables import (
    Bucket,
    ColumnFacts,
    TableFacts,
    comparison,
    differing,
    range_count,
    runs,
    sampled_percent,
)


def table(columns: dict[str, str | None], *keys: tuple[str, ...]) -> TableFacts:
    facts = tuple(ColumnFacts(name, kind) for name, kind in columns.items())
    return TableFacts("public.t", "public", "t", False, facts, keys, 100, ((1, 1),), None)


def test_ranges_of_the_first_key_column_where_they_are_quick_to_find() -> None:
    number, text = table({"id": "int8"}, ("id",)), table({"id": "text"}, ("id",))
    assert comparison(number, number).ranged_by == "int8"
    assert comparison(text, text).ranged_by is None
    assert comparison(number, table({"id": "int4"}, ("id",))).ranged_by is None
    assert comparison(number, table({"id": "int8"})).ranged_by is None


def test_the_key_is_one_that_both_sides_have() -> None:
    ours = table({"a": "int4", "b": "int4", "c": "int4"}, ("a",), ("b", "c"))
    theirs = table({"a": "int4", "b": "int4", "c": "int4"}, ("c", "b"))
    assert comparison(ours, theirs).key == ("b", "c")
    assert comparison(ours, table({"a": "int4"})).key == ()


def test_columns_of_one_side_alone_are_named() -> None:
    plan = comparison(table({"b": None, "a": None}), table({"a": None, "b": None, "c": None}))
    assert plan.columns == ("b", "a")
    assert plan.left_out == "columns: the target alone has c"


@given(st.sets(st.integers(0, 30)), st.integers(0, 30))
def test_runs_cover_exactly_the_ranges_that_were_asked_for(buckets: set[int], bounds: int) -> None:
    asked = sorted(each for each in buckets if each <= bounds)
    covered = [
        bucket
        for run in runs(asked, bounds)
        for bucket in range(
            0 if run.low is None else run.low + 1, bounds + 1 if run.high is None else run.high + 1
        )
    ]
    assert covered == asked


def test_only_buckets_with_other_sums_are_looked_into() -> None:
    ours = {1: Bucket(2, 10), 2: Bucket(2, 10), 3: Bucket(1, 5)}
    theirs = {1: Bucket(2, 10), 2: Bucket(3, 10), 4: Bucket(1, 5)}
    assert differing(ours, theirs) == (2, 3, 4)


def test_a_small_table_is_one_range_and_a_large_one_is_sampled() -> None:
    assert range_count(1) == 1
    assert sampled_percent(1) == 100
    assert range_count(10**9) == 8192
    assert 0 < sampled_percent(10**9) < 0.001
