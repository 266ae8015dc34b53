"""Serves the endpoint where clients reach it: on listening sockets, on the loop of the host."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cluster_runtime.api.asgi import Application
from cluster_runtime.errors import PortInUseError

if TYPE_CHECKING:
    from uvicorn.server import ServerState

LOOPBACK = "127.0.0.1"
BACKLOG = 128
KEEP_ALIVE_SECONDS = 60
CLOSE_SECONDS_MAX = 2.0

MakeProtocol = Callable[[], asyncio.Protocol]


class ApiServer:
    """Uvicorn's HTTP on listening sockets, without its signal handlers and its clock.

    An idle host does nothing.
    """

    def __init__(self, servers: Sequence[asyncio.AbstractServer], state: "ServerState") -> None:
        self._servers = servers
        self._state = state

    @classmethod
    async def open(
        cls, application: Application, listeners: Iterable[socket.socket]
    ) -> "ApiServer":
        """Serve an application until `close`, which closes the listeners too."""
        # In a thread, for the loop goes on meanwhile: uvicorn takes a while to load.
        loop = asyncio.get_running_loop()
        make, state = await asyncio.to_thread(_protocol, application, loop)
        servers = [
            await loop.create_unix_server(make, sock=each)
            if each.family == socket.AF_UNIX
            else await loop.create_server(make, sock=each)
            for each in listeners
        ]
        return cls(servers, state)

    def stop_listening(self) -> None:
        """Refuse new connections."""
        for each in self._servers:
            each.close()

    async def close(self) -> None:
        """Let the answers that are ready leave, and close every connection."""
        self.stop_listening()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=CLOSE_SECONDS_MAX)
        for connection in list(self._state.connections):
            connection.transport.close()


def listen_on_loopback(ports: Iterable[int]) -> socket.socket:
    """A listening socket on the first of these ports that is free; 0 is any.

    Raises PortInUseError where none is.
    """
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            continue
        return listener
    raise PortInUseError(f"port {port} of {LOOPBACK} is taken; choose another one for the endpoint")


def _protocol(
    application: Application, loop: asyncio.AbstractEventLoop
) -> tuple[MakeProtocol, "ServerState"]:
    from uvicorn.config import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    config = Config(
        application,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    state = ServerState()
    return lambda: H11Protocol(config, state, {}, loop), state
