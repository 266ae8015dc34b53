"""What an ASGI server and an application say to each other, as far as the endpoint needs it."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class CallerLeftError(Exception):
    """Nobody waits for the answer: raised and caught within the endpoint."""


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request; names in lower case, those that came twice as one."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def is_by_socket(scope: Scope) -> bool:
    """Whether a request came by a Unix socket: such a server has a path, and no port."""
    server = scope.get("server")
    return server is not None and server[1] is None


async def body_of(receive: Receive, bytes_max: int) -> bytes | None:
    """The body of a request; None for one that is too large. Raises CallerLeftError."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerLeftError
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if not message.get("more_body"):
            return bytes(body)


async def left(receive: Receive) -> None:
    """Wait until the caller has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def begin(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Begin an answer."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def say(send: Send, body: bytes, *, more: bool = False) -> None:
    """Send the body of an answer, or a part of it."""
    await send({"type": "http.response.body", "body": body, "more_body": more})
