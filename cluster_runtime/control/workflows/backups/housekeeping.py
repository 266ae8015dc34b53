"""What nobody waits for: unfinished snapshots, and the backups of clusters that are gone."""

import asyncio

from cluster_runtime.control.cluster import OpenRuntime
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.control.workflows.backups.automated import housekeep
from cluster_runtime.control.workflows.backups.snapshots import recover_snapshots

AGAIN_S = 30.0
REGULARLY_S = 600.0


class Housekeeping:
    """Runs on the event loop from its making to `close`, and at once where it is told to."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._keeping = Regularly(self._keep, again_s=AGAIN_S)
        runtime.look_after_backups = self._keeping.at_once

    async def close(self) -> None:
        """End it, and the backups, once all volumes are closed. What is left is done after the
        next start.
        """
        await self._keeping.close()
        await asyncio.to_thread(self._runtime.backups.close)

    async def _keep(self) -> float:
        failures = []
        for work in (recover_snapshots, housekeep):
            try:
                await work(self._runtime)
            except Exception as error:  # noqa: BLE001 - it keeps not the other from being done
                failures.append(error)
        if failures:
            raise failures[0]
        return REGULARLY_S
