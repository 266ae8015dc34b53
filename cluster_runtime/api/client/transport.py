"""One HTTP request to an endpoint: over a loopback port or a unix socket. Blocking."""

import http.client
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Said


class EndpointUnreachableError(BorealisError):
    """Nobody answers at an endpoint. Once a host runs there, the same call works.

    sent: whether the request went out, so that it may be carried out all the same.
    """

    retry_helps = True

    def __init__(self, *said: Said, sent: bool = False) -> None:
        super().__init__(*said)
        self.sent = sent


@dataclass(slots=True)
class Line:
    """One connection, which another thread may break off. A host then cancels the call on it."""

    broken: bool = False
    _sock: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def use(self, sock: socket.socket) -> None:
        """Note the connection in use, or break it at once where that was asked for already."""
        with self._lock:
            self._sock = sock
            if self.broken:
                _shut(sock)

    def break_off(self) -> None:
        """End what waits on it."""
        with self._lock:
            self.broken = True
            if self._sock is not None:
                _shut(self._sock)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is. Either path, of a unix socket, or host and port."""

    host: str = "localhost"
    port: int | None = None
    path: Path | None = None
    tls: bool = False

    @classmethod
    def of(cls, endpoint: str | Path) -> "Address":
        """Of a URL or of the path of a socket."""
        text = str(endpoint)
        if isinstance(endpoint, Path) or "://" not in text:
            return cls(path=Path(text).expanduser())
        url = urlsplit(text)
        return cls(url.hostname or "localhost", url.port, tls=url.scheme == "https")

    @property
    def host_header(self) -> str:
        """As the `Host` header names it."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """For whoever needs a URL; that of a unix socket leads nowhere by itself."""
        return f"{'https' if self.tls else 'http'}://{self.host_header}"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(
    address: Address,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout: float | None = None,
    line: Line | None = None,
) -> HttpAnswer:
    """Send a POST of `/` with these headers, `host` among them. timeout: seconds without a byte.

    Raises EndpointUnreachableError where nobody takes it, or the answer ends too soon.
    """
    with open_post(address, headers, body, timeout=timeout, line=line) as response:
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(address, error, sent=True) from error
        names = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, names, content)


def open_post(
    address: Address,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout: float | None = None,
    line: Line | None = None,
) -> http.client.HTTPResponse:
    """The same, with an answer that has just begun. Raises EndpointUnreachableError."""
    connection = _connection(address, timeout)
    try:
        connection.connect()
    except OSError as error:
        raise _unreachable(address, error, sent=False) from error
    if line is not None:
        line.use(connection.sock)
    try:
        connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name not in ("connection", "content-length"):
                connection.putheader(name, value)
        connection.putheader("connection", "close")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        return connection.getresponse()  # which has the socket from now on, and closes it
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise _unreachable(address, error, sent=True) from error
    except BaseException:
        connection.close()
        raise


def _unreachable(address: Address, error: Exception, *, sent: bool) -> EndpointUnreachableError:
    where = address.path or address.url
    return EndpointUnreachableError(
        f"no answer from {where}: {error}; is its host running?", sent=sent
    )


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself


def _connection(address: Address, timeout: float | None) -> http.client.HTTPConnection:
    if address.path is not None:
        return _OverUnixSocket(str(address.path), timeout)
    kind = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
    return kind(address.host, address.port, timeout=timeout)


class _OverUnixSocket(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        owner = os.stat(self._path).st_uid
        if owner != os.geteuid():
            raise PermissionError(f"the socket belongs to user id {owner}")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout)
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
