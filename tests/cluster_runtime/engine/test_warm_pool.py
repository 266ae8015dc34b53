"""The warm pool, with things that cost nothing to make."""

import asyncio
import itertools

import pytest

from cluster_runtime.engine.warm_pool import WarmPool


async def test_what_is_ready_is_handed_out_and_replaced() -> None:
    made, discarded = itertools.count(1), []

    async def make() -> int:
        return next(made)

    async def discard(thing: int) -> None:
        discarded.append(thing)

    pool = WarmPool(make, discard, 2)
    await pool.filled()
    assert pool.ready == 2
    assert await pool.take() == 1
    await pool.filled()
    assert pool.ready == 2
    await pool.close()
    assert discarded == [2, 3]


async def test_a_take_that_finds_none_ready_gets_the_one_under_way() -> None:
    go = asyncio.Event()
    made = itertools.count(1)

    async def make() -> int:
        await go.wait()
        return next(made)

    async def discard(thing: int) -> None: ...

    pool = WarmPool(make, discard, 1)
    pool.fill()
    await asyncio.sleep(0)
    waiting = asyncio.create_task(pool.take())
    go.set()
    assert await waiting == 1
    await pool.close()


async def test_a_failure_to_make_reaches_the_one_who_takes() -> None:
    async def make() -> int:
        raise OSError("no space")

    async def discard(thing: int) -> None: ...

    pool = WarmPool(make, discard, 1)
    with pytest.raises(OSError, match="no space"):
        await pool.filled()
    with pytest.raises(OSError, match="no space"):
        await pool.take()
    await pool.close()


async def test_a_pool_of_none_makes_on_demand() -> None:
    made = itertools.count(1)

    async def make() -> int:
        return next(made)

    async def discard(thing: int) -> None: ...

    pool = WarmPool(make, discard, 0)
    assert [await pool.take() for _ in range(3)] == [1, 2, 3]
    await pool.close()
