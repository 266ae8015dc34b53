"""langgraph-checkpoint-conformance, driven through the asynchronous and the synchronous methods."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES
from langgraph.checkpoint.conformance.report import ProgressCallbacks

from memory import BorealisSaver


class SyncShim(BaseCheckpointSaver[Any]):
    """Answers every asynchronous call with the synchronous method, in a thread."""

    def __init__(self, saver: BorealisSaver) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver

    async def aget_tuple(self, config: Any) -> Any:
        return await asyncio.to_thread(self._saver.get_tuple, config)

    async def alist(self, config: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for found in await asyncio.to_thread(lambda: list(self._saver.list(config, **kwargs))):
            yield found

    async def aput(self, *args: Any) -> Any:
        return await asyncio.to_thread(self._saver.put, *args)

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        await asyncio.to_thread(self._saver.put_writes, *args, **kwargs)

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self._saver.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await asyncio.to_thread(self._saver.delete_for_runs, run_ids)

    async def acopy_thread(self, source: str, target: str) -> None:
        await asyncio.to_thread(self._saver.copy_thread, source, target)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        await asyncio.to_thread(self._saver.prune, thread_ids, strategy=strategy)


@pytest.mark.parametrize("partitions", [0, 4])
@pytest.mark.parametrize("wrap", [lambda saver: saver, SyncShim], ids=["async", "sync"])
async def test_every_capability_is_detected_and_passes(
    fresh_dsn: str, wrap: Callable[[BorealisSaver], BaseCheckpointSaver[Any]], partitions: int
) -> None:
    async with BorealisSaver(fresh_dsn, deadline=15) as saver:
        await saver.asetup(partitions=partitions)

        @checkpointer_test(name="BorealisSaver")
        async def checkpointer() -> AsyncGenerator[BaseCheckpointSaver[Any], None]:
            yield wrap(saver)

        report = await validate(checkpointer, progress=ProgressCallbacks.quiet())

    missing = [c.value for c in ALL_CAPABILITIES if not report.results[c.value].detected]
    failures = [failure for result in report.results.values() for failure in result.failures]
    assert not missing
    assert not failures
    assert report.conformance_level() == "FULL"
