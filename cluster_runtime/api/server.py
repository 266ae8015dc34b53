"""Serves the endpoint where clients reach it: a loopback port and a private unix socket."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from cluster_runtime.errors import PortInUseError, StateDirectoryError

LOOPBACK = "127.0.0.1"
BACKLOG = 128
SHUTDOWN_SECONDS_MAX = 5


class ApiServer:
    """Serves an application (`build_app`) until `close`. All methods run on the runtime's loop.

    port: of 127.0.0.1; 0 takes any free one, None opens none. path: of the unix socket.
    """

    def __init__(self, app: ASGIApp, *, port: int | None = 0, path: Path | None = None) -> None:
        self._app = app
        self._wanted_port = port
        self._path = path
        self._port: int | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int | None:
        """The port of 127.0.0.1 that it listens on."""
        return self._port

    @property
    def url(self) -> str | None:
        """What `--endpoint-url` and `AWS_ENDPOINT_URL_RDS` take."""
        return None if self._port is None else f"http://{LOOPBACK}:{self._port}"

    @property
    def path(self) -> Path | None:
        """The unix socket."""
        return self._path

    async def start(self) -> None:
        """Listen; requests are answered when this returns. Raises PortInUseError."""
        try:
            if self._wanted_port is not None:
                self._sockets.append(_listen_on_loopback(self._wanted_port))
                self._port = self._sockets[0].getsockname()[1]
            if self._path is not None:
                self._sockets.append(_listen_in_private(self._path))
        except BaseException:
            self._close_sockets()
            raise
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=self._sockets))
        started = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({started, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not self._server.listening.is_set():
            started.cancel()
            await self._serving

    async def close(self) -> None:
        """Finish what is being answered, for 5 s at most, and listen no more."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = None
        self._close_sockets()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()
        self._sockets.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """Signals are the program's, and whoever starts it hears when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen_on_loopback(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUseError(
            f"port {port} of {LOOPBACK} is taken; choose another one for the endpoint"
        ) from error
    return listener


def _listen_in_private(path: Path) -> socket.socket:
    """Nobody but this user can connect, from the first moment on.

    The socket is made in a private folder and moved to its place. Raises StateDirectoryError where
    its folder is one that somebody else made.
    """
    with suppress(FileExistsError):
        path.parent.mkdir(mode=0o700)
    if path.parent.stat().st_uid != os.geteuid():
        raise StateDirectoryError(f"{path.parent} belongs to another user; remove it")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    private = Path(tempfile.mkdtemp(prefix=".", dir=path.parent))
    try:
        made = private / "s"
        listener.bind(str(made))
        made.chmod(0o600)
        listener.listen(BACKLOG)
        made.rename(path)
    except BaseException:
        listener.close()
        raise
    finally:
        shutil.rmtree(private)
    return listener
