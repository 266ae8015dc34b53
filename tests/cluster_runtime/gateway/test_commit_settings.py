"""What roles and databases say of synchronous_commit is not applied; what a session says is."""

import select
from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import sql

from cluster_runtime.engine.postmaster import Postmaster, superuser_connection
from cluster_runtime.gateway.wire.commit_settings import overruled_notice
from tests.cluster_runtime.gateway.test_clients import asyncpg_connect

# Where it can be set, and how the notice names it.
PLACES = {
    "role app": 'role "app"',
    "database postgres": 'database "postgres"',
    "role app in database postgres": 'role "app" database "postgres"',
    "role all": "all roles",
    "role all in database postgres": 'database "postgres"',
}


@pytest.fixture
def alter(postmaster: Postmaster) -> Iterator[Any]:
    """Set synchronous_commit somewhere; undone afterwards."""
    done: list[str] = []

    def set_it(place: str, value: str) -> None:
        done.append(place)
        run(f"alter {place} set synchronous_commit = {value}")

    def run(statement: str) -> None:
        with superuser_connection(postmaster) as conn:
            conn.execute(sql.SQL(statement))

    yield set_it
    for place in done:
        run(f"alter {place} reset synchronous_commit")


def notices_at_login(house: Any) -> list[str]:
    """The primary texts of what a client is told while it connects."""
    told: list[str] = []
    conninfo = psycopg.conninfo.make_conninfo(**house.conninfo())
    pgconn = psycopg.pq.PGconn.connect_start(conninfo.encode())
    pgconn.notice_handler = lambda result: told.append(
        result.error_field(psycopg.pq.DiagnosticField.MESSAGE_PRIMARY).decode()
    )
    while (status := pgconn.connect_poll()) != psycopg.pq.PollingStatus.OK:
        assert status != psycopg.pq.PollingStatus.FAILED, pgconn.error_message
        waits_for = [pgconn.socket]
        reads = status == psycopg.pq.PollingStatus.READING
        select.select(waits_for if reads else [], [] if reads else waits_for, [], 20)
    pgconn.finish()
    return told


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((place, "off") for place in PLACES),
        *(("role app", value) for value in ("local", "remote_write", "false", "0")),
    ],
)
def test_a_setting_of_a_role_or_database_is_not_applied_and_its_user_is_told(
    house: Any, alter: Any, place: str, value: str
) -> None:
    alter(place, f"'{value}'")
    notices = notices_at_login(house)
    assert [notice.partition(" is not")[0] for notice in notices] == [
        f"synchronous_commit = {value} of {PLACES[place]}"
    ]
    with house.connect() as conn:
        assert conn.execute("show synchronous_commit").fetchone() == ("on",)
        conn.execute("set synchronous_commit = off")
        assert conn.execute("show synchronous_commit").fetchone() == ("off",)
        for reset in ("reset synchronous_commit", "reset all", "discard all"):
            conn.execute(reset)
            assert conn.execute("show synchronous_commit").fetchone() == ("on",)


@pytest.mark.parametrize("value", ["on", "remote_apply", "true"])
def test_a_setting_that_loses_nothing_is_not_spoken_of(house: Any, alter: Any, value: str) -> None:
    alter("role app", f"'{value}'")
    assert notices_at_login(house) == []


@pytest.mark.parametrize(
    "own", [{"options": "-c synchronous_commit=off"}, {"options": "--synchronous-commit=off"}]
)
def test_what_a_client_itself_asks_for_at_its_start_counts(
    house: Any, alter: Any, own: dict[str, str]
) -> None:
    alter("role app", "local")
    with house.connect(**own) as conn:
        assert conn.execute("show synchronous_commit").fetchone() == ("off",)


async def test_asyncpg_hears_it_and_gets_in(house: Any, alter: Any) -> None:
    alter("role app", "off")
    conn = await asyncpg_connect(house)
    assert await conn.fetchval("show synchronous_commit") == "on"
    await conn.close()
    conn = await asyncpg_connect(house, server_settings={"synchronous_commit": "off"})
    assert await conn.fetchval("show synchronous_commit") == "off"
    assert isinstance(conn, asyncpg.Connection)
    await conn.close()


ROLE, BASE, BOTH, ALL = (
    ("", "app", "off"),
    ("db", "", "local"),
    ("db", "app", "on"),
    ("", "", "off"),
)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ([], None),
        ([ROLE], 'off of role "app"'),
        ([BASE], 'local of database "db"'),
        ([ALL], "off of all roles"),
        ([ALL, BASE], 'local of database "db"'),
        ([BASE, ROLE, ALL], 'off of role "app"'),
        ([ROLE, BOTH, BASE], None),
        ([("other", "", "off"), ("other", "app", "off"), ("", "someone", "off")], None),
    ],
)
def test_the_setting_that_postgresql_would_have_taken_is_named(
    settings: list[tuple[str, str, str]], text: str | None
) -> None:
    told = overruled_notice(settings, user="app", database="db")
    if text is None:
        assert told == b""
    else:
        assert f"Msynchronous_commit = {text} is not applied".encode() in told
