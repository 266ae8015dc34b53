"""The log device of a simulated host: writes take their time, and end in any order."""

from collections.abc import Callable, Sequence

from cluster_runtime.storage.disk.device import Arena, Vector
from cluster_runtime.storage.simulation.disk import SimulatedDisk
from cluster_runtime.storage.simulation.scheduler import Scheduler

_Write = tuple[int, int, Sequence[Vector], int, bool]


class SimulatedDevice:
    """A `LogDevice`. The bytes of a write are taken from the arena when it ends, as a disk may."""

    direct = True

    def __init__(
        self,
        arena: Arena,
        scheduler: Scheduler,
        disk: SimulatedDisk,
        slowest: float,
        *,
        shared: bool,
        ended: Callable[[], None],
    ) -> None:
        """slowest: seconds that a write takes at most. ended: called when one has ended."""
        self._arena = arena
        self._scheduler = scheduler
        self._disk = disk
        self._slowest = slowest
        self._shared = shared
        self._tell = ended
        self._prepared: list[_Write | tuple[int, int]] = []
        self._under_way: dict[int, _Write] = {}
        self._ended: list[tuple[int, int]] = []
        self._gone = False

    def fileno(self) -> int:
        raise AssertionError("nobody waits for a simulated device")

    def start(
        self, lane: int, fd: int, vectors: Sequence[Vector], offset: int, *, durable: bool
    ) -> None:
        self._prepared.append((lane, fd, vectors, offset, durable))

    def shares_a_disk(self, fds: Sequence[int]) -> bool:
        return self._shared

    def flush(self, lane: int, fd: int) -> None:
        self._prepared.append((lane, fd))

    def submit(self) -> None:
        for each in self._prepared:
            delay = self._scheduler.rng.random() * self._slowest * self._disk.slowness(each[1])
            if len(each) == 2:
                self._scheduler.after(delay, self._flushed, each[0], each[1], self._disk.unsynced())
            else:
                self._under_way[each[0]] = each
                self._scheduler.after(delay, self._written, each[0])
        self._prepared.clear()

    def completed(self) -> list[tuple[int, int]]:
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Wait for what is under way."""
        for lane in list(self._under_way):
            self._written(lane)
        self._gone = True

    def kill(self) -> None:
        """The process is gone: of what is under way any part happens, and nobody hears of it."""
        self._gone = True
        for write in self._under_way.values():
            if self._scheduler.rng.random() < 0.5:
                self._do(write, parts=self._scheduler.rng.randint(0, len(write[2])))
        self._under_way.clear()

    def _written(self, lane: int) -> None:
        write = self._under_way.pop(lane, None)
        if write is not None and not self._gone:
            self._ended.append((lane, self._do(write)))
            self._tell()

    def _flushed(self, lane: int, fd: int, written: set[int]) -> None:
        if not self._gone:
            self._ended.append((lane, self._disk.flush(fd, written)))
            self._tell()

    def _do(self, write: _Write, parts: int | None = None) -> int:
        """parts: how many of its parts happen; None for all."""
        _, fd, vectors, offset, durable = write
        content = b"".join(
            bytes(self._arena.view[at : at + length]) for at, length in vectors[:parts]
        )
        return self._disk.write_at(fd, offset, memoryview(content), durable=durable)
