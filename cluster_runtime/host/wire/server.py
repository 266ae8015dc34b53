"""An ASGI application on a unix socket, served on the loop that hosts everything."""

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster_runtime.host.wire.requests import Application

if TYPE_CHECKING:
    from uvicorn.server import ServerState

KEEP_ALIVE_SECONDS = 60
CLOSE_SECONDS_MAX = 2.0

MakeProtocol = Callable[[], asyncio.Protocol]


class SocketServer:
    """Uvicorn's HTTP on a listening socket, without its signal handlers and its clock.

    An idle host does nothing.
    """

    def __init__(self, server: asyncio.AbstractServer, state: "ServerState") -> None:
        self._server = server
        self._state = state

    @classmethod
    async def open(cls, application: Application, listener: socket.socket) -> "SocketServer":
        """Serve an application until `close`."""
        # In a thread, for the loop goes on meanwhile: uvicorn takes a while to load.
        make, state = await asyncio.to_thread(_protocol, application, asyncio.get_running_loop())
        loop = asyncio.get_running_loop()
        return cls(await loop.create_unix_server(make, sock=listener), state)

    def stop_listening(self) -> None:
        """Refuse new connections."""
        self._server.close()

    async def close(self) -> None:
        """Let the answers that are ready leave, and close every connection."""
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=CLOSE_SECONDS_MAX)
        for connection in list(self._state.connections):
            connection.transport.close()


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
