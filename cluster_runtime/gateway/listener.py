"""Listening on loopback: 127.0.0.1 and ::1 under one port number."""

import asyncio
import errno
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

from cluster_runtime.errors import PortInUseError
from cluster_runtime.logs import get_logger

BACKLOG = 512
ACCEPTED_AT_ONCE = 32
ATTEMPTS = 64  # a free port of IPv4 may be taken on IPv6
PAUSE_AFTER_ERROR_SECONDS = 1.0
PAUSE_WHILE_ROOM_IS_MADE_SECONDS = 0.02
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
_EXHAUSTED = {errno.EMFILE, errno.ENFILE}
_TAKEN = {errno.EADDRINUSE, errno.EACCES}

log = get_logger(__name__)


def bind_loopback(port: int | None) -> list[socket.socket]:
    """Listening sockets of one port, on 127.0.0.1 and (where the machine has it) ::1.

    port: None for any free one. Raises PortInUseError; no socket is left open then.
    """
    for _ in range(ATTEMPTS):
        first = _listen(socket.AF_INET, "127.0.0.1", port or 0)
        try:
            second = _listen(socket.AF_INET6, "::1", first.getsockname()[1])
        except PortInUseError:
            first.close()
            if port is not None:
                raise
        except OSError as error:
            if error.errno not in _NO_SUCH_FAMILY:
                first.close()
                raise
            return [first]
        else:
            return [first, second]
    raise PortInUseError(f"found no port that is free on 127.0.0.1 and ::1 in {ATTEMPTS} attempts")


class ListeningSockets:
    """All listening sockets of a gateway, which its loop watches as one: a paused cluster has six.

    Each of them costs a few hundred bytes here, and a loop would take some thousands.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._selector = selectors.DefaultSelector()
        loop.add_reader(self._selector.fileno(), self._ready)

    def add(self, sock: socket.socket, listener: "Listener") -> None:
        """Have the listener accept at this socket whenever somebody waits there."""
        self._selector.register(sock, selectors.EVENT_READ, listener)

    def remove(self, sock: socket.socket) -> None:
        """Let whoever comes wait. Harmless for a socket that is not watched."""
        with suppress(KeyError):
            self._selector.unregister(sock)

    def close(self) -> None:
        """Watch none any more."""
        self._loop.remove_reader(self._selector.fileno())
        self._selector.close()

    def _ready(self) -> None:
        for key, _ in self._selector.select(0):
            key.data.accept(key.fileobj)


class Listener:
    """Accepts on a port's sockets and hands each client over, non-blocking.

    on_exhausted: called when the process is out of file descriptors; whether some are coming free.
    """

    __slots__ = ("_loop", "_on_client", "_on_exhausted", "_open", "_sockets", "_watched")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watched: ListeningSockets,
        sockets: list[socket.socket],
        on_client: Callable[[socket.socket], None],
        on_exhausted: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._watched = watched
        self._sockets = sockets
        self._on_client = on_client
        self._on_exhausted = on_exhausted
        self._open = True
        for sock in sockets:
            self._listen_on(sock)

    @property
    def port(self) -> int:
        """The port, which all its sockets share."""
        return int(self._sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        self._open = False
        for sock in self._sockets:
            self._watched.remove(sock)
            sock.close()

    def _listen_on(self, sock: socket.socket) -> None:
        if self._open:
            self._watched.add(sock, self)

    def accept(self, sock: socket.socket) -> None:
        """Take those in who wait at a socket."""
        for _ in range(ACCEPTED_AT_ONCE):  # those who came before get on in between
            try:
                client, _ = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of file descriptors or memory: it may pass
                self._watched.remove(sock)
                soon = error.errno in _EXHAUSTED and self._on_exhausted()
                pause = PAUSE_WHILE_ROOM_IS_MADE_SECONDS if soon else PAUSE_AFTER_ERROR_SECONDS
                log.error("accept failed", port=self.port, error=str(error), again_in=pause)
                self._loop.call_later(pause, self._listen_on, sock)
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._on_client(client)


def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno in _TAKEN:
            raise PortInUseError(
                f"port {port} on {host} cannot be listened on ({error.strerror}); "
                "choose another one, or none to get any that is free"
            ) from error
        raise
    return sock
