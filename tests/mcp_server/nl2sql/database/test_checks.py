"""The guard against a real server: what reads passes, what does anything else does not."""

from pathlib import Path

import psycopg
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from cluster_runtime.engine.access.roles import SUPERUSER
from mcp_server.nl2sql.database import postgres_lexer
from mcp_server.nl2sql.database.guard import checks
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.database.steps import run
from mcp_server.nl2sql.errors import (
    ForbiddenError,
    InvalidQueryError,
    InvalidSyntaxError,
    QueryTimeoutError,
    RefusedError,
    TooExpensiveError,
    UnknownNameError,
)
from tests.examples import examples
from tests.mcp_server.nl2sql.conftest import filled

SCHEMA = """
create table sailor (id int primary key, name text not null, age int, country text);
create table voyage (
  id int primary key, sailor_id int references sailor, year int, "Venue Name" text);
create view adults as select * from sailor where age >= 18;
create sequence counter;
insert into sailor
  select i, 'sailor ' || i, 15 + i, case when i % 2 = 0 then 'France' else 'Chad' end
  from generate_series(1, 50) i;
insert into voyage select i, 1 + i % 20, 2000 + i % 10, 'hall ' || i from generate_series(1, 90) i;
create function quiet_write() returns int language sql volatile as 'delete from voyage; select 1';
create function fine(int) returns int language sql immutable as 'select $1 + 1';
create function trip(int, int) returns int language sql volatile as 'select $1 + $2';
create aggregate sneaky(int) (sfunc = trip, stype = int, initcond = '0');
create function "within"(int) returns int language sql volatile as 'select $1';
create procedure proc() language sql as 'delete from voyage';
create schema other;
create table other.secret (x int);
create function other.fine(int) returns int language sql volatile as 'select $1';
"""


