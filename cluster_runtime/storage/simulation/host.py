"""One process that has the volume open: the real drivers, over virtual time and a simulated disk.

Opening, commit path, repair, replacement, scrub, pages and collection are the product's own; only
threads, clock, disk and PostgreSQL are modelled.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.policy.replacement import ReplacementPolicy
from cluster_runtime.storage.core.types import Lsn, SegmentId
from cluster_runtime.storage.disk.device import Arena
from cluster_runtime.storage.disk.page_images import make_image, sweep
from cluster_runtime.storage.live.commit.commit_path import CommitPath
from cluster_runtime.storage.live.commit.writer_link import Attachment
from cluster_runtime.storage.live.mount import Mount, Upkeep
from cluster_runtime.storage.live.node import StorageNode
from cluster_runtime.storage.simulation.device import SimulatedDevice
from cluster_runtime.storage.simulation.disk import SimulatedDisk
from cluster_runtime.storage.simulation.scheduler import Scheduler
from cluster_runtime.storage.streaming.replication import ReplicationClient, WalMessage
from cluster_runtime.storage.upkeep.faults import FaultInjection
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.images.pages import Pages
from cluster_runtime.storage.upkeep.log_files import FilePreparation
from cluster_runtime.storage.upkeep.repair import Repair
from cluster_runtime.storage.upkeep.replacement import Replacing
from cluster_runtime.storage.upkeep.scrub import Scrubbing
from cluster_runtime.storage.upkeep.worker import Work, Worker

AWAY_LIMIT = 2.0
RETRY_AFTER = 1.0
LOOK_EVERY = 0.8
SOON = 0.01
LOG_BOUND_BYTES = 64

_Result = TypeVar("_Result")


class SimulatedNode(StorageNode):
    """The storage node without its thread: the host turns it when something happened."""

    def __init__(
        self,
        *given: Any,
        device: Callable[[Arena, int], SimulatedDevice],
        clock: Any,
        wake: Callable[[], None],
        **named: Any,
    ) -> None:
        CommitPath.__init__(self, *given, open_device=device, clock=clock, **named)
        self._closed = False
        self._commands: deque[Callable[[], None]] = deque()
        self.wake = wake

    def start(self) -> None:
        """It has no thread."""

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.detach()
            self._device.close()

    def call(self, action: Callable[[], _Result]) -> _Result:
        if self._closed:
            raise StorageError("the storage node has ended")
        result = action()
        self.wake()
        return result

    def post(self, action: Callable[[], None]) -> None:
        self._commands.append(action)
        self.wake()

    def _ignore_writer(self) -> None:
        """Nobody listens to a connection here."""

    @property
    def next_timer(self) -> float | None:
        return self._timers.due


class SimulatedWorker(Worker):
    """Work of one thread, each piece as an event of its own. An unexpected error is a finding."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._waiting: deque[Work] = deque()
        self._scheduled = False

    def put(self, work: Work, *, after_s: float = 0.0) -> None:
        if after_s:
            self._host.later(after_s, lambda: self.put(work))
            return
        self._waiting.append(work)
        if not self._scheduled:
            self._scheduled = True
            self._host.later(self._host.scheduler.rng.random() * SOON, self._one)

    def _one(self) -> None:
        self._scheduled = False
        work = self._waiting.popleft()
        if self._waiting:
            self._scheduled = True
            self._host.later(self._host.scheduler.rng.random() * SOON, self._one)
        try:
            work()
        except (OSError, LookupError, StorageError):
            return  # as the thread does: logged, and forgotten


class Client(ReplicationClient):
    """PostgreSQL as the storage node sees it: it sends WAL, and hears how much is durable."""

    def __init__(self, host: "Host", lsn: int) -> None:
        self.has_more = False
        self._host = host
        self.lsn = lsn
        self.waiting: deque[WalMessage] = deque()
        self.closed = False

    def send(self, wal: bytes) -> None:
        self.waiting.append(WalMessage(self.lsn, memoryview(wal)))
        self.lsn += len(wal)

    def receive(self, limit_bytes: int) -> list[WalMessage]:
        found: list[WalMessage] = []
        size = 0
        while self.waiting and size + len(self.waiting[0].wal) <= limit_bytes:
            found.append(self.waiting.popleft())
            size += len(found[-1].wal)
        return found

    def acknowledge(self, lsn: int) -> None:
        self._host.on_durable(self._host, Lsn(lsn))

    def relay(self, feedback: Feedback) -> None:
        """No reader asks for anything."""

    def report(self) -> None:
        """It is never silent for long."""

    def close(self) -> None:
        self.closed = True


