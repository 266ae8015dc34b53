"""Strangers who take up places: what is left for those who mean it. Real sockets."""

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import asyncpg
import psycopg
import pytest

from cluster_runtime.gateway.gateway import LOOK_UPS_MAX
from cluster_runtime.gateway.waiting_room import Progress
from cluster_runtime.gateway.wire import protocol
from cluster_runtime.gateway.wire.protocol import SSL_REQUEST, ProtocolVersion
from tests.cluster_runtime.gateway.test_clients import asyncpg_connect
from tests.cluster_runtime.gateway.test_gateway import everything, put_to_sleep, raw
from tests.waiting import wait_until

TLS = struct.pack("!II", 8, SSL_REQUEST)
STARTUP = protocol.startup_message(ProtocolVersion(3, 0), {"user": "app", "database": "postgres"})
CROWD = 300


def encrypted(house: Any) -> ssl.SSLSocket:
    sock = raw(house, TLS)
    assert sock.recv(1) == b"S"
    context = ssl.create_default_context(cafile=str(house.certificates.root_path))
    return context.wrap_socket(sock, server_hostname=house.name)


def clear_to_the_password(house: Any) -> socket.socket:
    """Named, and silent when it is asked for its proof."""
    sock = raw(house, STARTUP)
    assert sock.recv(1) == b"R"
    return sock


def crowd(house: Any, stack: ExitStack, what: str, size: int) -> None:
    for _ in range(size):
        match what:
            case "silent":
                sock = raw(house)
            case "one byte":
                sock = raw(house, b"\0")
            case "asks for TLS":
                sock = raw(house, TLS)
            case "half a hello":
                sock = raw(house, TLS + b"\x16\x03\x01")
            case "direct TLS":
                sock = raw(house, b"\x16\x03\x01\x02")
            case "half a startup":
                sock = raw(house, STARTUP[:10])
            case "password":
                sock = clear_to_the_password(house)
            case "in TLS":
                sock = encrypted(house)
        stack.callback(sock.close)


@pytest.mark.parametrize(
    ("what", "size"),
    [
        ("silent", CROWD),
        ("one byte", CROWD),
        ("asks for TLS", CROWD),
        ("half a hello", CROWD),
        ("direct TLS", CROWD),
        ("half a startup", CROWD),
        ("password", 60),
        ("in TLS", 60),
    ],
)
def test_a_crowd_that_says_too_little_keeps_nobody_out(house: Any, what: str, size: int) -> None:
    house.configure(require_tls=False)
    house.reopen(unauthenticated_per_endpoint=20, unauthenticated_shared=size - 40)
    with ExitStack() as stack:
        crowd(house, stack, what, size)
        for _ in range(3):
            with house.connect() as conn:
                assert conn.execute("select 1").fetchone() == (1,)
        assert len(house.gateway.waiting_room) <= size - 20


def test_other_endpoints_have_their_own_places(house: Any) -> None:
    house.reopen(unauthenticated_per_endpoint=4, unauthenticated_shared=8)
    other = house.call(house.gateway.open_endpoint(replace(house.spec, port=None), house.backend))
    with ExitStack() as stack:
        crowd(house, stack, "silent", 40)
        with house.connect(port=other.port) as conn:
            assert conn.execute("select 1").fetchone() == (1,)


def test_who_makes_room_is_told_in_clear_or_in_tls(house: Any) -> None:
    house.reopen(unauthenticated_per_endpoint=1, unauthenticated_shared=0)
    with encrypted(house) as first:
        (session,) = house.on_loop(list, house.endpoint._sessions)
        wait_until(lambda: session.progress is Progress.TLS_ESTABLISHED)
        with raw(house):
            assert b"C53300\0" in first.recv(4096)
    with raw(house) as silent, raw(house):
        assert b"C53300\0" in everything(silent)


def test_a_newcomer_without_a_place_hears_it_as_postgresqls_error_after_tls(house: Any) -> None:
    house.reopen(unauthenticated_per_endpoint=2, unauthenticated_shared=0)
    put_to_sleep(house)
    waiting = [threading.Thread(target=lambda: house.connect().close()) for _ in range(2)]
    for thread in waiting:
        thread.start()

    wait_until(lambda: house.endpoint.connections == 2)  # authenticated; the server is asleep
    for negotiation in ("postgres", "direct"):
        with pytest.raises(psycopg.OperationalError, match="too many connections are being opened"):
            house.connect(sslnegotiation=negotiation)
    with pytest.raises(asyncpg.TooManyConnectionsError):
        asyncio.run(asyncpg_connect(house))
    house.on_loop(house.backend.asleep.set)
    for thread in waiting:
        thread.join()
    house.connect().close()


def test_a_startup_takes_no_slot_of_the_cluster_before_it_is_authenticated(house: Any) -> None:
    house.configure(require_tls=False)
    house.reopen(max_connections=1)
    with ExitStack() as stack:
        crowd(house, stack, "password", 10)
        assert house.endpoint.connections == 0
        with house.connect() as conn:
            assert house.endpoint.connections == 1
            assert conn.execute("select 1").fetchone() == (1,)
            # A wrong password is told so, and not that there is no slot.
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                house.connect(password="wrong")
            with pytest.raises(psycopg.OperationalError, match="too many clients"):
                house.connect()
    house.wait_until_idle()
    assert house.endpoint.connections == 0


def test_an_address_has_a_limit_of_its_own(house: Any) -> None:
    house.reopen(unauthenticated_per_address=3)
    with ExitStack() as stack:
        sockets = [stack.enter_context(raw(house)) for _ in range(4)]
        assert b"C53300\0" in everything(sockets[0])
        with house.connect(hostaddr="::1") as conn:
            assert conn.execute("select 1").fetchone() == (1,)


def test_a_burst_of_honest_clients_gets_in(house: Any) -> None:
    """As many at once as the cluster takes, with no more room than for some of them."""
    house.reopen(unauthenticated_per_endpoint=32, unauthenticated_shared=0)
    failures: list[Exception] = []

    def come_and_go() -> None:
        try:
            for _ in range(3):
                house.connect().close()
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_host_that_is_out_of_file_descriptors_parts_with_a_silent_one(house: Any) -> None:
    with raw(house) as silent, house.connect() as conn:
        wait_until(lambda: len(house.gateway.waiting_room) == 1)
        assert house.on_loop(house.gateway.listening.on_exhausted)
        assert b"C53300\0" in everything(silent)
        assert not house.on_loop(house.gateway.listening.on_exhausted)
        assert conn.execute("select 1").fetchone() == (1,)


def test_clients_that_name_a_role_and_leave_are_not_looked_up_for_ever(house: Any) -> None:
    """Each question goes to one connection of the runtime: a queue of them delays every login."""
    house.configure(require_tls=False)
    go_on = asyncio.Event()
    real = house.backend.login

    async def login(user: str) -> Any:
        await go_on.wait()
        return await real(user)

    house.backend.login = login
    for _ in range(60):
        with raw(house, STARTUP):
            house.turn()
    wait_until(lambda: len(house.gateway.waiting_room) == 0)
    house.on_loop(go_on.set)
    with house.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    assert len(house.backend.logins) <= LOOK_UPS_MAX + 1
