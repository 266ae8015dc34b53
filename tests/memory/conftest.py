"""Savers and stores on a fresh database."""

from collections.abc import AsyncIterator, Iterator

import pytest

from memory import BorealisSaver


@pytest.fixture
def saver(fresh_dsn: str) -> Iterator[BorealisSaver]:
    with BorealisSaver(fresh_dsn, deadline=15) as saver:
        saver.setup()
        yield saver


@pytest.fixture
async def asaver(fresh_dsn: str) -> AsyncIterator[BorealisSaver]:
    async with BorealisSaver(fresh_dsn, deadline=15) as saver:
        await saver.asetup()
        yield saver
