"""`Runtime`: a state directory and all its clusters, hosted in this process.

Everything happens on one event loop, on a thread of its own. `Runtime` waits for it,
`AsyncRuntime` awaits it; neither of them decides anything. Their operations come from the
declarations in `cluster_runtime/control/operations/`.
"""

import os
from types import TracebackType
from typing import Self

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime._blocking import BlockingOperations
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.service import DEFAULT_REGION, ControlService, RuntimeOptions
from cluster_runtime.gateway import GatewayLimits

__all__ = ["AsyncRuntime", "ClusterHandle", "Runtime"]


class Runtime(BlockingOperations):
    """The local control plane (`cluster_runtime.control.plane.ControlPlane`), blocking.

    `with Runtime.open(directory) as runtime` hosts the directory's clusters until the block ends;
    `async with Runtime.open(directory) as runtime` does the same and gives an `AsyncRuntime`.
    """

    def __init__(self, thread: LoopThread, service: ControlService) -> None:
        self._thread = thread
        self._service = service

    @classmethod
    def open(
        cls,
        state_dir: str | os.PathLike[str],
        *,
        warm_pool_size: int = 1,
        region: str = DEFAULT_REGION,
        engine_version: str | None = None,
        gateway_limits: GatewayLimits | None = None,
    ) -> "Runtime":
        """Host the clusters of a state directory, which is made where it does not exist.

        gateway_limits: of connections, established or in their startup, at every endpoint.
        Raises StateDirectoryInUseError, StateDirectoryError, CatalogCorruptedError,
        EngineNotFoundError.
        """
        limits = gateway_limits or GatewayLimits()
        options = RuntimeOptions(warm_pool_size, region, engine_version, limits)
        state = StateDirectory.open(state_dir)
        thread = LoopThread("borealis-runtime")
        try:
            return cls(thread, thread.call(ControlService.open(state, options)))
        except BaseException:
            thread.close()
            state.close()
            raise

    def close(self) -> None:
        """Stop every cluster and release the state directory. Calling it twice is harmless."""
        if not self._thread.loop.is_closed():
            self._thread.call(self._service.close())
            self._thread.close()

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
        return AsyncRuntime(self._thread, self._service)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._thread.acall(self._service.close())
        self._thread.close()

    def cluster(self, identifier: str) -> ClusterHandle:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""
        return self._service.handle(identifier)

    def warm(self) -> None:
        """Wait until the warm pool is full."""
        self._thread.call(self._service.warm())


class AsyncRuntime(AwaitedOperations):
    """An open runtime for asynchronous callers: the operations of `Runtime`, awaited."""

    def __init__(self, thread: LoopThread, service: ControlService) -> None:
        self._thread = thread
        self._service = service

    async def warm(self) -> None:
        """Wait until the warm pool is full."""
        await self._thread.acall(self._service.warm())
