"""A server that goes away while a client is in its startup: the client waits for the next one."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime.gateway import Login, make_verifier
from cluster_runtime.gateway.wire import protocol
from tests.cluster_runtime.gateway.test_backend_failures import KEY_DATA, READY

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
STATUS = protocol.message(b"S", b"server_version\x0018.0\0")
GREETING = protocol.AUTHENTICATION_OK + STATUS + KEY_DATA + READY


def gone(sqlstate: str, kind: bytes = b"E") -> bytes:
    return kind + protocol.fatal(sqlstate, "the database system is going away")[1:]


FIRST_ANSWERS = {
    "nothing": b"",
    "half a message": protocol.AUTHENTICATION_OK[:4],
    "ok and no session": protocol.AUTHENTICATION_OK + STATUS,
    "all but ReadyForQuery": protocol.AUTHENTICATION_OK + STATUS + KEY_DATA,
    "shuts down": gone("57P01"),
    "shuts down after ok": protocol.AUTHENTICATION_OK + gone("57P01"),
    "starts up": gone("57P03"),
    "crashed": protocol.AUTHENTICATION_OK + KEY_DATA + gone("57P02", b"N"),
    "shut down at once": protocol.AUTHENTICATION_OK + KEY_DATA + gone("57P01", b"N"),
}


async def put_behind(house: Any, path: Path, answers: list[bytes]) -> asyncio.Server:
    """A server that gives these answers and goes away; at last it greets and stays."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        if answers:
            writer.write(answers.pop(0))
        else:
            writer.write(GREETING)
            await reader.read()
        writer.close()

    async def login(user: str) -> Login:
        return Login(user, make_verifier(house.password))

    house.backend.socket_path = path
    house.backend.login = login
    return await asyncio.start_unix_server(serve, path)


@pytest.mark.parametrize("answer", FIRST_ANSWERS.values(), ids=FIRST_ANSWERS.keys())
def test_a_client_waits_for_the_next_server(house: Any, tmp_path: Path, answer: bytes) -> None:
    server = house.call(put_behind(house, tmp_path / "s", [answer, b"", answer]))
    with house.connect() as conn:
        assert conn.info.server_version == 180000
    assert house.backend.wakes == 4
    house.on_loop(server.close)


def test_a_socket_that_is_not_there_yet_is_waited_for(house: Any, tmp_path: Path) -> None:
    real = house.backend.socket_path
    wakes = 0

    async def wake() -> Path:
        nonlocal wakes
        wakes += 1
        return tmp_path / "nobody" if wakes < 3 else real

    house.backend.wake = wake
    with house.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    assert wakes == 3


@pytest.mark.parametrize("asked", ["login", "wake"])
def test_a_backend_that_lost_its_instance_is_asked_again(house: Any, asked: str) -> None:
    real = getattr(house.backend, asked)
    failures = [ConnectionError("the instance stopped")] * 3

    async def fails_first(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(*args)

    setattr(house.backend, asked, fails_first)
    with house.connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)


def test_what_the_server_refuses_is_not_tried_again(house: Any, tmp_path: Path) -> None:
    refusals = [gone(code) for code in ("3D000", "53300", "28000")]
    server = house.call(put_behind(house, tmp_path / "s", list(refusals)))
    for _ in refusals:
        with pytest.raises(psycopg.OperationalError, match="going away"):
            house.connect()
    assert house.backend.wakes == 3
    house.on_loop(server.close)


async def test_a_client_that_leaves_while_it_waits_is_forgotten(house: Any, tmp_path: Path) -> None:
    asked_again = asyncio.Event()

    async def wake() -> Path:
        house.backend.wakes += 1
        if house.backend.wakes == 2:
            asked_again.set()
        return tmp_path / "nobody"

    house.backend.wake = wake
    connecting = asyncio.create_task(psycopg.AsyncConnection.connect(**house.conninfo()))
    await asyncio.wrap_future(house.thread.submit(asked_again.wait()))
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await asyncio.wrap_future(house.thread.submit(house.backend.idle.wait()))
    assert len(house.gateway.waiting_room) == 0


async def test_a_disconnect_spares_those_in_their_startup(house: Any) -> None:
    """As a failover and a pause do it: who is established hears 57P01, who connects waits."""
    established = house.connect()
    house.backend.asleep = asyncio.Event()
    connecting = asyncio.create_task(psycopg.AsyncConnection.connect(**house.conninfo()))
    await asyncio.wrap_future(house.thread.submit(house.backend.waiting.wait()))
    await asyncio.wrap_future(house.thread.submit(house.endpoint.disconnect()))
    with pytest.raises(psycopg.errors.AdminShutdown):
        established.execute("select 1")
    house.on_loop(house.backend.asleep.set)
    async with await connecting as conn:
        assert await (await conn.execute("select 1")).fetchone() == (1,)
