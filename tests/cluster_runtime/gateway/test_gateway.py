"""Waking, limits, time-outs and the end: what happens around a connection."""

import asyncio
import gc
import socket
import struct
from contextlib import suppress
from random import Random
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import errors

from cluster_runtime.errors import (
    EngineError,
    InvalidClusterStateError,
    InvalidParameterError,
    PortInUseError,
)
from cluster_runtime.gateway import EndpointSpec
from cluster_runtime.gateway.session import Session
from cluster_runtime.gateway.wire import protocol
from cluster_runtime.gateway.wire.protocol import CANCEL_REQUEST, SSL_REQUEST, ProtocolVersion
from cluster_runtime.logs import get_logger
from tests.waiting import wait_until


def refused(house: Any, **kwargs: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        house.connect(**kwargs)
    return str(caught.value)


def raw(house: Any, data: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", house.endpoint.port), timeout=20)
    sock.sendall(data)
    return sock


def everything(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(4096), b""))


def put_to_sleep(house: Any) -> None:
    """The next wake waits until `house.backend.asleep` is set."""
    house.backend.paused = True
    house.backend.asleep = asyncio.Event()


async def test_clients_that_connect_while_it_wakes_share_one_wake(house: Any) -> None:
    put_to_sleep(house)
    connects = [
        asyncio.create_task(psycopg.AsyncConnection.connect(**house.conninfo())) for _ in range(5)
    ]
    await asyncio.wrap_future(house.thread.submit(house.backend.waiting.wait()))
    house.on_loop(house.backend.asleep.set)
    for connect in connects:
        conn = await connect
        await conn.execute("select 1")
        await conn.close()
    assert house.backend.opened_ever == 5
    assert 1 <= house.backend.wakes <= 5


async def test_a_client_that_leaves_while_it_wakes_is_forgotten_and_the_wake_goes_on(
    house: Any,
) -> None:
    put_to_sleep(house)
    connect = asyncio.create_task(psycopg.AsyncConnection.connect(**house.conninfo()))
    await asyncio.wrap_future(house.thread.submit(house.backend.waiting.wait()))
    connect.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connect
    await asyncio.wrap_future(house.thread.submit(house.backend.idle.wait()))
    house.on_loop(house.backend.asleep.set)
    async with await psycopg.AsyncConnection.connect(**house.conninfo()) as conn:
        await conn.execute("select 1")


async def test_a_login_that_fails_after_its_client_left_is_not_shouted_about(
    house: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by use: asyncio wrote "exception was never retrieved" to the standard error."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def login(user: str) -> Any:
        asked.set()
        await left.wait()
        raise OSError("the server went away")

    house.backend.login = login
    connect = asyncio.create_task(psycopg.AsyncConnection.connect(**house.conninfo()))
    await asyncio.wrap_future(house.thread.submit(asked.wait()))
    connect.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connect
    await asyncio.wrap_future(house.thread.submit(house.backend.idle.wait()))
    house.on_loop(left.set)
    house.on_loop(gc.collect)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_the_status_that_forbids_a_connection_is_told(house: Any) -> None:
    house.backend.failure = InvalidClusterStateError("cluster notes is stopped: start it first")
    assert "cluster notes is stopped" in refused(house)


def test_why_the_engine_does_not_start_is_not_told_to_clients(house: Any) -> None:
    house.backend.failure = EngineError("log of PostgreSQL with the path /secret")
    text = refused(house)
    assert "could not be started" in text
    assert "secret" not in text


def test_a_failure_of_the_gateway_itself_ends_that_connection_only(house: Any) -> None:
    house.backend.failure = ZeroDivisionError("a bug")
    assert "the gateway failed" in refused(house)
    house.backend.failure = None
    with house.connect() as conn:
        conn.execute("select 1")


def test_a_cancel_request_does_not_wake_a_paused_cluster(house: Any) -> None:
    house.backend.paused = True
    assert everything(raw(house, struct.pack("!IIII", 16, CANCEL_REQUEST, 1, 2))) == b""
    assert (house.backend.wakes, house.backend.opened_ever) == (0, 0)


def test_a_silent_client_is_told_to_go_when_its_time_is_up(house: Any) -> None:
    house.reopen(authentication_timeout=0.1)
    assert b"57014" in everything(raw(house))
    assert everything(raw(house, struct.pack("!II", 8, SSL_REQUEST))) == b"S"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0\0\0\x08\0\0\0\0", b"\0"]
)
def test_strangers_are_answered_and_closed(house: Any, data: bytes) -> None:
    with raw(house, data) as sock:
        with suppress(OSError):  # the gateway may have closed already
            sock.shutdown(socket.SHUT_WR)
        everything(sock)
    with house.connect() as conn:
        conn.execute("select 1")


def test_disconnect_ends_connections_with_57p01_and_goes_on_listening(house: Any) -> None:
    conn = house.connect()
    house.call(house.endpoint.disconnect())
    with pytest.raises(errors.AdminShutdown):
        conn.execute("select 1")
    assert house.backend.open_connections == 0
    with house.connect() as conn:
        conn.execute("select 1")


def test_a_connection_that_is_ended_before_its_first_step_is_closed(house: Any) -> None:
    """Found by use: it was never heard of again, and a pause waited for its end forever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), timeout=20)
        theirs, _ = listener.accept()
    theirs.setblocking(False)

    async def begin_and_end() -> None:
        closed = asyncio.Event()
        Session(
            asyncio.get_running_loop(),
            theirs,
            house.endpoint,
            on_established=closed.clear,
            on_closed=closed.set,
            log=get_logger("test"),
        ).terminate("the end")
        await asyncio.wait_for(closed.wait(), 20)

    house.call(begin_and_end())
    assert b"57P01" in everything(ours)


def test_a_closed_endpoint_refuses_and_its_port_is_free_again(house: Any) -> None:
    port = house.endpoint.port
    with house.connect():
        house.call(house.gateway.close_endpoint(house.endpoint))
        assert "refused" in refused(house)
    spec = EndpointSpec("cluster-DEF", ("x.localhost",), port=port)
    assert house.call(house.gateway.open_endpoint(spec, house.backend)).port == port


def test_a_port_that_is_taken_is_an_error_of_its_own(house: Any) -> None:
    spec = EndpointSpec("cluster-DEF", ("x.localhost",), port=house.endpoint.port)
    with pytest.raises(PortInUseError, match=str(spec.port)):
        house.call(house.gateway.open_endpoint(spec, house.backend))
    with house.connect() as conn:
        conn.execute("select 1")


def test_an_endpoint_cannot_move_to_another_port(house: Any) -> None:
    with pytest.raises(InvalidParameterError):
        house.configure(port=house.endpoint.port + 1)


def test_a_new_name_is_in_the_certificate_from_then_on(house: Any) -> None:
    name = "renamed.cluster-abc123.us-east-1.localhost"
    assert "certificate" in refused(house, host=name)
    house.configure(names=(name,))
    with house.connect(host=name) as conn:
        conn.execute("select 1")


def conversation(house: Any) -> list[bytes]:
    """What a client of the right password says in plain text, up to its first query."""
    startup = protocol.startup_message(
        ProtocolVersion(3, 0), {"user": "app", "database": "postgres"}
    )
    first = b"n,,n=,r=clientnonce"
    sasl = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
    return [
        startup,
        protocol.message(b"p", sasl),
        protocol.message(b"p", b"c=biws,r=wrong,p=" + b"A" * 43 + b"="),
        protocol.message(b"Q", b"select 1\0"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_left_of_clients_that_break_off_anywhere(house: Any, seed: int) -> None:
    """Cut, garbled, reset or merely silent; while others come and go as they should."""
    random = Random(seed)
    house.configure(require_tls=False)
    with house.connect() as conn:  # what is opened once is open now
        conn.execute("select 1")
    house.wait_until_idle()
    gc.collect()  # what tests before left to the collector is not closed in the midst of this one
    before = psutil.Process().num_fds()
    clients = []
    for _ in range(40):
        said = b"".join(conversation(house)[: random.randint(0, 4)])
        if random.random() < 0.3:
            said = struct.pack("!II", 8, SSL_REQUEST) + said
        said = said[: random.randint(0, len(said))]
        if said and random.random() < 0.3:
            position = random.randrange(len(said))
            said = said[:position] + random.randbytes(3) + said[position + 1 :]
        client = raw(house, said)
        match random.choice(["reset", "close", "half-close", "stay"]):
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            case "close":
                client.close()
            case "half-close":
                with suppress(OSError):  # the gateway may have closed already
                    client.shutdown(socket.SHUT_WR)
                clients.append(client)
            case "stay":
                clients.append(client)
        if random.random() < 0.2:
            with house.connect(sslmode=random.choice(["disable", "require"])) as conn:
                assert conn.execute("select 1").fetchone() == (1,)
    for client in clients:
        client.close()
    with house.connect() as conn:  # accepted in their order: all the others have been by now
        conn.execute("select 1")
    house.settle()
    assert house.backend.open_connections == 0
    assert house.endpoint.connections == 0
    assert len(house.gateway.waiting_room) == 0
    # Runtimes that live as long as the session open and close files meanwhile.
    wait_until(lambda: psutil.Process().num_fds() <= before)
    with house.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
