"""`Runtime`: a state directory and all its clusters, hosted here or by another process.

Whoever opens a free directory hosts it: everything happens on one event loop, on a thread of its
own, and other processes may attach. Whoever opens a directory in use attaches to its host, and sees
no difference. `Runtime` waits, `AsyncRuntime` awaits; neither of them decides anything. Their
operations come from the declarations in `cluster_runtime/control/operations/`.
"""

import os
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime._blocking import BlockingOperations
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.home import Home
from cluster_runtime.control.records.options import DEFAULT_REGION, RuntimeOptions
from cluster_runtime.control.records.state_directory import prepare
from cluster_runtime.errors import StateDirectoryInUseError
from cluster_runtime.host.attached import Attached, find
from cluster_runtime.host.starting import arguments_for
from cluster_runtime.serverless.options import CapacityOptions

if TYPE_CHECKING:
    from cluster_runtime.gateway import GatewayLimits
    from cluster_runtime.serverless.enforcement.means import Enforcement

__all__ = ["AsyncRuntime", "ClusterHandle", "HostedBy", "Runtime"]

HostedBy = Literal["auto", "process", "daemon"]
"""Who hosts. process: this process, and no other. auto: the present host; where there is none, this
process. daemon: the present host; where there is none, one that is started in the background."""


class Runtime(BlockingOperations):
    """The local control plane (`cluster_runtime.control.plane.ControlPlane`), blocking.

    `with Runtime.open(directory) as runtime` hosts the directory's clusters until the block ends,
    or attaches to their host; `async with Runtime.open(directory) as runtime` does the same and
    gives an `AsyncRuntime`.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    @classmethod
    def open(
        cls,
        state_dir: str | os.PathLike[str],
        *,
        host: HostedBy = "auto",
        warm_pool_size: int = 1,
        region: str = DEFAULT_REGION,
        engine_version: str | None = None,
        gateway_limits: "GatewayLimits | None" = None,
        endpoint_port: int | None = None,
        gateway_port: int | None = 0,
        enforcement: "Enforcement" = "auto",
        overcommit: float = 1.0,
        cores_per_acu: float = 0.25,
    ) -> "Runtime":
        """Open the clusters of a state directory, which is made where it does not exist.

        host: who hosts them (`HostedBy`). The other options are those of a host that begins with
            this call; one that is there has its own.
        gateway_limits: of connections, established or in their startup, at every endpoint.
        endpoint_port: of the RDS-compatible endpoint on 127.0.0.1, and on a socket beside it; 0:
            the port it had before, or any free one; None: no such endpoint. Hosts in the
            background have one.
        gateway_port: of the gateway's port that leads to all endpoints of all clusters, told apart
            by name, beside the ports of their own; 0 and None as above.
        enforcement: what holds serverless instances to their capacity (docs/capacity.md): cgroup,
            which the machine must have then, settings, none, or auto, the best there is.
        overcommit: how many times the machine may be given to them, 1 and more.
        cores_per_acu: CPU that one ACU brings.
        Raises StateDirectoryInUseError, StateDirectoryError, CatalogCorruptedError,
        EngineNotFoundError, PortInUseError, InvalidParameterError; HostUnavailableError and
        HostVersionError where another one hosts.
        """
        options = RuntimeOptions(
            warm_pool_size,
            region,
            engine_version,
            gateway_limits,
            endpoint_port,
            gateway_port,
            CapacityOptions(enforcement, overcommit, cores_per_acu),
        )
        if host == "process":
            return cls(_hosted(state_dir, options))
        directory = prepare(state_dir)
        while host == "auto" and find(directory) is None:
            try:
                return cls(_hosted(directory, options))
            except StateDirectoryInUseError:
                continue  # another one was faster
        return cls(Attached.open(directory, arguments_for(options)))

    def close(self) -> None:
        """End what this runtime is, for good; calling it twice is harmless.

        A host stops every cluster and releases the state directory, and attached processes go on
        with another host. Who is attached leaves; the host goes on.
        """
        self._home.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> "AsyncRuntime":
        return AsyncRuntime(self._home)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._home.aclose()

    def cluster(self, identifier: str) -> ClusterHandle:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""
        return self._home.handle(identifier)

    def warm(self) -> None:
        """Wait until the warm pool is full."""
        self._home.warm()


class AsyncRuntime(AwaitedOperations):
    """An open runtime for asynchronous callers: the operations of `Runtime`, awaited."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def warm(self) -> None:
        """Wait until the warm pool is full."""
        await self._home.awarm()


def _hosted(state_dir: str | os.PathLike[str], options: RuntimeOptions) -> Home:
    from cluster_runtime.host.hosted import Hosted  # who attaches does not wait for the engine

    return Hosted.open(state_dir, options)
