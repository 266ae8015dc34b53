"""A model of a disk whose cache flush is slow, put between a storage node and its real device.

On a fast disk a commit's time goes to processors, and what a flush costs hardly shows. The model
lets a flush take a given time; one is under way at a time, and all that wait for one share the
next, as Linux's block layer has it (block/blk-flush.c). Writes themselves stay the real ones.
"""

import os
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from cluster_runtime.storage.disk.device import Arena, LogDevice, Vector
from cluster_runtime.storage.live import node

Ended = tuple[int, int]


class SlowFlushDevice:
    """A `LogDevice` whose durable writes and flushes end after a modelled flush of `flush_s`."""

    def __init__(self, device: LogDevice, flush_s: float) -> None:
        self.direct = device.direct
        self._device, self._flush_s = device, flush_s
        self._durable: set[int] = set()
        self._waiting: list[Ended] = []
        self._flushing: list[Ended] = []
        self._told, self._tell = os.pipe()
        os.set_blocking(self._told, False)
        self._both = select.epoll()
        for fd in (device.fileno(), self._told):
            self._both.register(fd, select.EPOLLIN)

    def fileno(self) -> int:
        return self._both.fileno()

    def start(
        self, lane: int, fd: int, vectors: Sequence[Vector], offset: int, *, durable: bool
    ) -> None:
        if durable:
            self._durable.add(lane)
        self._device.start(lane, fd, vectors, offset, durable=durable)

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        return self._device.shares_a_disk(fds)

    def flush(self, lane: int, fd: int) -> None:
        self._durable.add(lane)
        self._device.flush(lane, fd)

    def submit(self) -> None:
        self._device.submit()

    def completed(self) -> list[Ended]:
        ended: list[Ended] = []
        with suppress(BlockingIOError):
            os.read(self._told, 1)
            ended, self._flushing = self._flushing, []
        for each in self._device.completed():
            if each[0] in self._durable:
                self._durable.discard(each[0])
                self._waiting.append(each)
            else:
                ended.append(each)
        if self._waiting and not self._flushing:
            self._flushing, self._waiting = self._waiting, []
            threading.Timer(self._flush_s, os.write, (self._tell, b"x")).start()
        return ended

    def close(self) -> None:
        self._device.close()
        while self._flushing or self._waiting:
            select.select([self._told], [], [])
            self.completed()
        self._both.close()
        os.close(self._told)
        os.close(self._tell)


@contextmanager
def slow_flushes(flush_s: float) -> Iterator[None]:
    """Storage nodes that are made meanwhile write to such a disk."""
    opened: Callable[[Arena, int], LogDevice] = node.open_device
    node.open_device = lambda arena, lanes: SlowFlushDevice(opened(arena, lanes), flush_s)
    try:
        yield
    finally:
        node.open_device = opened
