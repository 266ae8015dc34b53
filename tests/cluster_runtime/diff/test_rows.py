"""Rows of real databases: every type, with keys and without, and tables that are hostile."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster_runtime.diff.data import reading, tables
from cluster_runtime.diff.data.reading import compare_rows
from cluster_runtime.diff.results import RowChange, TableDiff
from cluster_runtime.diff.session import Sides
from cluster_runtime.errors import InvalidParameterError
from tests.cluster_runtime.diff.conftest import Pair, both, run


def diffs(pair: Pair, *only: str, rows: int = 50) -> dict[str, TableDiff]:
    with both(pair) as (source, target):
        found, _ = compare_rows(source, target, only, rows)
    return {each.name: each for each in found}


def counts(diff: TableDiff) -> tuple[int, int, int]:
    return diff.added, diff.removed, diff.changed


def test_rows_are_told_by_their_key(pair: Pair) -> None:
    for dsn in pair:
        run(
            dsn,
            "create table t (id int primary key, name text);"
            "insert into t select n, 'row ' || n from generate_series(1, 5) n",
        )
    run(
        pair[1],
        "update t set name = null where id = 2; delete from t where id = 4;"
        "insert into t values (10, '')",
    )
    found = diffs(pair)["public.t"]
    assert (found.columns, found.key) == (("id", "name"), ("id",))
    assert (found.source_rows, found.target_rows) == (5, 5)
    assert counts(found) == (1, 1, 1)
    assert found.rows == (
        RowChange("changed", ("2",), ("2", "row 2"), ("2", None)),
        RowChange("removed", ("4",), ("4", "row 4"), None),
        RowChange("added", ("10",), None, ("10", "")),
    )


TYPES = {
    "numeric": ("'NaN'", "'Infinity'"),
    "float8": ("'NaN'", "'-0'"),
    "float4": ("0.1", "0.10000001"),
    "json": ("'{\"a\": 1}'", "'{\"a\":  1}'"),
    "jsonb": ("'{\"a\": [1, null]}'", "'{\"a\": [1]}'"),
    "int[]": ("'{1,null,3}'", "'{1,3}'"),
    "text[]": ("'{a,b}'", "array['a,b']"),
    "bytea": (r"'\x00ff'", r"'\x00fe'"),
    "text": ("repeat('x', 3000000)", "repeat('x', 2999999) || 'y'"),
    "bool": ("true", "null"),
    "timestamptz": ("'2026-01-01 00:00+00'", "'infinity'"),
    "date": ("'2026-01-01'", "'0044-03-15 BC'"),
    "interval": ("'1 day'", "'24 hours'"),
    "uuid": ("gen_random_uuid()", "gen_random_uuid()"),
    "money": ("'1.50'", "'1.51'"),
    "inet": ("'::1'", "'127.0.0.1'"),
    "bit(3)": ("B'101'", "B'100'"),
    "int4range": ("'[1,2)'", "'empty'"),
    "tsvector": ("'a b'", "'a c'"),
    "point": ("'(1,2)'", "'(2,1)'"),
    "mood": ("'sad'", "'glad'"),
    "pair": ("row(null, null)", "null"),
    "positive": ("1", "2"),
    "vector(3)": ("'[1,2,3]'", "'[1,2,4]'"),
}


def test_values_of_every_type_are_told_apart(pair: Pair) -> None:
    for place, dsn in enumerate(pair):
        run(
            dsn,
            "create type mood as enum ('sad', 'glad'); create type pair as (a int, b int);"
            "create domain positive as int check (value > 0);"
            + "".join(
                f'create table "same {kind}" (id int primary key, v {kind});'
                f'insert into "same {kind}" values (1, {values[0]}), (2, null);'
                f'create table "differs {kind}" (id int primary key, v {kind});'
                f'insert into "differs {kind}" values (1, {values[place]}), (2, null);'
                f'create table "bare {kind}" (v {kind});'
                f'insert into "bare {kind}" values ({values[place]}), (null), (null);'
                for kind, values in TYPES.items()
            ),
        )
    found = diffs(pair)
    for kind in TYPES:
        same = (0, 0, 1) if kind == "uuid" else (0, 0, 0)
        assert counts(found[f'public."same {kind}"']) == same, kind
        assert counts(found[f'public."differs {kind}"']) == (0, 0, 1), kind
        assert counts(found[f'public."bare {kind}"']) == (1, 1, 0), kind
    shown = found['public."differs text"'].rows[0].target
    assert shown is not None
    assert shown[1] == "x" * 1000 + "…"
    (row,) = found['public."differs pair"'].rows
    assert (row.source, row.target) == (("1", "(,)"), ("1", None))


def test_rows_without_a_key_are_counted_with_their_duplicates(pair: Pair) -> None:
    run(
        pair[0], "create table t (a int, b text); insert into t values (1, 'x'), (1, 'x'), (2, 'y')"
    )
    run(
        pair[1], "create table t (a int, b text); insert into t values (1, 'x'), (3, 'z'), (3, 'z')"
    )
    found = diffs(pair)["public.t"]
    assert found.key == ()
    assert counts(found) == (2, 2, 0)
    assert sorted((row.change, row.source or row.target) for row in found.rows) == [
        ("added", ("3", "z")),
        ("added", ("3", "z")),
        ("removed", ("1", "x")),
        ("removed", ("2", "y")),
    ]


def test_a_limit_bounds_the_rows_and_not_the_counts(pair: Pair) -> None:
    for dsn in pair:
        run(dsn, "create table t (id int primary key, v int); create table gone (a int)")
    run(pair[0], "insert into t select n, n from generate_series(1, 3000) n")
    run(
        pair[1],
        "insert into t select n, -n from generate_series(1001, 4000) n; drop table gone;"
        "create table new (a int); insert into new select generate_series(1, 70)",
    )
    found = diffs(pair, rows=7)
    assert counts(found["public.t"]) == (1000, 1000, 2000)
    assert len(found["public.t"].rows) == 7
    assert counts(found["public.new"]) == (70, 0, 0)
    assert (found["public.new"].source_rows, found["public.new"].target_rows) == (None, 70)
    assert len(found["public.new"].rows) == 7
    assert (found["public.gone"].source_rows, counts(found["public.gone"])) == (0, (0, 0, 0))
    assert diffs(pair, "public.t", rows=0)["public.t"].rows == ()
    with pytest.raises(InvalidParameterError, match=r"public\.nothing"):
        diffs(pair, "public.nothing")


KEYS = {
    "int4": "{n}",
    "int8": "{n}::int8 * 1000000007",
    "int2": "{n}",
    "float8": "{n} / 7.0",
    "uuid": "md5('{n}')::uuid",
    "date": "date '2000-01-01' + {n}",
    "timestamp": "timestamp '2000-01-01' + {n} * interval '1 hour'",
    "timestamptz": "timestamptz '2000-01-01' + {n} * interval '1 hour'",
    "text": "'k{n}'",
    "numeric": "{n}.50",
}


@pytest.fixture(scope="session")
def numbered(lasting_pair: Pair) -> Pair:
    for dsn in lasting_pair:
        run(
            dsn,
            "create schema keyed;"
            + "".join(
                f"create table keyed.by_{kind} (k {kind}, part int, v int, primary key (k, part));"
                for kind in KEYS
            ),
        )
    return lasting_pair


@pytest.mark.parametrize("kind", KEYS)
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    source=st.dictionaries(st.integers(0, 90), st.integers(0, 2)),
    target=st.dictionaries(st.integers(0, 90), st.integers(0, 2)),
)
def test_every_row_is_found_whatever_its_bucket(
    kind: str,
    source: dict[int, int],
    target: dict[int, int],
    numbered: Pair,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "range_count", lambda pages: 8)
    for dsn, rows in zip(numbered, (source, target), strict=True):
        values = ", ".join(
            f"({KEYS[kind].format(n=number)}, {number % 3}, {value})"
            for number, value in rows.items()
        )
        run(
            dsn,
            f"truncate keyed.by_{kind};"
            + (f"insert into keyed.by_{kind} values {values}" * bool(rows)),
        )
    found = diffs(numbered, f"keyed.by_{kind}")[f"keyed.by_{kind}"]
    assert (found.source_rows, found.target_rows) == (len(source), len(target))
    assert counts(found) == (
        len(target.keys() - source.keys()),
        len(source.keys() - target.keys()),
        sum(source[key] != target[key] for key in source.keys() & target.keys()),
    )
    assert len(found.rows) == min(50, sum(counts(found)))


def test_partitions_children_and_generated_columns(pair: Pair) -> None:
    for place, dsn in enumerate(pair):
        run(
            dsn,
            "create table p (id int primary key, v int) partition by range (id);"
            "create table p1 partition of p for values from (0) to (10);"
            "create table p2 partition of p for values from (10) to (20);"
            f"insert into p values (1, 1), (2, {place}), (11, 1), (12, {place});"
            "create table parent (id int primary key); create table child () inherits (parent);"
            f"insert into child values ({place});"
            "create table g (a int primary key, b int generated always as (a * 2) stored);"
            f"insert into g values ({place})",
        )
    found = diffs(pair)
    assert found.keys() == {"public.p", "public.parent", "public.child", "public.g"}
    assert counts(found["public.p"]) == (0, 0, 2)
    assert [row.key for row in found["public.p"].rows] == [("2",), ("12",)]
    assert counts(found["public.parent"]) == (0, 0, 0)
    assert counts(found["public.child"]) == (1, 1, 0)
    assert found["public.g"].rows[0].source == ("0", "0")


def test_columns_of_one_side_are_named_and_the_others_compared(pair: Pair) -> None:
    run(pair[0], "create table t (id int primary key, a int); insert into t values (1, 1)")
    run(
        pair[1], "create table t (id int primary key, b int, a int); insert into t values (1, 2, 3)"
    )
    found = diffs(pair)["public.t"]
    assert (found.columns, counts(found)) == (("id", "a"), (0, 0, 1))
    assert found.not_compared == "columns: the target alone has b"


def test_sequences_that_stand_elsewhere(pair: Pair) -> None:
    for dsn in pair:
        run(dsn, "create sequence a; create sequence b; select nextval('b')")
    run(pair[1], "select nextval('a'); select nextval('a'); select nextval('b')")
    with both(pair) as (source, target):
        _, sequences = compare_rows(source, target, (), 10)
    assert [(each.name, each.source, each.target) for each in sequences] == [
        ("public.a", None, 2),
        ("public.b", 1, 2),
    ]


STANDS = "select last_value, log_cnt from {}"


def sequence_diffs(pair: Pair) -> dict[str, tuple[int | None, int | None]]:
    with both(pair) as (source, target):
        _, sequences = compare_rows(source, target, (), 10)
    return {each.name: (each.source, each.target) for each in sequences}


def test_a_sequence_of_a_copy_by_the_log_begins_ahead_which_is_no_difference(pair: Pair) -> None:
    """What replay of the log makes of a sequence is what `setval` to its last logged value does."""
    for dsn in pair:
        run(dsn, "create sequence a; create sequence d increment -5; create sequence gone")
    run(pair[0], "select nextval('a'); select nextval('d'), nextval('d'); select nextval('gone')")
    with psycopg.connect(pair[0]) as conn:
        assert conn.execute(STANDS.format("a")).fetchone() == (1, 32)
        assert conn.execute(STANDS.format("d")).fetchone() == (-6, 31)
    run(pair[1], "select setval('a', 33); select setval('d', -161)")
    assert sequence_diffs(pair) == {"public.gone": (1, None)}
    run(pair[0], "select nextval('a')")
    assert sequence_diffs(pair) == {"public.gone": (1, None)}, "which the copy's first is beyond"
    run(pair[1], "select nextval('d')")
    assert sequence_diffs(pair) == {"public.d": (-6, -166), "public.gone": (1, None)}
    assert sequence_diffs((pair[1], pair[0]))["public.d"] == (-166, -6)


def test_a_name_that_has_to_be_quoted_is_that_of_the_sequence(pair: Pair) -> None:
    for dsn in pair:
        run(dsn, 'create sequence "A ""b"; select nextval(\'"A ""b"\')')
    run(pair[1], 'select setval(\'"A ""b"\', 33)')
    assert sequence_diffs(pair) == {}


# A tenant who may create anything, and wants something of his run, or a difference overlooked.

REACHED = """
create schema evil;
create function evil.reached() returns text language plpgsql as
    $$ begin raise exception 'reached'; end $$;
