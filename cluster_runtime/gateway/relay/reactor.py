"""Where relays run: one thread that waits for all their sockets at once.

Apart from the event loop of the runtime, for two reasons. What the runtime does there (a catalog
commit, a cluster that starts) never delays a byte of a client; and waiting on epoll straight from
Python costs less for each event than a general event loop does, which `bench/gateway.py` shows.
Systems without epoll relay on the event loop.
"""

import asyncio
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from cluster_runtime.logs import get_logger

Callback = Callable[[], None]

log = get_logger(__name__)


class Reactor(Protocol):
    """Calls back when a socket is ready. All but `call` and `close` belong to its own thread."""

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever a socket can be read."""

    def remove_reader(self, fd: int) -> None:
        """Watch a socket for reading no more."""

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back whenever a socket can be written."""

    def remove_writer(self, fd: int) -> None:
        """Watch a socket for writing no more."""

    def call(self, callback: Callback) -> None:
        """Have a callback run by the reactor soon. From any thread."""

    def close(self) -> None:
        """Stop; nothing may be registered any more."""


def new_reactor(loop: asyncio.AbstractEventLoop) -> Reactor:
    """A thread of its own where the system has epoll, else the event loop."""
    return EpollThread("gateway-relay") if hasattr(select, "epoll") else LoopReactor(loop)


class LoopReactor:
    """The reactor that any event loop is."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever a socket can be read."""
        self._loop.add_reader(fd, callback)

    def remove_reader(self, fd: int) -> None:
        """Watch a socket for reading no more."""
        self._loop.remove_reader(fd)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back whenever a socket can be written."""
        self._loop.add_writer(fd, callback)

    def remove_writer(self, fd: int) -> None:
        """Watch a socket for writing no more."""
        self._loop.remove_writer(fd)

    def call(self, callback: Callback) -> None:
        """Have a callback run soon. From any thread."""
        self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """The loop goes on without us."""


class EpollThread:
    """Level-triggered epoll in a daemon thread."""

    def __init__(self, name: str) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._calls: deque[Callback] = deque()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._open = True
        self.add_reader(self._woken.fileno(), self._run_calls)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call back whenever a socket can be read."""
        self._readers[fd] = callback
        self._register(fd, known=fd in self._writers)

    def remove_reader(self, fd: int) -> None:
        """Watch a socket for reading no more."""
        del self._readers[fd]
        self._register(fd, known=True)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call back whenever a socket can be written."""
        self._writers[fd] = callback
        self._register(fd, known=fd in self._readers)

    def remove_writer(self, fd: int) -> None:
        """Watch a socket for writing no more."""
        del self._writers[fd]
        self._register(fd, known=True)

    def call(self, callback: Callback) -> None:
        """Have a callback run soon. From any thread."""
        self._calls.append(callback)
        try:
            self._waker.send(b"\0")
        except BlockingIOError:  # it has been woken often enough
            return

    def close(self) -> None:
        """End the thread; nothing may be registered any more."""
        self.call(self._stop)
        self._thread.join()
        self._epoll.close()
        self._woken.close()
        self._waker.close()

    def _register(self, fd: int, *, known: bool) -> None:
        events = (select.EPOLLIN if fd in self._readers else 0) | (
            select.EPOLLOUT if fd in self._writers else 0
        )
        if not events:
            self._epoll.unregister(fd)
        elif known:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)

    def _run(self) -> None:
        poll, readers, writers = self._epoll.poll, self._readers, self._writers
        readable, writable = select.EPOLLIN, select.EPOLLOUT
        while self._open:
            # An event of a socket that an earlier callback has closed finds no callback, or that
            # of a new socket of the same number, which then finds nothing to read.
            for fd, events in poll():
                if events == readable:
                    self._guarded(fd, readers.get(fd))
                    continue
                if events & ~writable:  # a hang-up or an error shows in the read
                    self._guarded(fd, readers.get(fd))
                if events & ~readable:  # ... or in the write, if nobody reads
                    self._guarded(fd, writers.get(fd))

    def _guarded(self, fd: int, callback: Callback | None) -> None:
        if callback is None:
            return
        try:
            callback()
        except Exception as error:
            log.error("relay failed", exc_info=error)
            if fd != self._woken.fileno():
                self._forget(fd)

    def _forget(self, fd: int) -> None:
        """Wait no more for a socket whose callback failed: it would be called forever."""
        known = fd in self._readers or fd in self._writers
        self._readers.pop(fd, None)
        self._writers.pop(fd, None)
        if known:
            self._epoll.unregister(fd)

    def _run_calls(self) -> None:
        self._woken.recv(4096)
        while self._calls:
            self._calls.popleft()()

    def _stop(self) -> None:
        self._open = False
