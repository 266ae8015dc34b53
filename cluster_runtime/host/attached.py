"""Clusters that another process hosts: found, asked, and found again when it ends."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations.clusters import DescribeDBClusters
from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.control.operations.instances import (
    DescribeDBClusterEndpoints,
    DescribeDBInstances,
)
from cluster_runtime.control.operations.types import HANDLE
from cluster_runtime.control.records.instances import DBClusterEndpoint
from cluster_runtime.control.records.model import ClusterStatus, DBCluster, DBInstance
from cluster_runtime.control.records.state_directory import holder_of, read_access_key
from cluster_runtime.errors import (
    BorealisError,
    ClusterNotFoundError,
    HostUnavailableError,
    HostVersionError,
    InvalidParameterError,
    StateDirectoryInUseError,
)
from cluster_runtime.host.attaching import Step, next_step
from cluster_runtime.host.place import look
from cluster_runtime.host.starting import start_in_background
from cluster_runtime.host.wire.calls import (
    GetHostStatus,
    GetToken,
    GetWarm,
    HostFacts,
    HostStatus,
)
from cluster_runtime.host.wire.codec import decode
from cluster_runtime.host.wire.link import Host, Line, NoAnswerError, open_attachment, perform
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

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """One host, and the line that lasts as long as it does."""

    host: Host
    line: Line
    lasting: HTTPResponse
    description: HostStatus


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
        attached._host()
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

    @property
    def certificate_path(self) -> Path:
        """The certificate of the authority of the gateway."""
        return self._attach().description.certificate_path

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
        result = perform(request, self._host, self._lost, line)
        return self._handle_on(result) if request.declared.result is HANDLE else result

    def _handle_on(self, facts: DBCluster) -> ClusterHandle:
        return ClusterHandle(AttachedSource(self, facts))

    def _host(self) -> Host:
        return self._attach().host

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
        host = Host(facts, read_access_key(self._directory))
        line = Line()
        try:
            lasting = open_attachment(host, line)
            first = json.loads(lasting.readline())
        except (NoAnswerError, OSError, HTTPException, ValueError):
            time.sleep(LOOK_SECONDS)
            return None
        return Attachment(host, line, lasting, decode(HostStatus, first))

    def _lost(self, host: Host) -> None:
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
                    _log.debug("the host has ended", process=attachment.host.facts.pid)
            self._lost(attachment.host)


class AttachedSource:
    """A cluster that another process hosts, for a handle on it.

    Once it is deleted it keeps the facts that it had, as a handle of the host does.
    """

    def __init__(self, home: Attached, facts: DBCluster) -> None:
        self._home = home
        self._last = facts

    @property
    def id(self) -> str:
        """The resource id."""
        return self._last.db_cluster_resource_id

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority."""
        return self._home.certificate_path

    def described(self) -> DBCluster:
        """The cluster as it is now."""
        try:
            (self._last,) = self._home.call(DescribeDBClusters(self.id))
        except ClusterNotFoundError:
            gone = ClusterStatus.DELETING
            self._last = replace(self._last, status=gone, capacity=0.0, walls=None)
        return self._last

    def instances(self) -> Sequence[DBInstance]:
        """Its instances."""
        found: Sequence[DBInstance] = self._home.call(
            DescribeDBInstances(db_cluster_identifier=self.id)
        )
        return found

    def address(self, endpoint: str) -> tuple[str, int]:
        """Host name and port of an instance's endpoint, or of a custom one.

        Raises InvalidParameterError.
        """
        for instance in self.instances():
            if instance.db_instance_identifier == endpoint.lower():
                return instance.endpoint, instance.port
        found: Sequence[DBClusterEndpoint] = self._home.call(DescribeDBClusterEndpoints(self.id))
        for each in found:
            if each.db_cluster_endpoint_identifier == endpoint.lower():
                return each.endpoint, each.port
        raise InvalidParameterError(f"this cluster has no endpoint {endpoint!r}")

    def token(self, facts: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint, signed by the host."""
        token: str = self._home.call(GetToken(self.id, host, port, user)).token
        return token
