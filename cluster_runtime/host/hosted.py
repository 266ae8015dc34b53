"""Clusters that this process hosts, for itself and for those that attach to it."""

import asyncio
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.access.credentials import Credentials
from cluster_runtime.api.app import Endpoint, build_app
from cluster_runtime.api.calls import (
    GetHostStatus,
    GetToken,
    GetWarm,
    HostFacts,
    HostKind,
    HostStatus,
    Token,
)
from cluster_runtime.api.client.finding import identity_of, read_facts
from cluster_runtime.api.server import ApiServer, listen_on_loopback
from cluster_runtime.api.target import PROTOCOL
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.home import Home
from cluster_runtime.control.loop_thread import LoopThread, saying_what_is_used_up
from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.service import ControlService
from cluster_runtime.control.spans import attributes_of, in_words, name_of
from cluster_runtime.engine.system.resources import saying_no_space
from cluster_runtime.host import place
from cluster_runtime.host.idling import IdleEnd, Use
from cluster_runtime.logs import get_logger
from cluster_runtime.tracing import span

_log = get_logger(__name__)

CALLS_SECONDS_MAX = 10.0
"""How long a host that ends waits for the calls under way."""


@dataclass(frozen=True, slots=True)
class Performing:
    """Performs operations, each within a span of its name. region: the one that they tell."""

    service: ControlService
    region: str

    async def __call__(self, request: Request) -> Any:
        """Perform an operation; raises what it declares."""
        with (
            span(name_of(request), attributes_of(request, self.region)),
            saying_no_space(f"this host for {in_words(request)}"),
        ):
            work = getattr(self.service, request.declared.method)(request)
            return await saying_what_is_used_up(work)


class Hosted:
    """A state directory that this process hosts (`Home`)."""

    def __init__(self, thread: LoopThread, perform: Performing, door: "Door") -> None:
        self._perform = perform
        self.service = perform.service
        self.thread = thread
        self.door = door

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
        EngineNotFoundError, PortInUseError, InsufficientStorageError.
        """
        with saying_no_space(Path(state_dir)):
            return cls._opened(state_dir, options, kind, idle_seconds)

    @classmethod
    def _opened(
        cls,
        state_dir: str | os.PathLike[str],
        options: RuntimeOptions,
        kind: HostKind,
        idle_seconds: float | None,
    ) -> "Hosted":
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
            thread.call(hosted.door.open(Operations(hosted), options.endpoint_port))
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

    async def _close(self) -> None:
        try:
            await self.door.close()
        finally:
            await self.service.close()


class Door:
    """Where other processes ask a host, and what it does for them beside operations.

    That is its socket, and with an RDS-compatible endpoint for AWS's tools a port too; they ask
    one application (`cluster_runtime.api`).
    """

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
        self.application: Endpoint
        self._server: ApiServer

    async def open(self, operations: AwaitedOperations, port: int | None) -> None:
        """Listen, and say where. port: of 127.0.0.1; 0: the former one, or any; None: none.

        Raises PortInUseError for a port that was asked for.
        """
        tcp = None if port is None else listen_on_loopback(self._ports(port))
        with ExitStack() as in_vain:
            if tcp is not None:
                in_vain.enter_context(tcp)
            listener = await asyncio.to_thread(place.listen, self._facts.socket)
            in_vain.enter_context(listener)
            credentials = await asyncio.to_thread(Credentials.read, self._directory)
            region = self._operation.region
            self.application = build_app(operations, credentials, self._perform, region=region)
            listeners = [listener] if tcp is None else [listener, tcp]
            self._server = await ApiServer.open(self.application, listeners)
            in_vain.pop_all()
        bound = None if tcp is None else tcp.getsockname()[1]
        self._facts = replace(
            self._facts,
            state="ready",
            endpoint_port=bound,
            last_endpoint_port=bound or self._facts.last_endpoint_port,
            gateway_port=self._service.gateway_port,
            last_gateway_port=self._service.gateway_port or self._facts.last_gateway_port,
        )
        await asyncio.to_thread(place.write_facts, self._directory, self._facts)

    async def close(self) -> None:
        """Take no more calls; wait for those under way."""
        self._server.stop_listening()
        ending = replace(self._facts, state="ending")
        try:
            await asyncio.to_thread(place.write_facts, self._directory, ending)
        except OSError as error:  # it ends all the same, also on a full disk
            _log.warning("not said that the host ends", error=str(error))
        await self.application.end(CALLS_SECONDS_MAX)
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
        usage, used = self._service.usage(), self.application.used
        return Use(used.attached, used.calls, usage.connections, usage.running)

    def _ports(self, wanted: int) -> list[int]:
        """Those to try, one after the other."""
        former = self._facts.last_endpoint_port
        return [wanted] if wanted or former is None else [former, wanted]

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


def _facts(directory: Path, kind: HostKind) -> HostFacts:
    former = read_facts(directory)
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
        directory=identity_of(directory),
    )
