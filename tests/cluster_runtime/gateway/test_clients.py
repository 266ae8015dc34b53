"""Real clients through the gateway: what they can do, and who does not get in."""

import hashlib
import json
import logging
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import errors

# About 20 MB of text: more than every buffer on the way.
MANY_ROWS = "select i, repeat(md5(i::text), 4) from generate_series(1, 150000) i"


async def asyncpg_connect(house: Any, **kwargs: Any) -> Any:
    context = ssl.create_default_context(cafile=str(house.certificates.root_path))
    return await asyncpg.connect(
        **{
            "host": "127.0.0.1",
            "port": house.endpoint.port,
            "user": "app",
            "password": house.password,
            "database": "postgres",
            "ssl": context,
            **kwargs,
        }
    )


def sqlstate(house: Any, **kwargs: Any) -> str:
    """How the gateway refuses a connection; libpq only gives the text of it."""
    with pytest.raises(psycopg.OperationalError) as caught:
        house.connect(**kwargs)
    return str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_psycopg_verifies_the_name_and_logs_in_with_a_password(house: Any, address: str) -> None:
    with house.connect(hostaddr=address) as conn:
        assert conn.execute("select current_user, current_database()").fetchone() == (
            "app",
            "postgres",
        )


async def test_asyncpg_verifies_the_name_and_logs_in_with_a_password(house: Any) -> None:
    conn = await asyncpg_connect(house)
    assert await conn.fetchval("select current_user") == "app"
    await conn.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_covers_the_loopback_addresses(house: Any, host: str) -> None:
    address = "127.0.0.1" if host == "localhost" else host  # not every machine has /etc/hosts
    with house.connect(host=host, hostaddr=address) as conn:
        assert conn.execute("select 1").fetchone() == (1,)


def test_a_client_that_expects_another_name_does_not_send_its_password(house: Any) -> None:
    assert "certificate" in sqlstate(house, host="other.us-east-1.localhost")
    assert house.backend.logins == []


def test_direct_tls_saves_the_request_for_it(house: Any) -> None:
    with house.connect(sslnegotiation="direct") as conn:
        assert conn.pgconn.used_password
        assert conn.execute("select current_user").fetchone() == ("app",)


def test_a_client_may_insist_on_channel_binding(house: Any) -> None:
    with house.connect(channel_binding="require") as conn:
        assert conn.execute("select current_user").fetchone() == ("app",)


@pytest.mark.parametrize("version", ["3.0", "3.2", "latest"])
def test_every_protocol_version_of_libpq_is_served(house: Any, version: str) -> None:
    conninfo = house.conninfo(max_protocol_version=version, min_protocol_version="3.0")
    with psycopg.connect(**conninfo) as conn:
        assert conn.execute("select 1").fetchone() == (1,)


def test_startup_parameters_reach_the_server(house: Any) -> None:
    with house.connect(application_name="agent 7", options="-c work_mem=77kB") as conn:
        assert conn.execute("show application_name").fetchone() == ("agent 7",)
        assert conn.execute("show work_mem").fetchone() == ("77kB",)


def test_a_connection_in_clear_is_refused_unless_the_endpoint_allows_it(house: Any) -> None:
    assert "in TLS only (rds.force_ssl)" in sqlstate(house, sslmode="disable")
    house.configure(require_tls=False)
    with house.connect(sslmode="disable") as conn:
        assert conn.execute("select current_user").fetchone() == ("app",)


@pytest.mark.parametrize(
    "credentials",
    [
        {"password": "wrong"},
        {"user": "nobody_of_that_name"},
        {"user": "expired"},
        {"user": "borealis_reader"},
    ],
)
def test_who_has_no_valid_password_is_told_no_more_than_that(
    house: Any, credentials: dict[str, str]
) -> None:
    text = sqlstate(house, **credentials)
    user = credentials.get("user", "app")
    assert f'password authentication failed for user "{user}"' in text


async def test_asyncpg_sees_the_sqlstate_of_a_wrong_password(house: Any) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg_connect(house, password="wrong")