"""
HOSTILE = {
    "names on the search path of the database": REACHED
    + """
create function evil.format(text, record) returns text language plpgsql as
    $$ begin return 'same'; end $$;
create function evil.md5(text) returns text language sql as 'select ''same''';
create operator evil.|| (function = textcat, leftarg = text, rightarg = text);
do $$ begin execute format('alter database %I set search_path = evil, pg_catalog, public',
                           current_database()); end $$;
create table t (id int primary key, v text);
""",
    "a cast of its own type to text": REACHED
    + """
create type mood as enum ('a', 'b');
create function evil.say(mood) returns text language sql as 'select evil.reached()';
create cast (mood as text) with function evil.say(mood) as implicit;
create table t (id int primary key, v text, m mood default 'a');
create function evil.say(t) returns text language sql as 'select evil.reached()';
create cast (t as text) with function evil.say(t) as implicit;
create function evil.say_json(t) returns json language sql as 'select evil.reached()::json';
create cast (t as json) with function evil.say_json(t) as implicit;
""",
    "an index on an expression that changes the search path": REACHED
    + """
create function evil.md5(text) returns text language sql as 'select ''same''';
create function evil.turn() returns int immutable language plpgsql as
    $$ begin perform set_config('search_path', 'evil, pg_catalog', false); return 1; end $$;
