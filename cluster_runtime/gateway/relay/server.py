"""The server's side of a session: its socket, its startup, a request to cancel."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.gateway.relay.greeting import Greeting, InstanceGoneError, read_greeting

CANCEL_SECONDS = 10.0
READ_BYTES = 8192
BACKLOG_FULL_RETRY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Server:
    """A server process that has greeted; `sock` belongs to whoever holds this."""

    sock: socket.socket
    path: Path
    greeting: Greeting


async def open_server(
    loop: asyncio.AbstractEventLoop, path: Path, startup_message: bytes
) -> Server:
    """Connect, and read until the session begins or is refused.

    Raises ProtocolError, and OSError (InstanceGoneError among them) when the instance goes away.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _connect(sock, path)
        await loop.sock_sendall(sock, startup_message)
        received = b""
        while (greeting := read_greeting(received)) is None:
            data = await loop.sock_recv(sock, READ_BYTES)
            if not data:
                raise InstanceGoneError("the server closed the connection during startup")
            received += data
    except BaseException:
        sock.close()
        raise
    return Server(sock, path, greeting)


async def send_cancel(loop: asyncio.AbstractEventLoop, path: Path, packet: bytes) -> None:
    """Hand a CancelRequest to PostgreSQL, which closes when it is done. None answers it.

    Raises OSError, and TimeoutError after 10 s.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        async with asyncio.timeout(CANCEL_SECONDS):
            await _connect(sock, path)
            await loop.sock_sendall(sock, packet)
            await loop.sock_recv(sock, 1)


async def _connect(sock: socket.socket, path: Path) -> None:
    while True:
        try:
            sock.connect(str(path))
        except BlockingIOError:  # unix sockets: the server's backlog is full
            await asyncio.sleep(BACKLOG_FULL_RETRY_SECONDS)
        else:
            return
