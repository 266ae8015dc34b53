"""What is done regularly goes on, whatever happens in it."""

import asyncio

from cluster_runtime.control.regularly import Regularly


async def until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await condition.wait()


async def test_a_failure_that_nobody_foresaw_does_not_end_it() -> None:
    done, again = [], asyncio.Event()

    async def do() -> float:
        done.append(True)
        if len(done) == 1:
            raise KeyError("unforeseen")
        again.set()
        return 3600

    regularly = Regularly(do, again_s=0)
    await until(again)
    await regularly.close()
    assert len(done) == 2


async def test_who_asks_while_it_is_under_way_has_it_done_once_more() -> None:
    begun, go_on, twice = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def do() -> float:
        if begun.is_set():
            twice.set()
        begun.set()
        await go_on.wait()
        return 3600

    regularly = Regularly(do, again_s=3600)
    await until(begun)
    regularly.at_once()
    go_on.set()
    await until(twice)
    await regularly.close()


async def test_it_has_ended_when_it_is_closed() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def do() -> float:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    regularly = Regularly(do, again_s=0)
    await until(begun)
    await regularly.close()
    assert ended.is_set()
