"""Who enters a database first, once its server has started: without a server."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from cluster_runtime.gateway.backend import Backend
from cluster_runtime.gateway.waking import DATABASES_MAX, Waking

NEVER_SECONDS = 60.0


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    path = tmp_path / "socket"
    path.touch()
    return path


def waking(ahead_seconds: float = NEVER_SECONDS) -> Waking:
    return Waking(cast(Backend, None), ahead_seconds=ahead_seconds)


class Entering:
    """A session that enters a database, and is through when it is told to."""

    def __init__(self, among: Waking, socket: Path, database: str = "postgres") -> None:
        self.entered, self._through = asyncio.Event(), asyncio.Event()
        self._error: Exception | None = None
        self.task = asyncio.ensure_future(self._enter(among, socket, database))

    async def _enter(self, among: Waking, socket: Path, database: str) -> None:
        async with among.turn(socket, database):
            self.entered.set()
            await self._through.wait()
            if self._error is not None:
                raise self._error

    async def through(self, error: Exception | None = None) -> Any:
        self._error = error
        self._through.set()
        return (await asyncio.gather(self.task, return_exceptions=True))[0]


async def turns() -> None:
    """Everybody who can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [None, ConnectionError("refused")])
async def test_the_others_enter_once_the_first_is_through_however_that_ended(
    socket: Path, error: Exception | None
) -> None:
    among = waking()
    first, *others = (Entering(among, socket) for _ in range(5))
    await turns()
    assert first.entered.is_set()
    assert not any(each.entered.is_set() for each in others)
    assert await first.through(error) is error
    await turns()
    assert all(each.entered.is_set() for each in others)
    later = Entering(among, socket)
    await turns()
    assert later.entered.is_set()
    for each in (*others, later):
        await each.through()


async def test_one_that_is_cancelled_holds_up_nobody(socket: Path) -> None:
    among = waking()
    first, second = Entering(among, socket), Entering(among, socket)
    await turns()
    first.task.cancel()
    await turns()
    assert second.entered.is_set()
    await second.through()


async def test_another_database_and_another_start_have_a_first_of_their_own(socket: Path) -> None:
    among = waking()
    first, other = Entering(among, socket), Entering(among, socket, "other")
    await turns()
    assert first.entered.is_set()
    assert other.entered.is_set()
    await first.through()
    beside = socket.with_name("next")
    beside.touch()
    beside.replace(socket)
    again, waiting = Entering(among, socket), Entering(among, socket)
    await turns()
    assert again.entered.is_set()
    assert not waiting.entered.is_set()
    for each in (other, again, waiting):
        await each.through()


async def test_nobody_waits_for_longer_than_a_moment(socket: Path) -> None:
    among = waking(ahead_seconds=0.0)
    first, second = Entering(among, socket), Entering(among, socket)
    await asyncio.wait_for(second.entered.wait(), NEVER_SECONDS)
    assert not first.task.done()
    for each in (first, second):
        await each.through()


async def test_names_that_clients_choose_take_bounded_room(socket: Path) -> None:
    among = waking()
    for number in range(2 * DATABASES_MAX):
        async with among.turn(socket, f"database {number}"):
            pass
    assert len(among._entered) == DATABASES_MAX


async def test_a_server_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        async with waking().turn(tmp_path / "gone", "postgres"):
            pass
