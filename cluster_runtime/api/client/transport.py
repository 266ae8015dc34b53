"""One HTTP request to an endpoint: over a loopback port or a unix socket. Blocking."""

import http.client
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cluster_runtime.errors import BorealisError


class EndpointUnreachableError(BorealisError):
    """Nobody answers at an endpoint. Once a host runs there, the same call works."""

    retry_helps = True


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
    address: Address, headers: Mapping[str, str], body: bytes, *, timeout: float | None = None
) -> HttpAnswer:
    """Send a POST of `/` with these headers, `host` among them. timeout: seconds without a byte.

    Raises EndpointUnreachableError where nobody takes it, or the answer ends too soon.
    """
    connection = _connection(address, timeout)
    try:
        connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name != "content-length":
                connection.putheader(name, value)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return HttpAnswer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    except (OSError, http.client.HTTPException) as error:
        where = address.path or address.url
        raise EndpointUnreachableError(
            f"no answer from {where}: {error}; is its host running?"
        ) from error
    finally:
        connection.close()


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
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