@pytest.mark.parametrize("user", ["rdsadmin", "rds_superuser", "pg_monitor"])
def test_reserved_roles_do_not_pass(house: Any, user: str) -> None:
    assert "is reserved" in sqlstate(house, user=user)
    assert house.backend.logins == []


def test_a_replication_connection_does_not_pass(house: Any) -> None:
    assert "replication" in sqlstate(house, replication="database")


def test_an_unknown_database_is_the_servers_answer(house: Any) -> None:
    assert 'database "nowhere" does not exist' in sqlstate(house, dbname="nowhere")


def test_an_iam_token_is_a_password(house: Any) -> None:
    with house.connect(user="agent", password=house.token()) as conn:
        assert conn.execute("select current_user").fetchone() == ("agent",)


async def test_an_iam_token_is_a_password_for_asyncpg_too(house: Any) -> None:
    conn = await asyncpg_connect(house, user="agent", password=house.token(host="127.0.0.1"))
    assert await conn.fetchval("select current_user") == "agent"
    await conn.close()


@pytest.mark.parametrize(
    "made_with",
    [
        {"user": "app"},
        {"host": "other.us-east-1.localhost"},
        {"region": "eu-west-1"},
        {"key_id": "AKIDUNKNOWN"},
        {"secret": "another"},
    ],
)
def test_a_token_made_for_something_else_does_not_pass(
    house: Any, made_with: dict[str, str]
) -> None:
    assert "authentication failed" in sqlstate(
        house, user="agent", password=house.token(**made_with)
    )


def test_a_token_does_not_pass_after_15_minutes(house: Any) -> None:
    token = house.token()
    house.clock_offset = timedelta(minutes=15, seconds=1)
    assert "authentication failed" in sqlstate(house, user="agent", password=token)


def test_a_token_does_not_pass_in_clear_or_where_iam_is_off(house: Any) -> None:
    house.configure(require_tls=False)
    text = sqlstate(house, user="agent", password=house.token(), sslmode="disable")
    assert "in TLS only" in text
    house.configure(iam_enabled=False)
    assert "authentication failed" in sqlstate(house, user="agent", password=house.token())


def test_a_role_with_both_logs_in_with_either(house: Any) -> None:
    for password in (house.token("either"), house.password):
        with house.connect(user="either", password=password) as conn:
            assert conn.execute("select current_user").fetchone() == ("either",)
    assert "authentication failed" in sqlstate(house, user="either", password="wrong")


# The first row fills the server's buffer and arrives: from then on the query runs for certain.
RUNS_LONG = (
    "copy (select case i when 1 then repeat('x', 100000) else pg_sleep(60)::text end "
    "from generate_series(1, 2) i) to stdout"
)


@pytest.mark.parametrize("version", ["3.0", "latest"])
def test_a_running_query_can_be_cancelled(house: Any, version: str) -> None:
    with house.connect(max_protocol_version=version) as conn:
        with conn.cursor() as cursor, pytest.raises(errors.QueryCanceled):
            read_and_cancel(cursor, conn.cancel_safe)
        assert conn.execute("select 1").fetchone() == (1,)


def read_and_cancel(cursor: psycopg.Cursor[Any], cancel: Callable[[], None]) -> None:
    with cursor.copy(RUNS_LONG) as copy:
        assert copy.read()
        cancel()
        list(copy)


def test_a_cancel_request_that_the_backend_forbids_is_not_passed_on(house: Any) -> None:
    asked: list[int] = []

    async def may_cancel(pid: int) -> bool:
        asked.append(pid)
        return False

    house.backend.may_cancel = may_cancel
    with house.connect() as conn, conn.cursor() as cursor:
        with cursor.copy(RUNS_LONG.replace("60", "0.2")) as copy:
            assert copy.read()
            conn.cancel_safe()  # returns when the gateway has answered, which is by closing
            assert asked == [conn.info.backend_pid]
            list(copy)
        assert cursor.rowcount == 2


