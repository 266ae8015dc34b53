"""Clusters that another process hosts: found, asked, and found again when it ends."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_runtime.api.calls import GetHostStatus, GetWarm, HostFacts, HostStatus
from cluster_runtime.api.client.host import HostClient
from cluster_runtime.api.client.remote_source import RemoteSource
from cluster_runtime.api.client.transport import EndpointUnreachableError, Line
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.clusters import DescribeDBClusters
from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.control.operations.types import HANDLE
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.state_directory import holder_of
from cluster_runtime.errors import (
    BorealisError,
    HostLostError,
    HostUnavailableError,
    HostVersionError,
    StateDirectoryInUseError,
)
from cluster_runtime.host.attaching import Fate, Step, may_be_sent_again, next_step
from cluster_runtime.host.place import look
from cluster_runtime.host.starting import start_in_background
from cluster_runtime.logs import get_logger
from cluster_runtime.wording import Parameter

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

LOOK_SECONDS = 0.02
"""Between two looks at a host that starts or ends."""
RETRY_SECONDS_MAX = 30.0
"""The longest time between two tries to have a host again."""
CALLS_MAX = 64
"""Awaited calls at a time; others wait."""
TRIES_MAX = 20
"""Hosts that a call meets one after the other, before it gives up."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """One host, and the line that lasts as long as it does."""

    host: HostClient
    pid: int
    line: Line
    lasting: HTTPResponse


def find(directory: Path) -> HostFacts | None:
    """The host of a state directory that answers; None where nobody hosts it.

    Waits for one that starts or ends. Raises StateDirectoryInUseError, HostVersionError,
    HostUnavailableError.
    """
    started = time.monotonic()
    while True:
        seen, facts = look(directory)
        step = next_step(seen, time.monotonic() - started)
        if step is Step.ATTACH:
            return facts
        if step is Step.TAKE:
            return None
        if step is not Step.WAIT:
            raise refusal(step, directory, facts)
        time.sleep(LOOK_SECONDS)


def refusal(step: Step, directory: Path, facts: HostFacts | None) -> BorealisError:
    """What to tell a program that cannot attach."""
    holder = holder_of(directory)
    match step, facts:
        case (Step.OLDER_HOST, HostFacts()):
            return HostVersionError(
                f"the host of {directory}, process {facts.pid}, is Borealis {facts.version}, which "
                "is too old for this program; replace it with: borealis serve --replace"
            )
        case (Step.NEWER_HOST, HostFacts()):
            return HostVersionError(
                f"the host of {directory}, process {facts.pid}, is Borealis {facts.version}, which "
                "is too new for this program; upgrade this one"
            )
        case (Step.IN_USE, _):
            return StateDirectoryInUseError(
                f"state directory {directory} is hosted by process {holder}, of a release that "
                "takes no other programs; stop that one, or name another directory with ",
                Parameter("state_dir"),
            )
        case _:
            return HostUnavailableError(
                f"the host of {directory}, process {holder}, does not answer; end it, and try again"
            )


def perform(
    request: Request,
    host: Callable[[], HostClient],
    lost: Callable[[HostClient], None],
    line: Line | None = None,
) -> Any:
    """Have the host perform a call; what comes of it, for a handle the facts of its cluster.

    One that no host took is sent to the next one. One that was under way when the host ended is
    sent again only where it reads; else nobody knows what became of it.
    host: the present one, found or started. lost: told of one that does not answer any more.
    Raises what the operation declares, HostLostError, HostVersionError, and what `host` raises.
    """
    declared = request.declared
    for _ in range(TRIES_MAX):
        now = host()
        try:
            return now.perform(request, line)
        except EndpointUnreachableError as gone:
            if line is not None and line.broken:
                raise
            lost(now)
            fate = Fate.UNKNOWN if gone.sent else Fate.NOT_SENT
            if not may_be_sent_again(fate, reads=declared.reads):
                raise HostLostError(
                    f"the host ended while {declared.method} was under way, so it may be done or "
                    "not; look before you call it again"
                ) from gone
    raise HostLostError(f"{declared.method} met {TRIES_MAX} hosts that ended before they answered")


class Attached:
    """A state directory that another process hosts (`Home`).

    A thread holds a line to the host, which the host counts, and which ends with it: then it finds
    or starts the next host, also where nobody calls, for programs may be connected to clusters.
    """

    def __init__(self, directory: Path, arguments: list[str]) -> None:
        self._directory = directory
        self._arguments = arguments
        self._changing = threading.RLock()
        self._making = threading.Lock()
        self._closed = threading.Event()
        self._attachment: Attachment | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._watch: threading.Thread | None = None

    @classmethod
    def open(cls, directory: Path, arguments: list[str]) -> "Attached":
        """Attach to the host of a directory; start one in the background where there is none.

        arguments: of a host that is started. Raises HostUnavailableError, HostVersionError,
        StateDirectoryInUseError, and what opening the directory raises in the host.
        """
        attached = cls(directory, arguments)
        attached._attach()
        attached._watch = threading.Thread(
            target=attached._stay_attached, name="borealis-attached", daemon=True
        )
        attached._watch.start()
        return attached

    def call(self, request: Request) -> Any:
        """Perform an operation at the host; raises what it declares. An interrupt cancels it."""
        return self._call(request, Line())

    async def acall(self, request: Request) -> Any:
        """The same, awaited; cancellation cancels the operation."""
        import asyncio  # a command that asks once does not wait for it

        line = Line()
        running = asyncio.get_running_loop().run_in_executor(
            self._callers(), self._call, request, line
        )
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            line.break_off()
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()  # seen: whoever left does not want to know
            raise

    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster. Raises ClusterNotFoundError."""
        (facts,) = self.call(DescribeDBClusters(identifier))
        return self._handle_on(facts)

    def warm(self) -> None:
        """Wait until the warm pool of the host is full."""
        self.call(GetWarm())

    async def awarm(self) -> None:
        """The same, awaited."""
        await self.acall(GetWarm())

    def host_status(self) -> HostStatus:
        """Who hosts, and for whom."""
        description: HostStatus = self.call(GetHostStatus())
        return description

    def close(self) -> None:
        """Detach; the host goes on. Calling it twice is harmless."""
        self._closed.set()
        with self._changing:
            self._drop()
        if self._watch is not None and self._watch is not threading.current_thread():
            self._watch.join()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def aclose(self) -> None:
        """The same, awaited."""
        import asyncio

        await asyncio.to_thread(self.close)

    def _callers(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor

        with self._making:  # not the other lock, which is held while a host starts
            if self._threads is None:
                self._threads = ThreadPoolExecutor(CALLS_MAX, "borealis-call")
            return self._threads

    def _call(self, request: Request, line: Line) -> Any:
        result = self._perform(request, line)
        return self._handle_on(result) if request.declared.result is HANDLE else result

    def _perform(self, request: Request, line: Line | None = None) -> Any:
        return perform(request, lambda: self._attach().host, self._lost, line)

    def _handle_on(self, facts: DBCluster) -> ClusterHandle:
        return ClusterHandle(RemoteSource(self._perform, facts))

    def _attach(self) -> Attachment:
        with self._changing:
            while self._attachment is None:
                if self._closed.is_set():
                    raise BorealisError("this runtime is closed; open the state directory again")
                self._attachment = self._attached_now()
            return self._attachment

    def _attached_now(self) -> Attachment | None:
        """An attachment to the present host; None where it ended meanwhile."""
        facts = find(self._directory)
        if facts is None:
            start_in_background(self._directory, self._arguments)
            return None
        host = HostClient.of(self._directory, facts.socket)
        line = Line()
        try:
            status, lasting = host.attach(line)
        except EndpointUnreachableError:
            time.sleep(LOOK_SECONDS)
            return None
        return Attachment(host, status.facts.pid, line, lasting)

    def _lost(self, host: HostClient) -> None:
        with self._changing:
            if self._attachment is not None and self._attachment.host is host:
                self._drop()

    def _drop(self) -> None:
        if self._attachment is not None:
            self._attachment.line.break_off()
            self._attachment = None

    def _stay_attached(self) -> None:
        pause = LOOK_SECONDS
        while not self._closed.is_set():
            try:
                attachment = self._attach()
            except BorealisError as error:
                if not self._closed.is_set():
                    _log.warning("no host", directory=str(self._directory), error=str(error))
                self._closed.wait(pause)
                pause = min(2 * pause, RETRY_SECONDS_MAX)
                continue
            pause = LOOK_SECONDS
            with attachment.lasting:
                try:
                    while attachment.lasting.read(1):
                        pass
                except (OSError, HTTPException, ValueError):
                    _log.debug("the host has ended", process=attachment.pid)
            self._lost(attachment.host)
