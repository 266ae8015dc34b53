"""Which SQL waits for a confirmation. Pure: nothing is run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.errors import SqlRefusedError
from mcp_server.safety.destructive import destroys_in_body, judge

DESTROYS = [
    ("drop table t", "DROP TABLE t"),
    ('/* x */ DROP TABLE IF EXISTS sales."Order"', 'DROP TABLE sales."Order"'),
    ("drop materialized view v", "DROP MATERIALIZED VIEW v"),
    ("drop index concurrently if exists i", "DROP INDEX i"),
    ("drop owned by somebody", "DROP OWNED"),
    ("drop database d", "DROP DATABASE d"),
    ("truncate t, u", "TRUNCATE t"),
    ("truncate table only t cascade", "TRUNCATE TABLE t"),
    ("delete from t", "DELETE of t without WHERE"),
    ("DELETE FROM ONLY s.t AS x USING u RETURNING *", "DELETE of s.t without WHERE"),
    ("delete from t where true", "the same for every row"),
    ("delete from t where (1 = 1) returning id", "the same for every row"),
    ("update t set a = (select max(b) from u where u.id = 1)", "UPDATE of t without WHERE"),
    ("update only t as x set a = 1 from u", "without WHERE"),
    ("update set set x = 1", "UPDATE of set without WHERE"),
    ("with d as (delete from t returning *) select * from d where id = 1", "DELETE of t"),
    ("with d as materialized (delete from t) select 1", "DELETE of t"),
    ("with a as (select 1) delete from t", "DELETE of t"),
    ("with recursive a as (select 1) search depth first by x set o update t set x = 1", "UPDATE"),
    ("insert into u with d as (delete from t returning *) select * from d", "DELETE of t"),
    ("create table u as with d as (delete from t returning *) select * from d", "DELETE of t"),
    ("copy (delete from t returning *) to stdout", "DELETE of t"),
    ("explain analyze delete from t", "DELETE of t"),
    ("explain (analyze, buffers) update t set a = 1", "UPDATE of t"),
    ("merge into t using s on t.id = s.id when matched then delete", "MERGE of t"),
    ("alter table t drop column a", "ALTER TABLE t ... DROP"),
    ("alter table t alter a type int using 0", "TYPE ... USING"),
    ("alter domain d drop constraint c", "ALTER DOMAIN d ... DROP"),
    ("do $$ begin end $$", "DO, a block"),
    ("do language plpgsql 'begin end'", "DO, a block"),
    ("call tidy(1)", "CALL tidy"),
    ("execute p(1)", "EXECUTE p"),
    ("create table x as execute p", "EXECUTE p"),
    ("explain analyze execute p", "EXECUTE p"),
    ("prepare p as delete from t", "DELETE of t"),
    ("select lo_unlink(7)", "lo_unlink()"),
    ("select pg_catalog . lo_unlink /* x */ (7)", "lo_unlink()"),
    ("select 1; ; insert into t values (1); drop table t", "statement 3: DROP TABLE t"),
    ("begin; delete from t; commit", "statement 2: DELETE of t"),
]
SPARES = [
    "select 1",
    "select 'drop table t; delete from t'",
    "select $$drop table t$$ as drop",
    'select "drop" from "truncate" -- delete from t',
    "create table t (id int primary key, a int references u on delete cascade on update set null)",
    "alter table t add foreign key (a) references u on update set null on delete set default",
    "insert into t values (1) on conflict (id) do update set a = excluded.a",
    "merge into t using s on t.id = s.id when matched then update set a = 1",
    "delete from t where id = 1",
    'delete from t where "id" = 1',
    "delete from t where (id) in (select id from u)",
    "update t set a = 1 where id = $1",
    "update t set a = 1 where current of c",
    "with d as (delete from t where id = 1 returning *) select * from d",
    "select * from t for update",
    "select * from t for no key update of t",
    "create function f() returns void language sql as 'delete from t'",
    "create or replace procedure p() language sql begin atomic delete from t; end",
    "create rule r as on insert to t do instead delete from t",
    "create trigger g after update or delete on t execute function f()",
    "create constraint trigger g after delete on t for each row execute function f()",
    "grant delete, update, truncate on t to somebody",
    "revoke execute on function f from public",
    "explain delete from t",
    "explain (costs) update t set a = 1",
    "prepare p as select 1; execute p",
    "alter table t add column a int",
    "alter table t alter a type bigint",
    "alter type colour add value 'red'",
    "comment on table t is 'drop it'",
    "vacuum t",
    "",
]


@pytest.mark.parametrize(("sql", "said"), DESTROYS)
def test_what_destroys_is_named(sql: str, said: str) -> None:
    assert any(said in reason for reason in judge(sql).reasons), judge(sql)


@pytest.mark.parametrize("sql", SPARES)
def test_what_destroys_nothing_is_not_asked_about(sql: str) -> None:
    assert judge(sql).reasons == ()


@given(
    st.sampled_from([sql for sql, _ in DESTROYS]),
    st.lists(st.sampled_from([*(s for s in SPARES if "execute" not in s)]), max_size=3),
    st.sampled_from([" ", "\n", " /* ; */ ", " -- drop\n"]),
    st.booleans(),
)
def test_a_destroying_statement_is_found_between_others_however_it_is_spelled(
    sql: str, others: list[str], blank: str, upper: bool
) -> None:
    spelled = sql if "$$" in sql or "'" in sql or '"' in sql else sql.replace(" ", blank)
    if upper and '"' not in spelled:
        spelled = spelled.upper()
    others = [each.partition(" -- ")[0] for each in others]
    assert judge("; ".join([*others, spelled, *others])).reasons


def test_many_reasons_are_counted() -> None:
    reasons = judge("; ".join(["drop table t"] * 30)).reasons
    assert len(reasons) == 21
    assert reasons[-1] == "and 10 more"


def test_names_that_may_be_calls_are_told() -> None:
    assert {"tidy", "Wipe it"} <= judge('select tidy(1), s."Wipe it" (2), x from t').calls


def test_sql_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(SqlRefusedError, match="cannot be read"):
        judge("delete from t where a = 'x")


@pytest.mark.parametrize(
    ("source", "destroys"),
    [
        ("begin delete from t; end", True),
        ("begin perform 1; truncate t; end", True),
        ("begin execute 'sel' || 'ect 1'; end", True),
        ("begin call other(); end", True),
        ("select lo_unlink(1)", True),
        ("not 'closed", True),
        ("begin insert into t values (1); return 1; end", False),
        ("declare n int; begin delete from t where id = n; end", False),
        ("select 'drop table t'", False),
    ],
)
def test_a_body_is_judged_by_its_words(source: str, destroys: bool) -> None:
    assert destroys_in_body(source) is destroys


@pytest.mark.parametrize(
    ("sql", "calls"),
    [
        ("insert into t values (1), (2)", set()),
        ("insert into t (a, b) values (1, 2) on conflict (a) do nothing", set()),
        ("select x from t where x in (1, 2) and (y or not (z))", set()),
        ("create table t (a int check (a > 0), primary key (a))", set()),
        ("insert into t values (gone(1))", {"gone"}),
        ('select "values"(1)', {"values"}),
        ("insert into t select left(a, 1) from f(2)", {"left", "f"}),
    ],
)
def test_what_is_no_call_is_not_looked_up(sql: str, calls: set[str]) -> None:
    assert calls <= judge(sql).calls <= calls | {"t", "key", "conflict"}


@pytest.mark.parametrize(
    "sql",
    [
        # A string in escapes goes on behind a line break as it began.
        "select E'a'\n'\\' , '; drop table t; --'",
        "select e'a' -- so far\n  '\\' , '; drop table t; --'",
        "explain analyze delete from orders as declare",
        "explain (analyze) with gone as (delete from t returning 1) select 1 as execute from gone",
        "create materialized view m as select lo_unlink(7)",
        "delete from t where $1",
        "update t set a = 0 where 1 = $1",
        "select pg_drop_replication_slot('s')",
        "create function wipe() returns void language sql as $$ delete from t $$; select wipe()",
        "create function wipe(x int) returns void begin atomic select 1 as case; end; drop table t",
    ],
)
def test_nothing_hides_what_destroys(sql: str) -> None:
    assert judge(sql).reasons


@pytest.mark.parametrize(
    "body",
    [
        "begin if true then update t set x = 0; end if; end",
        "begin for r in delete from t returning * loop update u set a = 1 where b = 2; end loop; "
        "end",
    ],
)
def test_a_block_is_no_merge(body: str) -> None:
    assert destroys_in_body(body)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t values (1) on conflict (a) do update set b = 2",
        "merge into t using s on t.a = s.a when matched then update set b = 2",
        "explain analyze select 1",
        "explain analyze update t set a = 1 where b = 2",
        "create function keep() returns int language sql as $$ select 1 $$; select other()",
    ],
)
def test_what_spares_rows_is_not_held_up(sql: str) -> None:
    assert judge(sql).reasons == ()
