"""Data that looks like the notice of a cancelled commit passes as data, of whatever sort it is."""

import os
import subprocess
from typing import Any

import asyncpg
import psycopg
import pytest

from cluster_runtime.engine.installation import find_installation
from cluster_runtime.gateway.wire.frames import CANCELLED_COMMIT
from tests.cluster_runtime.gateway.test_clients import asyncpg_connect
from tests.cluster_runtime.gateway.wire.test_frames import CANCELLED, MARK

NAME = "RSyncRepWaitForLSN"


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (f"select '{NAME}', 1", [(NAME, 1)]),
        (f"select 'hello {NAME}', ''", [(f"hello {NAME}", "")]),
        (f"select '{NAME}', null", [(NAME, None)]),
        (f"select '{NAME}' from generate_series(1, 20000)", [(NAME,)] * 20000),
        (f'select 1 as "{NAME}", 2 as x', [(1, 2)]),
        (f"select array['{NAME}', ''], row('{NAME}')", None),
        (f'create temp table "{NAME}" as select 7 as "{NAME}"', None),
        (f'prepare "{NAME}" as select 1', None),
        (f'begin; declare "{NAME}" cursor for select 1; commit', None),
        (f"set application_name = '{NAME}'", None),
        (
            f"do $$ begin raise notice '{NAME}' using column = '{NAME}', table = '{NAME}'; end $$",
            None,
        ),
    ],
)
def test_a_session_goes_on(house: Any, query: str, rows: list[tuple[Any, ...]] | None) -> None:
    with house.connect() as conn:
        cursor = conn.execute(query)
        if rows is not None:
            assert cursor.fetchall() == rows
        assert conn.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("data", "sslmode"),
    [
        (CANCELLED_COMMIT, "verify-full"),
        (CANCELLED, "disable"),
        (MARK[1:], "verify-full"),
        (CANCELLED * 3, "disable"),
    ],
)
def test_bytes_in_binary_arrive(house: Any, data: bytes, sslmode: str) -> None:
    house.configure(require_tls=False)
    with house.connect(sslmode=sslmode) as conn:
        query = "select x, i, x from (values (%b::bytea)) v(x), generate_series(1, 3000) i"
        rows = conn.execute(query, (data,), binary=True).fetchall()
        assert rows == [(data, i, data) for i in range(1, 3001)]
        with conn.cursor().copy("copy (select %s::bytea) to stdout (format binary)", (data,)) as c:
            assert data in b"".join(c)
        with conn.cursor().copy(f"copy (select '{NAME}', 1) to stdout") as copy:
            assert b"".join(copy) == f"{NAME}\t1\n".encode()
        assert conn.execute("select 1").fetchone() == (1,)


async def test_asyncpg_reads_it_in_binary(house: Any) -> None:
    conn = await asyncpg_connect(house)
    assert await conn.fetchval("select $1::bytea", CANCELLED) == CANCELLED
    assert await conn.fetchval("select 1") == 1
    await conn.close()


def test_a_notification_arrives(house: Any) -> None:
    with house.connect() as conn:
        conn.execute(f'listen "{NAME}"')
        conn.execute(f"notify \"{NAME}\", '{NAME}'")
        (notice,) = conn.notifies(timeout=20, stop_after=1)
        assert (notice.channel, notice.payload) == (NAME, NAME)


def test_an_error_about_it_is_an_error(house: Any) -> None:
    with house.connect() as conn:
        with pytest.raises(psycopg.errors.UndefinedTable, match=NAME):
            conn.execute(f'select * from "{NAME}_missing", "{NAME}"')
        assert conn.execute("select 1").fetchone() == (1,)


def test_pg_dump_dumps_a_table_of_that_name(house: Any) -> None:
    house.configure(require_tls=False)
    with house.connect() as conn:
        conn.execute(f'create table "{NAME}" ("{NAME}" text, x int)')
        try:
            conn.execute(f"insert into \"{NAME}\" values ('{NAME}', 1)")
            program = find_installation().program("pg_dump")
            done = subprocess.run(
                [program, "--host=127.0.0.1", f"--port={house.endpoint.port}", "--username=app",
                 f'--table="{NAME}"', "postgres"],
                env={**os.environ, "PGPASSWORD": house.password},
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert f"{NAME}\t1\n" in done.stdout, done.stderr
        finally:
            conn.execute(f'drop table "{NAME}"')


async def test_a_name_that_a_client_chooses_at_its_start_is_no_message(house: Any) -> None:
    conn = await asyncpg_connect(house, server_settings={"application_name": NAME})
    assert await conn.fetchval("show application_name") == NAME
    assert isinstance(conn, asyncpg.Connection)
    await conn.close()
