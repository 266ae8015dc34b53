"""Clusters that this process hosts, for itself and for those that attach to it."""

import asyncio
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.sockets import socket_path
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.home import Home
from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.state_directory import AccessKey, StateDirectory
from cluster_runtime.control.service import ControlService
from cluster_runtime.control.spans import attributes_of, name_of
from cluster_runtime.errors import PortInUseError
from cluster_runtime.host import place
from cluster_runtime.host.attaching import PROTOCOL
from cluster_runtime.host.idling import IdleEnd, Use
from cluster_runtime.host.wire.calls import (
    GetHostStatus,
    GetToken,
    GetWarm,
    HostFacts,
    HostKind,
    HostStatus,
    Token,
)
from cluster_runtime.host.wire.requests import Requests
from cluster_runtime.host.wire.server import SocketServer
from cluster_runtime.tracing import span

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from cluster_runtime.api import ApiServer

CALLS_SECONDS_MAX = 10.0
"""How long a host that ends waits for the calls under way."""


@dataclass(frozen=True, slots=True)
class Performing:
    """Performs operations, each within a span of its name. region: the one that they tell."""

    service: ControlService
    region: str

    async def __call__(self, request: Request) -> Any:
        """Perform an operation; raises what it declares."""
        with span(name_of(request), attributes_of(request, self.region)):
            return await getattr(self.service, request.declared.method)(request)


