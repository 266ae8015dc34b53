"""Memory of volumes that were closed, given back: those of paused clusters above all.

A volume and the parts that keep it are in cycles, which Python frees so late that a host in which
hundreds of clusters were used and paused would keep the memory of dozens.
"""

import asyncio

from cluster_runtime.control.cluster import OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.regularly import Regularly
from cluster_runtime.engine.system.memory import give_back_memory

LOOK_EVERY_S = 0.5
WHILE_BUSY_EVERY_S = 10.0
"""How often at most while volumes go on being closed: every thread waits for some milliseconds."""


class MemoryWatch:
    """Of one runtime, until closed. For a process that does nothing else than to host."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime
        self._seen = self._given_back = self._closings()
        self._given_back_at = asyncio.get_running_loop().time()
        self._looking = Regularly(self._look, again_s=LOOK_EVERY_S)

    async def close(self) -> None:
        """Watch no more."""
        await self._looking.close()

    async def _look(self) -> float:
        before, self._seen = self._seen, self._closings()
        now = asyncio.get_running_loop().time()
        settled = self._seen == before or now > self._given_back_at + WHILE_BUSY_EVERY_S
        if settled and self._seen != self._given_back:
            self._given_back, self._given_back_at = self._seen, now
            await in_thread(give_back_memory)
        return LOOK_EVERY_S

    def _closings(self) -> dict[str, int]:
        clusters = self._runtime.clusters
        return {each.id: each.instances.storage.closings for each in clusters.values()}
