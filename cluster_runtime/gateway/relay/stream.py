"""A client's socket during its startup: reads no byte more than it is asked for.

So that TLS can begin at any byte: what follows an SSLRequest is still in the kernel.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from cluster_runtime.gateway.relay.relay import NOT_NOW

EARLY_BYTES_MAX = 16 * 1024


class ClientStream:
    """Waits and reads on a non-blocking socket, which `start_tls` replaces by a TLS one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = loop
        self._early = b""

    async def peek(self) -> int | None:
        """The first byte, left unread; None: the client closed without a word."""
        while True:
            try:
                data = self.sock.recv(1, socket.MSG_PEEK)
            except NOT_NOW:
                await self._readable()
            except OSError:
                return None
            else:
                return data[0] if data else None

    async def read(self, limit: int) -> bytes:
        """Some bytes, at most `limit`; none: the client has closed its side."""
        if self._early:
            data, self._early = self._early[:limit], self._early[limit:]
            return data
        while True:
            try:
                return self.sock.recv(limit)
            except ssl.SSLWantWriteError:
                await self._writable()
            except NOT_NOW:
                await self._readable()
            except OSError:
                return b""

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises OSError when the client is gone."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except NOT_NOW:
                await self._writable()

    async def start_tls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """TLS as the server. Raises ssl.SSLError or OSError when it cannot be agreed on."""
        tls = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        self.sock = tls
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._readable()
            except ssl.SSLWantWriteError:
                await self._writable()
            else:
                return tls

    async def left(self) -> None:
        """Returns when the client has closed its side; what it sends before is kept for `read`."""
        while len(self._early) < EARLY_BYTES_MAX:
            try:
                data = self.sock.recv(EARLY_BYTES_MAX)
            except NOT_NOW:
                await self._readable()
            except OSError:
                return
            else:
                if not data:
                    return
                self._early += data
        await self._loop.create_future()  # it has said more than it may; its end shows later

    def take_early(self) -> bytes:
        """What the client sent ahead of its turn."""
        data, self._early = self._early, b""
        return data

    def send_last(self, data: bytes) -> None:
        """Send as much as goes without waiting: nobody hears it who is gone, or too slow."""
        with suppress(OSError, ssl.SSLError):
            self.sock.send(data)

    def discard_unread(self) -> None:
        """Take in what has arrived. Closing a socket over unread bytes resets the connection, and
        the client loses the error that it was just sent.
        """
        with suppress(OSError):
            self.sock.recv(EARLY_BYTES_MAX)

    async def _readable(self) -> None:
        await _ready(self.sock.fileno(), self._loop.add_reader, self._loop.remove_reader)

    async def _writable(self) -> None:
        await _ready(self.sock.fileno(), self._loop.add_writer, self._loop.remove_writer)


async def _ready(
    fd: int,
    add: Callable[..., None],
    remove: Callable[[int], bool],
) -> None:
    ready = asyncio.get_running_loop().create_future()

    def set_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    add(fd, set_ready)
    try:
        await ready
    finally:
        remove(fd)