def lines_of(name: str) -> list[str]:
    return (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()[1:]


HOSTILE_SQL = [line.encode().decode("unicode_escape") for line in lines_of("hostile.sql")]
HARMLESS_SQL = lines_of("harmless.sql")


@pytest.fixture(scope="module")
def dsn(module_dsn: str) -> str:
    return filled(module_dsn, SCHEMA)


def everything(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as conn:
        return [
            *conn.execute("select * from sailor order by id").fetchall(),
            *conn.execute("select * from voyage order by id").fetchall(),
            *conn.execute("select last_value, is_called from counter").fetchall(),
            *conn.execute(
                "select relname from pg_class "
                "where relnamespace = 'public'::regnamespace order by 1"
            ),
        ]


def test_every_hostile_statement_is_refused_and_changes_nothing(dsn: str) -> None:
    reader, before, accepted = Reader(dsn, limits=Limits(timeout=3)), everything(dsn), []
    with reader.connect() as conn:
        for sql in HOSTILE_SQL:
            try:
                run(conn, reader.steps(sql))
            except RefusedError:
                continue
            accepted.append(sql)
    assert accepted == []
    assert everything(dsn) == before


def test_every_harmless_statement_runs(dsn: str) -> None:
    reader, refused = Reader(dsn), {}
    with reader.connect() as conn:
        for sql in HARMLESS_SQL:
            try:
                run(conn, reader.steps(sql))
            except RefusedError as error:
                refused[sql] = error
    assert refused == {}


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("delete from sailor", ForbiddenError, "DELETE is not a query"),
        ("select 1; select 2", ForbiddenError, "more than one statement"),
        ("", InvalidSyntaxError, "empty"),
        (" ; ", InvalidSyntaxError, "empty"),
        ("select * from sailor for update", ForbiddenError, "FOR UPDATE/SHARE locks rows"),
        ("select * into x from sailor", ForbiddenError, "SELECT INTO writes data"),
        ("with d as (delete from sailor returning 1) select 1", ForbiddenError, "DELETE writes"),
        ("select pg_sleep(1)", ForbiddenError, r"pg_sleep\(\) may not be called.*VOLATILE"),
        ("select sneaky(age) from sailor", ForbiddenError, "sneaky.*VOLATILE"),
        ("select lenght(name) from sailor", UnknownNameError, "nearest: length"),
        ("select nmae from sailor", UnknownNameError, "nearest: sailor.name"),
        ("select sailor.yeer from sailor", UnknownNameError, "sailor.yeer"),
        ("select year from sailor", UnknownNameError, "no column 'year'"),
        ("select s.year from sailor s, voyage c where c.id = s.id", UnknownNameError, "s.year"),
        ("select x.nope from (select name from sailor) x", UnknownNameError, "x.nope"),
        ("select * from sailors", UnknownNameError, "nearest: sailor"),
        ("select * from secret", UnknownNameError, "did you mean 'other.secret'"),
        ("select * from Voyage where Venue = 'x'", UnknownNameError, 'voyage."Venue Name"'),
        ("select * from zzz", UnknownNameError, "tables here: other.secret, adults, sailor"),
        ("select name, count(*) from sailor", InvalidQueryError, "GROUP BY"),
        ("select name + 1 from sailor", InvalidQueryError, "integer"),
        ("select 1 / 0", InvalidQueryError, "division by zero"),
        ("select age / (age - age) from sailor", InvalidQueryError, "division by zero"),
        ("select id from sailor s, voyage c where true", InvalidQueryError, "ambiguous"),
        ("select from where", InvalidSyntaxError, 'syntax error at or near "where"'),
        ("select " + "(" * 100 + "1" + ")" * 100, InvalidSyntaxError, "brackets deep"),
        ("select '" + "x" * 200_000 + "'", InvalidSyntaxError, "characters"),
        ("select U&'\\0061'", InvalidSyntaxError, "U& strings"),
        ("select '\ud800'", InvalidSyntaxError, "half of a character"),
        ("select name || 1 || nope from sailor", UnknownNameError, "no column 'nope'"),
        ("show all", ForbiddenError, "name one setting"),
        ("show nonsense", InvalidQueryError, "unrecognized configuration parameter"),
        ("select fine(1, 2)", InvalidQueryError, "No function matches"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_wrong(
    dsn: str, sql: str, error: type[RefusedError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Reader(dsn).query(sql)


def test_a_query_beyond_the_cost_limit_is_refused_before_it_runs(dsn: str) -> None:
    with pytest.raises(TooExpensiveError, match="join condition"):
        Reader(dsn, limits=Limits(cost=1e3)).query("select 1 from voyage a, voyage b, voyage c")


def test_a_query_that_runs_too_long_is_stopped(dsn: str) -> None:
    slow = "select count(*) from generate_series(1, 1000000000)"
    with pytest.raises(QueryTimeoutError):
        Reader(dsn, limits=Limits(timeout=0.2)).query(slow)


def test_rows_and_bytes_are_bounded(dsn: str) -> None:
    many = Reader(dsn, limits=Limits(rows=250)).query("select * from generate_series(1, 100000) i")
    assert (len(many.rows), many.truncated) == (250, True)
    exact = Reader(dsn, limits=Limits(rows=50)).query("select id from sailor")
    assert (len(exact.rows), exact.truncated) == (50, False)
    wide = Reader(dsn, limits=Limits(bytes=10_000)).query(
        "select repeat('x', 1000) from generate_series(1, 100)"
    )
    assert (len(wide.rows), wide.truncated) == (10, True)


def test_a_query_without_rows_still_names_its_columns(dsn: str) -> None:
    result = Reader(dsn).query("select name, age from sailor where false")
    assert (result.columns, result.rows) == (("name", "age"), [])


def test_dates_that_python_cannot_hold_come_back_as_text(dsn: str) -> None:
    sql = (
        "select 'infinity'::date, '0044-03-15 BC'::date, "
        "'infinity'::timestamp, '-infinity'::timestamptz"
    )
    assert Reader(dsn).query(sql).rows == [("infinity", "0044-03-15 BC", "infinity", "-infinity")]


async def test_the_async_reader_gives_the_same_rows_and_the_same_refusals(dsn: str) -> None:
    reader = Reader(dsn)
    sql = "select name from sailor order by id"
    assert (await reader.aquery(sql)).rows == reader.query(sql).rows
    with pytest.raises(UnknownNameError, match=r"nearest: sailor\.name"):
        await reader.aquery("select nmae from sailor")


def test_the_transaction_is_read_only_even_if_the_guard_were_fooled(dsn: str) -> None:
    """The wall behind the guard: the same steps, with the checks left out."""
    reader = Reader(dsn)
    with reader.connect() as conn:
        run(conn, checks.begin(reader.limits))
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("delete from sailor")
        conn.execute("rollback")
        run(conn, checks.begin(reader.limits))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select pg_read_file('/etc/passwd')")


def test_a_superuser_reads_as_a_lesser_role_and_others_stay_themselves(dsn: str) -> None:
    as_superuser = Reader(make_conninfo(dsn, user=SUPERUSER))
    assert as_superuser.query("select current_user").rows == [("pg_read_all_data",)]
    assert as_superuser.query("show log_min_messages").rows == [("fatal",)]
    assert Reader(dsn).query("select current_user = session_user").rows == [(True,)]
    with psycopg.connect(dsn, autocommit=True) as conn:
        role = f"{conn.info.dbname}_reader"
        conn.execute(f"create role {role}")
        try:
            conn.execute(f"grant {role} to current_user; grant select (name) on sailor to {role}")
            reader = Reader(dsn, role=role)
            assert reader.query("select current_user").rows == [(role,)]
            assert len(reader.query("select name from sailor").rows) == 50
            with pytest.raises(ForbiddenError, match="permission denied"):
                reader.query("select age from sailor")
        finally:
            conn.execute(f"revoke all on sailor from {role}; drop role {role}")
    with pytest.raises(ForbiddenError, match="cannot read as role"):
        Reader(dsn, role="nobody_at_all").query("select 1")


def test_system_catalogs_can_be_closed(dsn: str) -> None:
    reader = Reader(dsn, system_catalogs=False)
    for sql in ("select 1 from pg_class", "select 1 from information_schema.tables"):
        with pytest.raises(ForbiddenError, match="system catalog"):
            reader.query(sql)


def test_steps_refuse_a_connection_that_is_inside_a_transaction_of_its_own(dsn: str) -> None:
    with psycopg.connect(dsn) as conn, pytest.raises(ValueError, match="autocommit"):
        run(conn, Reader(dsn).steps("select 1"))


def test_a_lost_connection_is_no_refusal(dsn: str) -> None:
    reader = Reader(dsn)
    with reader.connect() as conn:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            run(conn, reader.steps("select 1"))


@settings(max_examples=examples(300), deadline=None)
@given(st.text(max_size=60))
def test_the_lexer_takes_any_text_without_another_error(text: str) -> None:
    try:
        found = postgres_lexer.tokens(text)
    except postgres_lexer.LexicalError:
        return
    assert all(0 <= token.start < token.end <= len(text) for token in found)


def test_strings_and_comments_end_where_postgresql_ends_them(dsn: str) -> None:
    """Each text holds one string; were it cut elsewhere, its pieces would be read as names."""
    for sql, value in {
        "select 'a''b'": "a'b",
        r"select 'a\'": "a\\",
        r"select E'a\'b'": "a'b",
        "select $$a'b$$": "a'b",
        "select $q$a$$b$q$": "a$$b",
        "select /* a /* b */ ' */ 'c'": "c",
        "select 'a' -- ' \n": "a",
    }.items():
        strings = [t for t in postgres_lexer.tokens(sql) if t.kind is postgres_lexer.Kind.STRING]
        assert len(strings) == 1
        assert Reader(dsn).query(sql).rows == [(value,)]


def test_sqlglot_and_the_lexer_agree_on_the_corpus() -> None:
    for sql in HARMLESS_SQL:
        if sql.startswith("explain"):
            continue
        tree = checks.tree(sql)
        assert sqlglot.parse_one(tree.sql("postgres"), dialect="postgres")


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("unexpected eof"), psycopg.errors.AdminShutdown("ended")]
)
def test_a_connection_that_is_lost_where_a_read_begins_is_no_refusal(error: psycopg.Error) -> None:
    steps = checks.begin(Limits())
    next(steps)
    with pytest.raises(type(error)) as raised:
        steps.throw(error)
    assert raised.value is error
