"""The relay over sockets of the test's own: order, backpressure, and how either end ends."""

import asyncio
import hashlib
import random
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from cluster_runtime.gateway.authentication.tls import CertificateAuthority
from cluster_runtime.gateway.relay.reactor import LoopReactor, Reactor, new_reactor
from cluster_runtime.gateway.relay.relay import BUFFER_BYTES, Relay
from cluster_runtime.gateway.relay.stream import ClientStream
from cluster_runtime.gateway.relay.traffic import Traffic
from cluster_runtime.gateway.wire import protocol

READY = b"Z\0\0\0\x05I"
ROW = b"D\0\0\0\x0f\0\x01\0\0\0\x05hello"
CANCELLED = (
    b"SWARNING\0VWARNING\0C01000\0Mcanceling wait for synchronous replication due to user request\0"
    b"Fsyncrep.c\0L306\0RSyncRepWaitForLSN\0\0"
)
NOTICE = b"N" + (len(CANCELLED) + 4).to_bytes(4) + CANCELLED
SUCCESS = b"C\0\0\0\x0fINSERT 0 1\0" + READY


@dataclass
class Ends:
    """A client, a server, and the relay between them on its reactor."""

    relay: Relay
    reactor: Reactor
    client_reader: asyncio.StreamReader
    client: asyncio.StreamWriter
    server_reader: asyncio.StreamReader
    server: asyncio.StreamWriter
    server_socket: socket.socket
    closed: asyncio.Future[str]

    def start(self, to_client: bytes = b"", to_backend: bytes = b"") -> None:
        self.reactor.call(partial(self.relay.start, to_client=to_client, to_backend=to_backend))

    def terminate(self, text: str) -> None:
        self.reactor.call(partial(self.relay.terminate, text))


@pytest.fixture(params=["clear", "tls"])
def sslmode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["thread", "loop"])
async def reactor(request: pytest.FixtureRequest) -> AsyncIterator[Reactor]:
    made = new_reactor(asyncio.get_running_loop())
    if request.param == "loop":
        made.close()
        made = LoopReactor(asyncio.get_running_loop())
    yield made
    made.close()


@pytest.fixture
async def ends(sslmode: str, reactor: Reactor, tmp_path: Path) -> AsyncIterator[Ends]:
    loop = asyncio.get_running_loop()
    outside, client = socket.socketpair()
    inside, server = socket.socketpair()
    for sock in (outside, client, inside, server):
        sock.setblocking(False)
    closed: asyncio.Future[str] = loop.create_future()
    context = None
    if sslmode == "tls":
        authority = CertificateAuthority.open(tmp_path)
        stream = ClientStream(loop, client)
        certificate = authority.server_certificate(["x.localhost"])
        serving = asyncio.create_task(stream.start_tls(certificate.context))
        context = ssl.create_default_context(cafile=str(authority.root_path))
    client_reader, client_writer = await asyncio.open_connection(
        sock=outside, ssl=context, server_hostname="x.localhost" if context else None
    )
    if context:
        client = await serving
    server_reader, server_writer = await asyncio.open_connection(sock=server)
    buffer = memoryview(bytearray(BUFFER_BYTES))

    def on_closed(reason: str) -> None:
        loop.call_soon_threadsafe(closed.set_result, reason)

    relay = Relay(reactor, client, inside, buffer=buffer, traffic=Traffic(), on_closed=on_closed)
    ends = Ends(
        relay, reactor, client_reader, client_writer, server_reader, server_writer, server, closed
    )
    yield ends
    ends.terminate("end of the test")
    await closed
    for writer in (client_writer, server_writer):
        writer.close()


async def test_what_was_read_before_comes_first(ends: Ends) -> None:
    ends.start(to_client=b"greeting", to_backend=b"early ")
    ends.client.write(b"late")
    assert await ends.client_reader.readexactly(8) == b"greeting"
    assert await ends.server_reader.readexactly(10) == b"early late"


@pytest.mark.parametrize("upwards", [True, False])
async def test_a_slow_reader_holds_its_sender_back_and_loses_nothing(
    ends: Ends, upwards: bool
) -> None:
    ends.start()
    writer = ends.client if upwards else ends.server
    reader = ends.server_reader if upwards else ends.client_reader
    data = random.Random(7).randbytes(8 * 1024 * 1024)

    async def send() -> None:
        position = 0
        while position < len(data):
            writer.write(data[position : position + 60_000])
            await writer.drain()
            position += 60_000

    sending = asyncio.create_task(send())
    # Nobody reads: the sender must come to a stop far from the end, and stay there.
    done, _ = await asyncio.wait({sending}, timeout=0.15)
    assert not done
    received = hashlib.md5(await reader.readexactly(len(data)))
    await sending
    assert received.digest() == hashlib.md5(data).digest()


async def test_both_directions_flow_at_once(ends: Ends) -> None:
    ends.start()
    up, down = (random.Random(seed).randbytes(3_000_000) for seed in (1, 2))
    ends.client.write(up)
    ends.server.write(down)
    got_up, got_down = await asyncio.gather(
        ends.server_reader.readexactly(len(up)), ends.client_reader.readexactly(len(down))
    )
    assert (got_up, got_down) == (up, down)


async def test_a_client_that_is_done_still_gets_its_answer(ends: Ends) -> None:
    if ends.client.can_write_eof():
        ends.start()
        ends.client.write(b"last question")
        ends.client.write_eof()
        assert await ends.server_reader.read() == b"last question"
        ends.server.write(b"answer")
        ends.server.close()
        assert await ends.client_reader.read() == b"answer"
        assert await ends.closed == "the client closed the connection"


