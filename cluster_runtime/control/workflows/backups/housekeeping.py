"""What nobody waits for: unfinished snapshots, and the backups of clusters that are gone."""

import asyncio

from cluster_runtime.control.cluster import OpenRuntime
from cluster_runtime.control.workflows.backups.automated import housekeep
from cluster_runtime.control.workflows.backups.snapshots import recover_snapshots
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger

AGAIN_S = 30.0
REGULARLY_S = 600.0

_log = get_logger(__name__)


class Housekeeping:
    """Runs on the event loop from its making to `close`, and at once where it is told to."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._due = asyncio.Event()
        runtime.look_after_backups = self._due.set
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End it, and the backups, once all volumes are closed. What is left is done after the
        next start.
        """
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._runtime.backups.close)

    async def _run(self) -> None:
        while True:
            wait = REGULARLY_S
            try:
                await recover_snapshots(self._runtime)
                await housekeep(self._runtime)
            except (BorealisError, OSError) as error:
                _log.warning("backups were not looked after", error=str(error))
                wait = AGAIN_S
            self._due.clear()
            try:
                await asyncio.wait_for(self._due.wait(), wait)
            except TimeoutError:
                continue
