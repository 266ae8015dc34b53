"""A TCP proxy between a client and PostgreSQL, whose connections a test can cut."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class CuttingProxy:
    """Relays bytes both ways; `cut()` ends every open connection without a word."""

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._host, self._port = str(parts["host"]), int(str(parts.get("port") or 5432))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.accepted = 0
        self._marked: bytes | None = None
        self._losing: set[socket.socket] = set()
        self.dsn = make_conninfo(
            dsn, host="127.0.0.1", hostaddr="", port=self._listener.getsockname()[1]
        )
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> int:
        """End all connections; how many pairs of sockets there were."""
        with self._lock:
            doomed, self._open = self._open, set()
        for end in doomed:
            _shut(end)
        return len(doomed) // 2

    def lose_answer(self, to: bytes) -> None:
        """Let the next statement that holds these bytes run, and cut instead of the answer."""
        with self._lock:
            self._marked = to

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._open) // 2

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            with self._lock:
                self.accepted += 1
                self._open |= {client, server}
            for source, target in ((client, server), (server, client)):
                thread = threading.Thread(
                    target=self._relay, args=(source, target, server), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _connect(self) -> socket.socket:
        if self._host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._host}/.s.PGSQL.{self._port}")
            return server
        return socket.create_connection((self._host, self._port))

    def _relay(self, source: socket.socket, target: socket.socket, server: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    if source is not server and self._marked and self._marked in data:
                        self._marked = None
                        self._losing.add(server)
                    if source is server and server in self._losing:
                        break
                target.sendall(data)
        except OSError:
            pass
        with self._lock:
            self._open -= {source, target}
        _shut(source)
        _shut(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _shut(self._listener)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
