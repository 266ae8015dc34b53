"""Servers that do not behave, played by the test: what the client is told."""

import asyncio
import queue
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from cluster_runtime.gateway import Login, make_verifier
from cluster_runtime.gateway.wire import protocol

READY = protocol.message(b"Z", b"I")
KEY_DATA = protocol.message(b"K", struct.pack("!II", 1, 2))
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def play(house: Any, tmp_path: Path) -> Iterator[Callable[[Conversation], None]]:
    """Put a server of the test's own behind the endpoint."""
    servers: list[asyncio.Server] = []

    async def login(user: str) -> Login:
        return Login(user, make_verifier(house.password))

    def start(conversation: Conversation) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            try:
                await conversation(reader, writer)
            finally:
                writer.close()

        house.backend.socket_path = tmp_path / "socket"
        house.backend.login = login
        servers.append(house.call(asyncio.start_unix_server(serve, house.backend.socket_path)))

    yield start
    for server in servers:
        house.on_loop(server.close)


def refused(house: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        house.connect()
    return str(caught.value)


def test_a_server_that_asks_for_a_password_is_not_given_one(house: Any, play: Any) -> None:
    answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.AUTHENTICATION_CLEARTEXT_PASSWORD)
        answers.put(await reader.read())

    play(conversation)
    assert "does not know its gateway" in refused(house)
    assert answers.get(timeout=20) == b""


def test_a_server_that_closes_at_once_is_reported(house: Any, play: Any) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    house.reopen(authentication_timeout=2)
    play(conversation)
    assert "went away while connecting" in refused(house)


def test_an_older_servers_negotiation_stays_behind_the_gateway(house: Any, play: Any) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.negotiate_protocol_version(protocol.ProtocolVersion(3, 0), ()))
        await writer.drain()
        writer.write(protocol.AUTHENTICATION_OK + KEY_DATA + READY)
        await reader.read()

    play(conversation)
    house.connect(max_protocol_version="3.2").close()


def test_when_the_server_is_killed_an_idle_client_sees_57p01(house: Any, play: Any) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.AUTHENTICATION_OK + KEY_DATA + READY)
        await reader.readexactly(1)  # the query arrives, and the server dies over it

    play(conversation)
    with house.connect() as conn, pytest.raises(errors.AdminShutdown, match="gone away"):
        conn.execute("select 1")


def test_a_server_that_never_answers_is_given_up_with_the_client(house: Any, play: Any) -> None:
    given_up: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given_up.put(await reader.read())

    play(conversation)
    house.reopen(authentication_timeout=1)
    assert "timeout" in refused(house)
    assert given_up.get(timeout=20) == b""
