"""Listening on loopback: 127.0.0.1 and ::1 under one port number."""

import asyncio
import errno
import os
import select
import socket
from collections.abc import Callable

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

    Each of them costs a number and a place in a table; a socket object, and what a loop has for
    one, would take some thousands of bytes.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_exhausted: Callable[[], bool] = lambda: False
    ) -> None:
        """on_exhausted: called when the process is out of file descriptors; whether some are
        coming free.
        """
        self.loop = loop
        self.on_exhausted = on_exhausted
        self._listeners: dict[int, Listener] = {}
        # Elsewhere than on Linux the loop watches each of them.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._ready)

    def add(self, fd: int, listener: "Listener") -> None:
        """Have the listener accept at this socket whenever somebody waits there."""
        self._listeners[fd] = listener
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLIN)
        else:
            self.loop.add_reader(fd, listener.accept, fd)

    def remove(self, fd: int) -> None:
        """Let whoever comes wait. Harmless for a socket that is not watched."""
        if self._listeners.pop(fd, None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(fd)
        else:
            self.loop.remove_reader(fd)

    def close(self) -> None:
        """Watch none any more."""
        for fd in list(self._listeners):
            self.remove(fd)
        if self._epoll is not None:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _ready(self) -> None:
        assert self._epoll is not None, "the loop watches it"
        for fd, _ in self._epoll.poll(0):
            listener = self._listeners.get(fd)
            if listener is not None:  # one that came before it may have closed it
                listener.accept(fd)


class Listener:
    """Accepts on a port's sockets, which are its own, and hands each client over, non-blocking."""

    __slots__ = ("_fds", "_on_client", "_open", "_watched", "port")

    def __init__(
        self,
        watched: ListeningSockets,
        sockets: list[socket.socket],
        on_client: Callable[[socket.socket], None],
    ) -> None:
        self._watched = watched
        self._on_client = on_client
        self._open = True
        self.port: int = sockets[0].getsockname()[1]
        """Which all its sockets share."""
        self._fds = tuple(sock.detach() for sock in sockets)
        for fd in self._fds:
            self._listen_at(fd)

    def close(self) -> None:
        """Stop listening."""
        if not self._open:
            return
        self._open = False
        for fd in self._fds:
            self._watched.remove(fd)
            os.close(fd)

    def _listen_at(self, fd: int) -> None:
        if self._open:
            self._watched.add(fd, self)

    def accept(self, fd: int) -> None:
        """Take those in who wait at a socket."""
        # The first is that of IPv4; without it a client's address would not be understood.
        family = socket.AF_INET if fd == self._fds[0] else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM, 0, fd)
        try:
            self._accept(fd, sock)
        finally:
            sock.detach()

    def _accept(self, fd: int, sock: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):  # those who came before get on in between
            if not self._open:
                return
            try:
                client = _accepted(sock)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of file descriptors or memory: it may pass
                self._watched.remove(fd)
                soon = error.errno in _EXHAUSTED and self._watched.on_exhausted()
                pause = PAUSE_WHILE_ROOM_IS_MADE_SECONDS if soon else PAUSE_AFTER_ERROR_SECONDS
                log.error("accept failed", port=self.port, error=str(error), again_in=pause)
                self._watched.loop.call_later(pause, self._listen_at, fd)
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._on_client(client)


def _accepted(sock: socket.socket) -> socket.socket:
    client, _ = sock.accept()
    return client


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
