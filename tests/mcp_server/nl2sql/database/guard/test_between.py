"""What happens between the check and the answer, and where the tree comes from."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cluster_runtime.engine.access.roles import READER
from mcp_server.nl2sql.database import wire
from mcp_server.nl2sql.database.guard import what_runs
from mcp_server.nl2sql.database.guard.checks import Limits, begin, check, fetch
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.database.steps import run
from mcp_server.nl2sql.errors import ForbiddenError

OPERATORS = """
create schema near; create schema far;
create function far.same(text, text) returns bool language sql immutable return $1 = $2;
create operator far.=== (leftarg = text, rightarg = text, function = far.same);
create function near.same(text, text) returns bool language plpgsql volatile as
  $$ begin perform pg_advisory_lock(1); return true; end $$;
"""
LIAR = """
create function liar() returns int language plpgsql stable as
  $$ declare x int; begin execute 'select 1 from pg_adv' || 'isory_lock(1)' into x; return x; end $$
"""


def test_a_statement_that_is_resolved_anew_is_judged_anew(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute(OPERATORS)
        owner.execute(f"alter database {owner.info.dbname} set search_path = near, far")
        reader, limits = Reader(fresh_dsn), Limits()
        with reader.connect() as conn:
            run(conn, begin(limits))
            checked = run(conn, check("select 'a'::text === 'b'", limits))
            owner.execute(
                "create operator near.=== (leftarg=text, rightarg=text, function=near.same)"
            )
            conn.execute("select count(*) from pg_class")  # hears what others have changed
            with pytest.raises(ForbiddenError, match="something else came of it"):
                run(conn, fetch(checked, limits))
        with reader.connect() as conn, pytest.raises(ForbiddenError, match=r"operator near\.==="):
            run(conn, reader.steps("select 'a'::text === 'b'"))


def test_a_table_that_is_read_cannot_change_between_check_and_answer(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute("create view v as select 1 as x; set lock_timeout = '100ms'")
        reader, limits = Reader(fresh_dsn), Limits()
        with reader.connect() as conn:
            run(conn, begin(limits))
            checked = run(conn, check("select x from v", limits))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                owner.execute("create or replace view v as select pg_advisory_lock(1) is null as y")
            assert run(conn, fetch(checked, limits)).rows == [(1,)]


def test_what_a_body_did_in_a_string_is_told_before_its_rows_are(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute(LIAR)
    with pytest.raises(ForbiddenError, match=r"something else came of it.*pg_advisory_lock"):
        Reader(fresh_dsn).query("select liar()")


def test_bodies_that_only_read_are_no_surprise(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute(
            "create function busy(n int) returns int language plpgsql stable as $$ declare t int; "
            "begin for i in 1..n loop t := coalesce(t, 0) + i; end loop; "
            "select t + count(*) into t from pg_class where relname = 'x'; return t; end $$"
        )
    assert Reader(fresh_dsn).query("select busy(3), busy(4)").rows == [(6, 10)]
    many = Reader(fresh_dsn, limits=Limits(rows=2)).query(
        "select busy(i) from generate_series(1,9) i"
    )
    assert (len(many.rows), many.truncated) == (2, True)


def test_without_a_printed_tree_nothing_runs(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_runs, "PRINT", "set local debug_print_rewritten = off")
    with pytest.raises(ForbiddenError, match="did not print"):
        Reader(fresh_dsn).query("select 1")


def test_a_notice_of_somebody_elses_is_no_tree(fresh_dsn: str) -> None:
    forged = (
        "do $$ begin raise log using message = 'rewritten parse tree:', "
        "detail = '({QUERY :commandType 1})'; end $$"
    )
    with psycopg.connect(fresh_dsn, autocommit=True) as conn, wire.printed_trees(conn) as trees:
        conn.execute("set client_min_messages = log")
        conn.execute(forged.encode())
        assert trees.take() == ()
        conn.execute("set debug_print_rewritten = on")
        conn.execute("select 1")
        assert len(trees.take()) == 1


@pytest.mark.parametrize(
    "setting",
    [
        "client_min_messages = 'error'",
        "debug_pretty_print = on",
        "debug_print_parse = on",
        "debug_print_plan = on",
        "standard_conforming_strings = off",
        "check_function_bodies = off",
        "default_transaction_read_only = off",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "client_encoding = 'latin1'",
        "plan_cache_mode = 'force_generic_plan'",
        "search_path = trap, public",
    ],
)
def test_what_the_owner_sets_for_the_database_does_not_blind_the_guard(
    fresh_dsn: str, setting: str
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute(
            "create schema trap; create domain trap.oid as text; create domain trap.text as int; "
            "create function trap.lies(oid, oid) returns bool language plpgsql immutable as "
            "$$ begin return false; end $$; "
            "create operator trap.= (leftarg = oid, rightarg = oid, function = trap.lies); "
            "create table t (x int); insert into t values (7)"
        )
        owner.execute(f"alter database {owner.info.dbname} set {setting}".encode())
    reader = Reader(fresh_dsn)
    assert reader.query("select x, 'é\\' as s from public.t").rows == [(7, "é\\")]
    for sql in ("select (1::float8).pg_sleep", "select pg_advisory_lock(1) from public.t"):
        with pytest.raises(ForbiddenError, match="VOLATILE"):
            reader.query(sql)


def test_what_the_reading_role_asks_is_not_in_the_servers_log(fresh_dsn: str) -> None:
    as_reader = Reader(make_conninfo(fresh_dsn, user=READER))
    assert as_reader.query("show log_min_messages").rows == [("fatal",)]
    with as_reader.connect() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("set log_min_messages = debug5")