async def test_a_client_that_terminates_gets_no_goodbye(ends: Ends) -> None:
    ends.start(to_client=READY, to_backend=b"X\0\0\0\x04")
    assert await ends.server_reader.readexactly(5) == b"X\0\0\0\x04"
    ends.server.close()
    assert await ends.client_reader.read() == READY
    assert await ends.closed == "the client closed the connection"


@pytest.mark.parametrize(
    "pieces", [[READY], [b"Z", b"\0\0\0", b"\x05I"], [ROW * 50 + READY], [ROW * 50]]
)
async def test_when_the_server_dies_between_messages_the_client_is_told(
    ends: Ends, pieces: list[bytes]
) -> None:
    ends.start()
    for piece in pieces:
        ends.server.write(piece)
        assert await ends.client_reader.readexactly(len(piece)) == piece
    ends.server.close()
    goodbye = await ends.client_reader.read()
    assert goodbye[:1] == b"E"
    assert b"C57P01\0" in goodbye
    assert await ends.closed == "the server closed the connection"


async def test_when_the_server_dies_inside_a_message_nothing_is_put_into_it(ends: Ends) -> None:
    ends.start(to_client=READY)
    ends.server.write(b"D\0\0\1\0half a row")
    ends.server.close()
    assert await ends.client_reader.read() == READY + b"D\0\0\1\0half a row"
    assert await ends.closed == "the server closed the connection"


async def test_a_server_that_takes_no_more_is_still_heard(ends: Ends) -> None:
    ends.start()
    ends.server.write(b"E last words")
    ends.server_socket.shutdown(socket.SHUT_RD)
    ends.client.write(b"question")
    assert await ends.client_reader.readexactly(12) == b"E last words"
    ends.server.close()
    assert await ends.client_reader.read() == b""
    await ends.closed


async def test_a_client_that_vanishes_closes_the_server_side(ends: Ends) -> None:
    ends.start()
    ends.client.transport.abort()
    assert await ends.server_reader.read() == b""
    ends.server.close()
    await ends.closed


@pytest.mark.parametrize(("last", "told"), [(READY, True), (b"D\0\0\1\0half a row", False)])
async def test_terminate_speaks_only_between_messages(ends: Ends, last: bytes, told: bool) -> None:
    ends.start(to_client=last)
    ends.terminate("goodbye")
    ends.terminate("twice")
    received = await ends.client_reader.read()
    assert received.startswith(last)
    assert (b"Mgoodbye\0" in received) is told
    assert await ends.closed == "goodbye"


@pytest.mark.parametrize("cut", [0, 1, 60, len(NOTICE) - 19, len(NOTICE) - 2, len(NOTICE)])
async def test_a_commit_let_go_before_it_was_durable_is_no_success(ends: Ends, cut: int) -> None:
    """However the notice arrives in pieces, the session ends with it."""
    ends.start()
    ends.server.write(ROW + NOTICE[:cut])
    assert await ends.client_reader.readexactly(len(ROW) + cut) == ROW + NOTICE[:cut]
    ends.server.write(NOTICE[cut:] + SUCCESS)
    rest = await ends.client_reader.read()
    assert rest.startswith(NOTICE[cut:])
    assert SUCCESS not in rest
    assert b"C08007\0" in rest
    assert "durable" in await ends.closed


async def test_a_slow_client_too_is_told_of_a_commit_that_was_let_go(ends: Ends) -> None:
    ends.start()
    rows = ROW * 500_000
    ends.server.write(rows + NOTICE + SUCCESS)
    received = await ends.client_reader.readexactly(len(rows) + len(NOTICE))
    assert received.endswith(NOTICE)
    assert (await ends.client_reader.read()).startswith(b"E")


@pytest.mark.parametrize("seed", range(3))
async def test_a_stream_full_of_that_notice_as_data_arrives_unchanged(
    ends: Ends, seed: int
) -> None:
    """Whatever its messages hold, and however they arrive in pieces."""
    ends.start()
    rng = random.Random(seed)
    baits = [NOTICE, CANCELLED, CANCELLED[-20:], b"RSyncRepWaitForLSN\0\0", b"", b"hello", READY]
    stream = b"".join(
        protocol.message(
            rng.choice([b"D", b"d", b"T", b"A", b"S", b"E"]), b"".join(rng.choices(baits, k=3))
        )
        for _ in range(2000)
    )
    reading = asyncio.create_task(ends.client_reader.readexactly(len(stream)))
    position = 0
    while position < len(stream):
        size = rng.choice([1, 3, 4, 5, 20, 400, 20_000])
        ends.server.write(stream[position : position + size])
        await ends.server.drain()
        if rng.random() < 0.2:
            await asyncio.sleep(0)
        position += size
    assert await reading == stream
    ends.server.write(NOTICE + SUCCESS)
    assert (await ends.client_reader.read()).startswith(NOTICE + b"E")


async def test_the_notices_bytes_from_a_client_are_passed_on(ends: Ends) -> None:
    ends.start(to_client=READY)
    query = protocol.message(b"Q", CANCELLED)
    ends.client.write(query + NOTICE + query)
    assert await ends.server_reader.readexactly(2 * len(query) + len(NOTICE)) == (
        query + NOTICE + query
    )


async def test_after_the_servers_own_last_words_nothing_is_added(ends: Ends) -> None:
    ends.start(to_client=READY)
    fatal = protocol.fatal("57P01", "terminating connection due to administrator command")
    ends.server.write(fatal)
    ends.server.close()
    assert await ends.client_reader.read() == READY + fatal