class SimulatedMaker:
    """Makes images on the simulated disk, within the process."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk

    def make(self, folder: Path, source: Path, *, redo: int, lsn: int, timeline: int) -> None:
        make_image(folder, source, redo=redo, lsn=lsn, timeline=timeline, disk=self._disk)

    def sweep(self, folder: Path) -> None:
        sweep(folder, self._disk)


class Host:
    """Raises what `Mount.open` raises. `log`: what its writer wrote and the volume held before."""

    def __init__(
        self,
        scheduler: Scheduler,
        disk: SimulatedDisk,
        root: Path,
        *,
        slowest: float,
        shared: bool,
        faults: dict[SegmentId, Any],
        on_durable: Callable[["Host", Lsn], None],
        guard: Callable[["Host", Callable[[], None]], None],
    ) -> None:
        """guard: runs what happens to this process, and ends it where that is its end."""
        self.scheduler = scheduler
        self.alive = True
        self.on_durable = on_durable
        self.log = bytearray()
        self.maker = SimulatedMaker(disk)
        self.client: Client | None = None
        self._attached: SimulatedNode | None = None
        self._guard = guard
        self._turning = False
        self._timer_at = float("inf")

        def device(arena: Arena, lanes: int) -> SimulatedDevice:
            made = SimulatedDevice(arena, scheduler, disk, slowest, shared=shared, ended=self.wake)
            self.devices.append(made)
            return made

        self.devices: list[SimulatedDevice] = []
        self.mount = mount = Mount(
            root,
            disk,
            # Also of the node that an opening in place makes: nobody else would turn that.
            make_node=lambda *given, **named: SimulatedNode(
                *given, device=device, clock=self.clock, wake=self.wake, **named
            ),
            clock=self.clock,
        )
        mount.faults.update(faults)
        slow, quick = SimulatedWorker(self), SimulatedWorker(self)
        files = FilePreparation(mount, quick)
        self.repair = Repair(mount, slow)
        self.pages = _SmallPages(mount, files, _NoDirectories(), slow, Holders())  # type: ignore[arg-type]
        self.faults = FaultInjection(mount, self._bring_back)
        policy = ReplacementPolicy(away_limit_s=AWAY_LIMIT, retry_after_s=RETRY_AFTER)
        self.replacing = Replacing(mount, self.repair, self.pages, policy)
        self.scrubbing = Scrubbing(mount, self.repair, self.pages)
        self._slow = slow
        mount.open(
            Upkeep(files.prepare_file, self.repair.catch_up, self.repair.repair_damage, self._lost)
        )
        self.later(LOOK_EVERY, self._look)

    @property
    def node(self) -> SimulatedNode:
        node = self.mount.node
        assert isinstance(node, SimulatedNode)
        return node

    def clock(self) -> float:
        return self.scheduler.now

    @property
    def is_followed(self) -> bool:
        """Whether a writer was attached since the volume was opened, the last time in place."""
        return self._attached is self.mount.node

    def attach(self) -> None:
        """A writer comes, at the end of the log."""
        self._attached = node = self.node
        self.client = Client(self, node.end_lsn)
        attachment = Attachment(node.volume.epoch, 1, Path(), lambda error: None)
        node.attach(self.client, attachment)

    def send(self, wal: bytes) -> None:
        """The writer writes."""
        if self.client is not None and not self.client.closed:
            self.log += wal
            self.client.send(wal)
            self.wake()

    def wake(self) -> None:
        """Something happened: the node takes its turn, soon."""
        if not self._turning and self.alive:
            self._turning = True
            self.later(0.0, self._turn)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Have something happen to this process, if it is still there by then."""
        self.scheduler.after(delay, self._happens, action)

    def close(self) -> None:
        """The process lets go of the volume, and ends."""
        self.mount.closed = True
        self.mount.leaving.set()
        self.mount.close_node()
        self.alive = False

    def kill(self) -> None:
        """The process ends here."""
        self.alive = False
        for device in self.devices:
            device.kill()

    def _happens(self, action: Callable[[], None]) -> None:
        if self.alive:
            self._guard(self, action)

    def _turn(self) -> None:
        self._turning = False
        node = self.node
        if node.ended:
            return
        source = node.source
        node.turn(source if source is self.client else None)
        while node._commands:
            node._commands.popleft()()
        if self.client is not None and self.client.waiting and node.source is self.client:
            self.wake()
        due = node.next_timer
        if due is not None and due < self._timer_at:
            self._timer_at = due
            self.later(max(0.0, due - self.scheduler.now), self._timer)

    def _timer(self) -> None:
        self._timer_at = float("inf")
        self.wake()

    def _look(self) -> None:
        self._slow.put(self.replacing.look)
        self.later(LOOK_EVERY * (0.5 + self.scheduler.rng.random()), self._look)

    def _bring_back(self) -> None:
        self.repair.bring_back()
        self._slow.put(self.replacing.look)

    def _lost(self, attachment: Attachment, error: StorageError) -> None:
        """The writer's stream ended: it is not attached again."""


class _SmallPages(Pages):
    """Of a database so small that a segment which is behind is not waited for for long."""

    @property
    def log_bound_bytes(self) -> int:
        return LOG_BOUND_BYTES


class _NoDirectories:
    """No server's directory is laid out here."""

    base_image_bytes = 0