def test_a_cancel_request_in_clear_is_served_as_by_postgresql(house: Any) -> None:
    # PQcancel speaks no TLS. psycopg calls it with the interpreter locked, so that it can only be
    # answered by a gateway of another process; cancel_safe() has no such limit.
    script = f"""
import json, sys, psycopg
with psycopg.connect(**json.load(sys.stdin)) as conn:
    try:
        with conn.cursor().copy({RUNS_LONG!r}) as copy:
            assert copy.read()
            conn.cancel()
            list(copy)
    except psycopg.errors.QueryCanceled:
        print("cancelled")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(house.conninfo()),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout == "cancelled\n", done.stderr


@pytest.mark.parametrize("sslmode", ["verify-full", "disable"])
def test_copy_moves_big_data_both_ways_unchanged(house: Any, sslmode: str) -> None:
    house.configure(require_tls=False)
    with house.connect(sslmode=sslmode) as conn:
        conn.execute("create temp table big (i int, t text)")
        sent = hashlib.md5()
        with (
            house.connect(sslmode=sslmode) as source,
            source.cursor().copy(f"copy ({MANY_ROWS}) to stdout") as read,
            conn.cursor().copy("copy big from stdin") as write,
        ):
            for block in read:
                sent.update(block)
                write.write(block)
        received = hashlib.md5()
        with conn.cursor().copy("copy (select * from big order by i) to stdout") as read:
            for block in read:
                received.update(block)
        assert received.digest() == sent.digest()
        assert conn.execute("select count(*) from big").fetchone() == (150_000,)


def test_pipeline_mode_works(house: Any) -> None:
    with house.connect() as conn, conn.pipeline():
        cursors = [conn.execute("select %s::int", (i,)) for i in range(200)]
        assert [cursor.fetchone() for cursor in cursors] == [(i,) for i in range(200)]


def test_a_pipeline_that_only_sends_is_held_back_and_not_lost(house: Any) -> None:
    """Both directions full at once: neither side reads before it has written."""
    text = "x" * 100_000
    with house.connect() as conn, conn.pipeline():
        cursors = [conn.execute("select %s::text", (text,)) for _ in range(100)]
        assert all(cursor.fetchone() == (text,) for cursor in cursors)


def test_notifications_pass(house: Any) -> None:
    with house.connect() as listener, house.connect() as other:
        listener.execute("listen tasks")
        other.execute("notify tasks, 'hello'")
        (notice,) = listener.notifies(timeout=20, stop_after=1)
        assert notice.payload == "hello"


def test_what_the_server_ends_ends_with_the_servers_words(house: Any) -> None:
    with house.connect() as conn, pytest.raises(errors.AdminShutdown):
        conn.execute("select pg_terminate_backend(pg_backend_pid())")


def test_connections_are_counted_from_the_startup_message_to_the_end(house: Any) -> None:
    with house.connect() as conn:
        conn.execute("select 1")
        assert house.endpoint.connections == house.backend.open_connections == 1
    house.wait_until_idle()
    assert house.endpoint.connections == 0
    sqlstate(house, password="wrong")
    house.wait_until_idle()
    assert house.backend.opened_ever == 2


def test_more_connections_than_allowed_are_refused(house: Any) -> None:
    house.reopen(max_connections=1)
    with house.connect():
        assert "too many clients" in sqlstate(house)


async def test_the_refusal_has_postgresqls_sqlstate(house: Any) -> None:
    house.reopen(max_connections=1)
    with house.connect(), pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg_connect(house)


def test_no_credential_gets_into_the_log(house: Any, caplog: pytest.LogCaptureFixture) -> None:
    tokens = [house.token(), house.token("app")]  # botocore itself logs them at DEBUG
    caplog.set_level(logging.DEBUG)
    with house.connect(), house.connect(user="agent", password=tokens[0]):
        pass
    sqlstate(house, password="a wrong password")
    sqlstate(house, user="agent", password=tokens[1])
    house.wait_until_idle()
    assert "connection opened" in caplog.text
    assert "authentication failed" in caplog.text
    secrets = [house.password, "a wrong password", *(t.rpartition("=")[2] for t in tokens)]
    assert not [secret for secret in secrets if secret in caplog.text]
