"""Requests on the socket of a host: whose they are, which call each is, and its answer.

An ASGI application. A caller who leaves cancels his call, as an interrupt does in the host itself.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from cluster_runtime.control.operations import OPERATIONS, Declared, Request
from cluster_runtime.control.records.state_directory import AccessKey
from cluster_runtime.errors import BorealisError, HostVersionError, InvalidParameterError
from cluster_runtime.host.attaching import PROTOCOL
from cluster_runtime.host.wire.calls import ATTACH, CALLS, HostStatus
from cluster_runtime.host.wire.codec import decode_request, encode, encode_error, encode_result
from cluster_runtime.host.wire.link import PROTOCOL_HEADER, path_of
from cluster_runtime.host.wire.signature import is_signed
from cluster_runtime.logs import get_logger
from cluster_runtime.tracing import continued

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX = 1 << 20
PATHS: Mapping[str, Declared] = {path_of(each): each for each in (*OPERATIONS, *CALLS)}
ATTACH_PATH = f"/host/{ATTACH}"

_log = get_logger(__name__)


class CallerLeftError(Exception):
    """Nobody waits for the answer: raised and caught within this module."""


class Requests:
    """The calls of attached processes.

    perform: performs a call. describe: the host now.
    """

    def __init__(
        self,
        key: AccessKey,
        perform: Callable[[Request], Awaitable[Any]],
        describe: Callable[[], HostStatus],
    ) -> None:
        self.attached = 0
        self.calls = 0
        self._key = key
        self._perform = perform
        self._describe = describe
        self._ending = asyncio.Event()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        try:
            body = await _body(receive)
        except CallerLeftError:
            return
        status, answer = self._refusal(scope, body)
        if status is not HTTPStatus.OK:
            await _answer(send, status, answer)
        elif path == ATTACH_PATH:
            await self._stay(receive, send)
        else:
            with continued(_headers(scope)):
                await self._call(PATHS[path], body, receive, send)

    async def end(self, patience_seconds: float) -> None:
        """Take no more calls; return when those under way have ended, or been cancelled."""
        self._ending.set()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=patience_seconds)
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _refusal(self, scope: Scope, body: bytes) -> tuple[HTTPStatus, Any]:
        """Why a request is refused; OK where it is not."""
        headers = _headers(scope)
        path = scope["path"]
        if scope["method"] != "POST" or not is_signed(
            path, body, headers, self._key, datetime.now(UTC)
        ):
            said = "the request is not signed with the key of this host's state directory"
            return HTTPStatus.FORBIDDEN, encode_error(BorealisError(said))
        if headers.get(PROTOCOL_HEADER.lower()) != str(PROTOCOL):
            said = (
                f"this host, Borealis {version('borealis-postgres')}, speaks protocol {PROTOCOL} "
                f"and the program {headers.get(PROTOCOL_HEADER.lower())}; upgrade the older one, "
                "and run borealis serve --replace"
            )
            return HTTPStatus.UPGRADE_REQUIRED, encode_error(HostVersionError(said))
        if self._ending.is_set():
            return HTTPStatus.SERVICE_UNAVAILABLE, {}
        if path != ATTACH_PATH and path not in PATHS:
            return HTTPStatus.NOT_FOUND, {}
        return HTTPStatus.OK, {}

    async def _call(self, declared: Declared, body: bytes, receive: Receive, send: Send) -> None:
        self.calls += 1
        task = asyncio.ensure_future(self._result(declared, body))
        self._under_way.add(task)
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                _log.info("caller left", operation=declared.name)
            elif task.cancelled():
                pass  # the host ends; the caller sees that the line is cut
            else:
                await _answer(send, *task.result())
        finally:
            leaving.cancel()
            self._under_way.discard(task)
            self.calls -= 1

    async def _result(self, declared: Declared, body: bytes) -> tuple[HTTPStatus, Any]:
        try:
            request = decode_request(declared.request, json.loads(body))
            result = await self._perform(request)
            return HTTPStatus.OK, {"result": encode_result(result)}
        except BorealisError as error:
            return HTTPStatus.BAD_REQUEST, encode_error(error)
        except (TypeError, KeyError, ValueError) as error:
            _log.exception("call failed", operation=declared.name)
            refused = InvalidParameterError(f"{declared.name} cannot be read: {error}")
            return HTTPStatus.BAD_REQUEST, encode_error(refused)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
            _log.exception("call failed", operation=declared.name)
            said = f"{declared.method} failed in the host: {type(error).__name__}: {error}"
            return HTTPStatus.INTERNAL_SERVER_ERROR, encode_error(BorealisError(said))

    async def _stay(self, receive: Receive, send: Send) -> None:
        """Tell who hosts; then hold the line until one side ends."""
        self.attached += 1
        ends = [asyncio.ensure_future(_left(receive)), asyncio.ensure_future(self._ending.wait())]
        try:
            await _start(send, HTTPStatus.OK)
            first = json.dumps(encode(self._describe())).encode() + b"\n"
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.attached -= 1
            for each in ends:
                each.cancel()


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerLeftError
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > BODY_BYTES_MAX:
            return bytes(body)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: HTTPStatus, data: Any) -> None:
    await _start(send, status)
    await send({"type": "http.response.body", "body": json.dumps(data).encode()})


async def _start(send: Send, status: HTTPStatus) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
