"""Removing threads and checkpoints: by hand, by run, by age, from a timer or in the background."""

from collections.abc import Sequence
from concurrent.futures import Future

from memory.checkpoints import maintenance
from memory.checkpoints.writing import Writing
from memory.database.driver import DriverOwner
from memory.database.scope import Scope
from memory.database.steps import Plan
from memory.database.sweeper import Sweeper
from memory.encoding.codec import Codec


class Removing(DriverOwner):
    """What removes; a part of `BorealisSaver`."""

    _scope: Scope
    _codec: Codec
    _writing: Writing
    _sweeper: Sweeper

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread: it is gone at once, its rows go in bounded batches."""
        self._driver.run(self._delete(thread_id))

    async def adelete_thread(self, thread_id: str) -> None:
        """`delete_thread`, asynchronously."""
        await self._driver.arun(self._delete(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints, and their writes, whose metadata has one of these run ids."""
        self._driver.run(self._delete_for_runs(run_ids))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`delete_for_runs`, asynchronously."""
        await self._driver.arun(self._delete_for_runs(run_ids))

    def prune(
        self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", keep: int = 1
    ) -> None:
        """Remove old checkpoints of threads, in bounded batches that block no other thread.

        strategy: "keep_latest" keeps the `keep` latest checkpoints of each namespace, and the
            ancestors that a DeltaChannel of theirs needs; calls of subgraphs go with the
            checkpoint that started them. "delete" removes the threads.
        """
        self._driver.run(self._prune(thread_ids, strategy, keep))

    async def aprune(
        self, thread_ids: Sequence[str], *, strategy: str = "keep_latest", keep: int = 1
    ) -> None:
        """`prune`, asynchronously."""
        await self._driver.arun(self._prune(thread_ids, strategy, keep))

    def sweep(self, *, limit: int = 1000) -> int:
        """Remove threads whose TTL has passed, at most `limit`; how many there were.

        In bounded batches, skipping threads that are being written to. Run it from a timer.
        """
        return self._driver.run(maintenance.sweep(self._scope, limit))

    async def asweep(self, *, limit: int = 1000) -> int:
        """`sweep`, asynchronously."""
        return await self._driver.arun(maintenance.sweep(self._scope, limit))

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> Future[None]:
        """Sweep from a background thread, every 5 minutes or as often as said.

        The future ends with it, cancelling stops it. Raises ConfigurationError if it runs already.
        """
        return self._sweeper.start(sweep_interval_minutes)

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the background thread; whether it ended within `timeout` seconds."""
        return self._sweeper.stop(timeout)

    def close(self) -> None:
        """Store what waits, stop the sweeper, close the connections that no other object uses."""
        try:
            if self._driver.synchronous:
                self._driver.run(self._writing.settled(None), as_one=True)
        finally:
            self._sweeper.stop(None)
            super().close()

    async def aclose(self) -> None:
        """`close`, which does not wait for a sweep that is under way."""
        try:
            await self._driver.arun(self._writing.settled(None), as_one=True)
        finally:
            self._sweeper.ask_to_stop()
            await super().aclose()

    # What was put before goes too: it would come back, stored later.

    def _delete(self, thread_id: str) -> Plan[None]:
        yield from self._writing.settled(str(thread_id))
        self._writing.recent.forget(str(thread_id))
        yield from maintenance.delete(self._scope, thread_id)

    def _delete_for_runs(self, run_ids: Sequence[str]) -> Plan[None]:
        yield from self._writing.settled(None)
        yield from maintenance.delete_runs(self._scope, run_ids)

    def _prune(self, thread_ids: Sequence[str], strategy: str, keep: int) -> Plan[None]:
        for thread_id in thread_ids:
            yield from self._writing.settled(str(thread_id))
        yield from maintenance.prune(
            self._scope, self._codec, thread_ids, strategy=strategy, keep=keep
        )