class Hosted:
    """A state directory that this process hosts (`Home`)."""

    def __init__(self, thread: LoopThread, perform: Performing, door: "Door") -> None:
        self._perform = perform
        self.service = perform.service
        self.thread = thread
        self.door = door
        self._endpoint: ApiServer | None = None

    @classmethod
    def open(
        cls,
        state_dir: str | os.PathLike[str],
        options: RuntimeOptions,
        kind: HostKind = "program",
        idle_seconds: float | None = None,
    ) -> "Hosted":
        """Take the lock, bring the clusters back, and take calls of other processes.

        idle_seconds: how long nobody may need it until `Door.unneeded` returns.
        Raises StateDirectoryInUseError, StateDirectoryError, CatalogCorruptedError,
        EngineNotFoundError, PortInUseError.
        """
        state = StateDirectory.open(state_dir)
        thread = LoopThread("borealis-runtime")
        try:
            facts = _facts(state.path, kind)
            place.write_facts(state.path, facts)
            service = thread.call(ControlService.open(state, options, facts.last_gateway_port))
        except BaseException:
            thread.close()
            state.close()
            raise
        try:
            perform = Performing(service, options.region)
            hosted = cls(thread, perform, Door(state.path, perform, facts, idle_seconds))
            thread.call(hosted._open(state, options.endpoint_port))
        except BaseException:
            thread.call(service.close())
            thread.close()
            raise
        return hosted

    def call(self, request: Request) -> Any:
        """Perform an operation; raises what it declares. An interrupt cancels it."""
        return self.thread.call(self._perform(request))

    async def acall(self, request: Request) -> Any:
        """The same, awaited; cancellation cancels the operation."""
        return await self.thread.acall(self._perform(request))

    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster. Raises ClusterNotFoundError."""
        return self.service.handle(identifier)

    def warm(self) -> None:
        """Wait until the warm pool is full."""
        self.thread.call(self.service.warm())

    async def awarm(self) -> None:
        """The same, awaited."""
        await self.thread.acall(self.service.warm())

    def close(self) -> None:
        """Stop every cluster and release the state directory. Calling it twice is harmless."""
        if not self.thread.loop.is_closed():
            self.thread.call(self._close())
            self.thread.close()

    async def aclose(self) -> None:
        """The same, awaited."""
        if not self.thread.loop.is_closed():
            await self.thread.acall(self._close())
            self.thread.close()

    async def _open(self, state: StateDirectory, endpoint_port: int | None) -> None:
        if endpoint_port is not None:
            self._endpoint = await _endpoint(Operations(self), state.path, endpoint_port)
        try:
            port = self._endpoint.port if self._endpoint is not None else None
            await self.door.open(state.access_key(), port)
        except BaseException:
            await self._close_endpoint()
            raise

    async def _close_endpoint(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.close()

    async def _close(self) -> None:
        await self.door.close()
        await self._close_endpoint()
        await self.service.close()


class Door:
    """Where other processes ask a host: its socket, and what it does beside operations."""

    def __init__(
        self,
        directory: Path,
        perform: Performing,
        facts: HostFacts,
        idle_seconds: float | None,
    ) -> None:
        self._directory = directory
        self._operation = perform
        self._service = perform.service
        self._facts = facts
        self._idle = IdleEnd(idle_seconds) if idle_seconds is not None else None
        self._requests: Requests
        self._server: SocketServer

    async def open(self, key: AccessKey, endpoint_port: int | None) -> None:
        """Listen, and say where."""
        listener = await asyncio.to_thread(place.listen, self._facts.socket)
        self._requests = Requests(key, self._perform, self.describe)
        self._server = await SocketServer.open(self._requests, listener)
        self._facts = replace(
            self._facts,
            state="ready",
            endpoint_port=endpoint_port,
            last_endpoint_port=endpoint_port or self._facts.last_endpoint_port,
            gateway_port=self._service.gateway_port,
            last_gateway_port=self._service.gateway_port or self._facts.last_gateway_port,
        )
        await asyncio.to_thread(place.write_facts, self._directory, self._facts)

    async def close(self) -> None:
        """Take no more calls; wait for those under way."""
        await asyncio.to_thread(
            place.write_facts, self._directory, replace(self._facts, state="ending")
        )
        self._server.stop_listening()
        await self._requests.end(CALLS_SECONDS_MAX)
        await self._server.close()
        await asyncio.to_thread(place.remove_socket, self._facts.socket)

    def describe(self) -> HostStatus:
        """The host now."""
        use = self._use()
        since = self._idle.idle_since if self._idle is not None else None
        now = asyncio.get_running_loop().time()
        return HostStatus(
            facts=self._facts,
            certificate_path=self._service.certificate_path,
            attached=use.attached,
            connections=use.connections,
            running=use.running,
            idle_seconds=round(now - since, 1) if use.idle and since is not None else 0.0,
            idle_seconds_max=self._idle.limit_seconds if self._idle is not None else None,
        )

    async def unneeded(self) -> None:
        """Wait until nobody has needed the host for so long; without end where it stays."""
        loop = asyncio.get_running_loop()
        if self._idle is None:
            await loop.create_future()
            return
        while True:
            seconds = self._idle.next_look(self._use(), loop.time())
            if seconds is None:
                return
            await asyncio.sleep(seconds)

    def _use(self) -> Use:
        usage = self._service.usage()
        return Use(self._requests.attached, self._requests.calls, usage.connections, usage.running)

    async def _perform(self, request: Request) -> Any:
        match request:
            case GetHostStatus():
                return self.describe()
            case GetWarm():
                return await self._service.warm()
            case GetToken(cluster, hostname, port, username):
                facts = self._service.described(self._service.find(cluster))
                token = await asyncio.to_thread(
                    self._service.token, facts, hostname, port, username
                )
                return Token(token)
            case _:
                return await self._operation(request)


class Operations(AwaitedOperations):
    """The operations of a home, for the endpoint."""

    def __init__(self, home: Home) -> None:
        self._home = home


async def _endpoint(operations: Operations, directory: Path, port: int) -> "ApiServer":
    """Serve the RDS-compatible endpoint. Raises PortInUseError for a port that was asked for."""
    former = await asyncio.to_thread(place.read_facts, directory)
    ports = [port]
    if port == 0 and former is not None and former.last_endpoint_port is not None:
        ports = [former.last_endpoint_port, 0]
    # In a thread, for the loop goes on meanwhile: Starlette takes a while to load.
    app, serve = await asyncio.to_thread(_application, operations, directory)
    for each in ports:
        server = serve(app, port=each, path=socket_path(directory))
        try:
            await server.start()
        except PortInUseError:
            if each == ports[-1]:
                raise
        else:
            return server
    raise AssertionError("the last port serves or raises")


def _application(operations: Operations, directory: Path) -> "tuple[ASGIApp, type[ApiServer]]":
    from cluster_runtime.api import ApiServer, Credentials, build_app

    return build_app(operations, Credentials.read(directory)), ApiServer


def _facts(directory: Path, kind: HostKind) -> HostFacts:
    former = place.read_facts(directory)
    return HostFacts(
        last_endpoint_port=former.last_endpoint_port if former is not None else None,
        last_gateway_port=former.last_gateway_port if former is not None else None,
        pid=os.getpid(),
        kind=kind,
        state="starting",
        socket=place.new_socket_path(directory),
        protocol=PROTOCOL,
        version=version("borealis-postgres"),
        start_time=datetime.now(UTC),
    )
