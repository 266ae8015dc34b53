"""The line from an attached process to its host: one request of HTTP for each call.

A call that no host took is sent to the next one. One that was under way when the host ended is sent
again only where it reads; else nobody knows what became of it, and the caller is told so.
"""

import http.client
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cluster_runtime.control.operations.declaration import Declared, Request
from cluster_runtime.control.records.state_directory import AccessKey
from cluster_runtime.errors import HostLostError, HostVersionError
from cluster_runtime.host.attaching import PROTOCOL, Fate, may_be_sent_again
from cluster_runtime.host.wire.calls import ATTACH, CALLS, HostFacts
from cluster_runtime.host.wire.codec import decode_error, decode_result, encode
from cluster_runtime.host.wire.signature import HOST_NAME, signed_headers
from cluster_runtime.tracing import context_headers

PROTOCOL_HEADER = "Borealis-Protocol"
_EVERY = {PROTOCOL_HEADER: str(PROTOCOL), "Connection": "close"}
TRIES_MAX = 20
"""Hosts that a call meets one after the other, before it gives up."""


class NoAnswerError(Exception):
    """A host ended before it answered: raised and caught within this package."""

    def __init__(self, fate: Fate) -> None:
        super().__init__(f"the host has gone: {fate.name}")
        self.fate = fate


@dataclass(slots=True)
class Line:
    """One connection, which another thread may break off."""

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
        """End what waits on it. The host then cancels the call."""
        with self._lock:
            self.broken = True
            if self._sock is not None:
                _shut(self._sock)


@dataclass(frozen=True, slots=True)
class Host:
    """A host that answers, and the key that it knows us by."""

    facts: HostFacts
    key: AccessKey


def perform(
    request: Request,
    host: Callable[[], Host],
    lost: Callable[[Host], None],
    line: Line | None = None,
) -> Any:
    """Have the host perform a call, and return its result, undecoded.

    host: the present one, found or started. lost: told of one that does not answer any more.
    Raises what the operation declares, HostLostError, HostVersionError, and what `host` raises.
    """
    declared = request.declared
    for _ in range(TRIES_MAX):
        now = host()
        try:
            return send(now, declared, encode(request), line or Line())
        except NoAnswerError as gone:
            if line is not None and line.broken:
                raise
            lost(now)
            if not may_be_sent_again(gone.fate, reads=declared.reads):
                raise HostLostError(
                    f"the host ended while {declared.method} was under way, so it may be done or "
                    "not; look before you call it again"
                ) from gone
    raise HostLostError(f"{declared.method} met {TRIES_MAX} hosts that ended before they answered")


def send(host: Host, declared: Declared, parameters: object, line: Line) -> Any:
    """Send a call to one host and read its answer.

    Raises NoAnswerError where it gives none, HostVersionError, and what the operation raises.
    """
    status, answer = _exchange(host, path_of(declared), json.dumps(parameters).encode(), line)
    if status == HTTPStatus.OK:
        return decode_result(declared.result, answer["result"])
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise NoAnswerError(Fate.NOT_SENT)
    if status == HTTPStatus.NOT_FOUND:
        raise HostVersionError(
            f"the host of this state directory, process {host.facts.pid}, is Borealis "
            f"{host.facts.version}, which has no {declared.method}; run borealis serve --replace"
        )
    raise decode_error(answer)


def open_attachment(host: Host, line: Line) -> http.client.HTTPResponse:
    """A response that lasts as long as the host and this process do.

    Raises NoAnswerError where the host has gone, and what the host refuses.
    """
    response = _request(host, f"/host/{ATTACH}", b"{}", line)
    if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise NoAnswerError(Fate.NOT_SENT)
    if response.status != HTTPStatus.OK:
        raise decode_error(_read(response))
    return response


def connect(path: Path) -> socket.socket:
    """A connection to a host. Raises OSError where nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def path_of(declared: Declared) -> str:
    """Where a call is sent to."""
    return f"/{'host' if declared in CALLS else 'operations'}/{declared.name}"


def _exchange(host: Host, path: str, body: bytes, line: Line) -> tuple[int, Any]:
    response = _request(host, path, body, line)
    with response:
        return response.status, _read(response)


def _request(host: Host, path: str, body: bytes, line: Line) -> http.client.HTTPResponse:
    try:
        sock = connect(host.facts.socket)
    except OSError as error:
        raise NoAnswerError(Fate.NOT_SENT) from error
    line.use(sock)
    connection = http.client.HTTPConnection(HOST_NAME)
    connection.sock = sock
    headers = signed_headers(path, body, host.key, datetime.now(UTC)) | context_headers()
    try:
        connection.request("POST", path, body, headers | _EVERY)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise NoAnswerError(Fate.UNKNOWN) from error
    except BaseException:
        connection.close()
        raise


def _read(response: http.client.HTTPResponse) -> Any:
    try:
        return json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(Fate.UNKNOWN) from error


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
