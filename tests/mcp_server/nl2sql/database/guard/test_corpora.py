"""The guard judges what runs: hostile queries are refused by whatever way they come, reads pass."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql.database.guard.checks import Limits, check, fetch
from mcp_server.nl2sql.database.reader import Reader, ResultSet
from mcp_server.nl2sql.database.steps import Fetched, Script, Steps, run
from mcp_server.nl2sql.errors import ForbiddenError, RefusedError
from mcp_server.rows import limits_of_a_call
from tests.mcp_server.nl2sql.database.guard.conftest import lines_of, script

HOSTILE = lines_of("hostile.sql")
UNSAFE = lines_of("unsafe_hostile.sql")
LEGITIMATE = lines_of("legitimate.sql")

LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = %s"


@pytest.fixture
def owner(trapped: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(trapped, autocommit=True) as conn:
        yield conn


@pytest.fixture
def unsafe(owner: psycopg.Connection[Any]) -> Iterator[None]:
    """Types in the database whose input takes a lock."""
    for statement in script("unsafe_types.sql"):
        owner.execute(statement.encode())
    yield
    owner.execute("drop schema loud cascade")


@pytest.fixture(params=["before it", "with it"])
def begins(request: pytest.FixtureRequest) -> bool:
    """Whether the transaction of a query begins with its check, as that of `run_query` does."""
    return bool(request.param == "with it")


def begun_with_it(sql: str, limits: Limits) -> Steps[Fetched]:
    try:
        checked = yield from check(sql, limits, begins=True)
        return (yield from fetch(checked, limits))
    finally:
        yield Script("rollback; deallocate all")


def outcomes(
    dsn: str, statements: list[str], owner: psycopg.Connection[Any], *, begins: bool = False
) -> dict[str, ResultSet | Fetched | RefusedError]:
    """What became of each; fails when one took a lock that outlives its transaction."""
    found: dict[str, ResultSet | Fetched | RefusedError] = {}
    reader = Reader(dsn, limits=Limits(timeout=60))
    with reader.connect() as conn:
        for sql in statements:
            try:
                found[sql] = run(
                    conn, begun_with_it(sql, reader.limits) if begins else reader.steps(sql)
                )
            except RefusedError as error:
                found[sql] = error
            (locks,) = owner.execute(LOCKS, [conn.info.backend_pid]).fetchone() or (None,)
            assert locks == 0, sql
    return found


def refused(found: dict[str, ResultSet | Fetched | RefusedError]) -> dict[str, str]:
    return {sql: str(each) for sql, each in found.items() if isinstance(each, RefusedError)}


def test_the_corpora_are_as_large_as_they_say() -> None:
    assert len(set(HOSTILE)) >= 120
    assert len(set(LEGITIMATE)) >= 200


def test_hostile_queries_are_refused_and_nothing_of_them_runs(
    reader_dsn: str, owner: psycopg.Connection[Any], begins: bool
) -> None:
    found = outcomes(reader_dsn, HOSTILE, owner, begins=begins)
    assert [sql for sql, each in found.items() if not isinstance(each, RefusedError)] == []
    counter = owner.execute("select last_value, is_called from trap.counter").fetchone()
    assert counter == (1, False)
    assert owner.execute("select count(*) from trap.log").fetchone() == (0,)
    assert owner.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


class Counted(psycopg.Connection[Any]):
    """A connection that counts how often it waits for the server."""

    trips = 0

    def wait(self, *arguments: Any, **options: Any) -> Any:
        self.trips += 1
        return super().wait(*arguments, **options)


@pytest.mark.parametrize(
    ("sql", "trips"),
    [("select 1 as x", 2), ("show work_mem", 2), ("select name from app.customer", 3)],
)
def test_a_plain_read_takes_few_round_trips(fresh_dsn: str, sql: str, trips: int) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute("create schema app; create table app.customer (name text)")
    limits = limits_of_a_call()
    with Counted.connect(fresh_dsn, autocommit=True) as conn:
        run(conn, begun_with_it(sql, limits))  # what is known of PostgreSQL's own is kept
        before = conn.trips
        run(conn, fetch(run(conn, check(sql, limits, begins=True)), limits))
        assert conn.trips - before == trips


def test_what_only_reads_passes(
    reader_dsn: str, owner: psycopg.Connection[Any], begins: bool
) -> None:
    assert refused(outcomes(reader_dsn, LEGITIMATE, owner, begins=begins)) == {}


def test_the_owner_reads_as_freely_as_the_reading_role(
    trapped: str, owner: psycopg.Connection[Any]
) -> None:
    assert refused(outcomes(trapped, LEGITIMATE[::7], owner)) == {}


def test_a_check_that_postgresql_would_run_while_it_analyses_is_never_reached(
    reader_dsn: str, owner: psycopg.Connection[Any], unsafe: None, begins: bool
) -> None:
    found = outcomes(reader_dsn, UNSAFE, owner, begins=begins)
    assert [sql for sql, each in found.items() if not isinstance(each, RefusedError)] == []


def test_columns_of_such_types_can_still_be_read(
    reader_dsn: str, owner: psycopg.Connection[Any], unsafe: None, begins: bool
) -> None:
    reads = [
        "select * from loud.kept",
        "select n + 1, (r).a, l[1], s is null from loud.kept where n > 0 order by n",
        "select count(*) from loud.kept where (r).a = 5 and 'x' <> 'y'",
        "select loud.outside(), jsonb_build_object('a', 'b')",
        "select to_json(k) from loud.kept k",
        "select name from app.customer where city = 'Rome' and joined > '2020-01-02'",
    ]
    assert refused(outcomes(reader_dsn, reads, owner, begins=begins)) == {}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select (8.0::float8).pg_sleep", r"pg_sleep\(\) .* VOLATILE"),
        ("select 'a'::text operator(trap.+) 'b'", r"\(operator trap\.\+\)"),
        ("select x from trap.view_of_view", r"wal\(\) .* VOLATILE"),
        ("select trap.nested()", "in the body of trap.calls_volatile"),
        ("select trap.liar()", "names pg_advisory_lock"),
        ("select trap.definer()", "SECURITY DEFINER"),
        ("select app.of_a_stranger()", "owner stranger has no rights"),
        ("select trap.with_default()", "a default of trap.with_default"),
        ("select trap.agg(id) from app.customer", "part of aggregate trap.agg"),
        ("select * from trap.child", "an index, constraint or statistic"),
        ("select * from trap.locking", "FOR UPDATE/SHARE locks rows"),
        ("select trap.deletes()", "DELETE writes data"),
    ],
)
def test_a_refusal_says_what_would_have_run_and_by_which_way(
    reader_dsn: str, sql: str, reason: str
) -> None:
    with pytest.raises(ForbiddenError, match=reason):
        Reader(reader_dsn).query(sql)