create table t (id int primary key, v text);
create index on t ((id + evil.turn()));
""",
    "a check with a function": REACHED
    + """
create function evil.check(int) returns bool language plpgsql as
    $$ begin if pg_trigger_depth() = 0 and current_setting('transaction_read_only') = 'on'
       then raise exception 'reached'; end if; return true; end $$;
create domain odd as int check (evil.check(value));
create table t (id odd primary key, v text check (evil.check(1)));
""",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_a_tenant_s_decides_what_is_found(name: str, pair: Pair) -> None:
    for place, dsn in enumerate(pair):
        run(dsn, HOSTILE[name] + f"insert into public.t (id, v) values (1, 'a'), (2, 'b{place}')")
    found = diffs(pair)["public.t"]
    assert counts(found) == (0, 0, 1)
    assert found.rows[0].key == ("2",)


def test_a_table_with_row_security_is_not_half_compared(pair: Pair) -> None:
    for dsn in pair:
        run(
            dsn,
            "create table t (id int primary key); insert into t values (1);"
            "create table open (id int primary key); insert into open values (1);"
            "alter table t enable row level security; alter table t force row level security;"
            "create policy p on t using (1 / 0 = 1)",
        )
    run(pair[1], "insert into open values (2)")
    found = diffs(pair)
    assert "row security" in found["public.t"].not_compared
    assert found["public.t"].differs
    assert counts(found["public.open"]) == (1, 0, 0)


def test_a_session_writes_nothing_and_says_who_it_is(pair: Pair) -> None:
    with both(pair) as (source, _):
        row = source.conn.execute(
            "select current_setting('transaction_read_only'), current_setting('search_path'),"
            " current_setting('transaction_isolation'), current_setting('row_security'),"
            " current_setting('restrict_nonsystem_relation_kind'), current_user::text, rolsuper"
            " from pg_roles where rolname = current_user"
        ).fetchone()
        assert row == (
            *("on", "pg_catalog, pg_temp", "repeatable read", "off", "view,foreign-table"),
            *("postgres", False),
        )
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            source.conn.execute("create table t ()")


def test_a_table_that_becomes_a_view_meanwhile_is_not_evaluated(pair: Pair) -> None:
    for dsn in pair:
        run(dsn, REACHED + "create table t (id int primary key); create table u (id int);")
    with both(pair) as (source, target):
        ours, theirs = reading._tables(source), reading._tables(target)
        run(pair[1], "drop table t; create view t as select 1 as id where evil.reached() = ''")
        (found,) = with_facts(source, target, ours, theirs, "public.t")
    assert "refused" in found.not_compared


def with_facts(
    source: Any, target: Any, ours: dict[str, Any], theirs: dict[str, Any], name: str
) -> list[TableDiff]:
    """Compare a table by what was read of it before."""
    return [reading._compare(Sides(source, target), ours[name], theirs[name], 10, None)]


def test_as_many_ranges_as_the_table_is_large() -> None:
    assert tables.range_count(1000) == 50
