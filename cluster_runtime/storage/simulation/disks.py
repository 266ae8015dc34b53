"""One seed of the volume over disks: hosts open it, its files suffer, and what must hold holds.

What clients were told is durable stays so, byte by byte; two hosts never tell different things; a
segment claims only what it holds; a volume whose troubles end becomes whole by itself; pages and
the log behind them always make the database.
"""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from cluster_runtime.errors import QuorumLostError, StaleEpochError, StorageError
from cluster_runtime.storage.core.faults import Fault
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.policy.retention import ImagePoint
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.types import AZS, SEGMENT_IDS, SegmentId, StorageType, az_of
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.volume_file import write_volume_file
from cluster_runtime.storage.simulation.disk import KilledError, SimulatedDisk
from cluster_runtime.storage.simulation.host import Host
from cluster_runtime.storage.simulation.inodes import Folder, KnownPath
from cluster_runtime.storage.simulation.inspect import Inspector
from cluster_runtime.storage.simulation.invariants import (
    START,
    VOLUME,
    WAL_SEGMENT_BYTES,
    Invariants,
    page_of,
    place_of,
)
from cluster_runtime.storage.simulation.scheduler import Scheduler

STORM_S = 3.0
"""Virtual seconds of a storm."""
CALM_S = 30.0
"""How long a volume may take to become whole once its troubles have ended."""
LOOK_S = 0.25
QUIET_S = 4.0
"""How long a volume that is whole is left alone before the last look at it, in every fourth run."""
AWAY_MAX = 3


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad this run is: seconds between two of a kind, on average."""

    write: float
    slowest: float
    kill: float
    take_over: float
    trouble: float
    rot: float
    image: float
    scrub: float
    shared: bool

    @classmethod
    def of(cls, rng: random.Random) -> "Weather":
        return cls(
            write=rng.choice((0.15, 0.3, 0.6)),
            slowest=rng.choice((0.01, 0.1, 0.5)),
            kill=rng.choice((1.5, 3.0, 8.0)),
            take_over=rng.choice((2.0, 6.0, 20.0)),
            trouble=rng.choice((0.8, 2.0, 8.0)),
            rot=rng.choice((1.0, 3.0, 12.0)),
            image=rng.choice((1.0, 3.0, 8.0)),
            scrub=rng.choice((1.0, 4.0)),
            shared=rng.random() < 0.3,
        )


class DiskWorld(Invariants):
    """Six segments' files, the hosts over them, and what was promised to clients."""

    def __init__(
        self, seed: int, trace: Callable[[str], None] | None = None, mutation: str | None = None
    ) -> None:
        self.seed, self.mutation = seed, mutation
        self.scheduler = Scheduler(seed, trace)
        self.rng = self.scheduler.rng
        self.weather = Weather.of(self.rng)
        self.root = KnownPath("/volume")
        self.disk = SimulatedDisk(self.rng, self.root)
        if mutation is None:
            self.disk.put(_new_volume(self._storage_type))
        else:
            create_volume(self.disk, self.root, self._storage_type)
        self.inspector = Inspector(self.disk, VOLUME)
        for segment in SEGMENT_IDS:
            self.disk.slow[place_of(segment)] = self.rng.choice((0.1, 1.0, 1.0, 5.0))
        self.promised = bytearray()
        self.excused = self.wounded_below = 0
        self.hosts: list[Host] = []
        self.faults: dict[SegmentId, Fault] = {}
        self.refusing_soon: dict[str, int] = {}
        self.wound: str | None = None
        self.images = 0
        self.stormy = self.writing = True
        self.open()
        every, weather = self.scheduler.sometimes, self.weather
        every(weather.write, self.write)
        every(weather.kill, self.end_host)
        every(weather.take_over, self.take_over)
        every(weather.trouble, self.trouble)
        every(weather.rot, self.damage)
        every(weather.image, self.make_image)
        every(weather.scrub, self.scrub)
        every(1.0, self.ensure_open)

    @property
    def _storage_type(self) -> StorageType:
        return "aurora-iopt1" if self.weather.shared else "aurora"

    # hosts -----------------------------------------------------------------------------------

    def guard(self, host: Host, action: Callable[[], None]) -> None:
        try:
            action()
        except KilledError:
            self.disk.killed_after = None
            self.kill(host)
        except StaleEpochError:
            self.kill(host)

    def open(self) -> None:
        """A process opens the volume. It may not live to tell."""
        if self.stormy and self.rng.random() < 0.2:
            self.disk.killed_after = self.rng.randrange(120)
        elif self.stormy and self.rng.random() < 0.2:
            self.refuse(soon=60)
        try:
            host = Host(
                self.scheduler,
                self.disk,
                self.root,
                slowest=self.weather.slowest,
                shared=self.weather.shared,
                faults=self.faults,
                on_durable=self.became_durable,
                guard=self.guard,
            )
        except KilledError:
            self.disk.killed_after = None
            if self.rng.random() < 0.5:
                self.cut_power()
            return
        except QuorumLostError as error:
            if len(self.away) <= 2 and not self.rereading:
                self.fail(f"with {sorted(self.away)} away: {error}")
            return
        except OSError as error:
            self.fail(f"one disk's trouble stops the volume from opening: {error}")
        finally:
            self.disk.killed_after = None
        self.hosts = [*[each for each in self.hosts if each.alive][-1:], host]
        self.check_recovered(host)
        if not host.mount.opened.read_only:
            host.attach()

    def ensure_open(self) -> None:
        host = self.host
        if host is None or not host.mount.is_writable:
            if host is not None:
                self.kill(host)
            self.open()
        elif not host.is_followed:
            # It could only be read at first, and was opened again in place.
            self.check_recovered(host)
            host.attach()

    def cut_power(self) -> None:
        for host in self.hosts:
            if host.alive:
                self.kill(host)
        self.disk.cut_power()

    def end_host(self) -> None:
        """The process ends, or is killed, now or in the middle of what it does; or power is cut."""
        if not self.stormy or self.host is None:
            return
        if self.rng.random() < 0.2:
            self.end_in_order(soon=40)
            return
        if self.rng.random() < 0.4:
            self.disk.killed_after = self.rng.randrange(40)
            return
        if self.rng.random() < 0.6:
            self.cut_power()
        else:
            self.kill(self.host)
        self.scheduler.after(self.rng.random() * 0.3, self.ensure_open)

    def end_in_order(self, soon: int) -> None:
        """The process is asked to end, within so many changes of the disk."""
        if self.host is not None:
            self.disk.plan(self.rng.randrange(soon), partial(self.leave, self.host))

    def leave(self, host: Host) -> None:
        host.mount.leaving.set()
        host.later(0.0, host.close)
        self.scheduler.after(self.rng.random() * 0.3, self.ensure_open)

    def take_over(self) -> None:
        """Another process opens the volume; the one before goes on, and may not know."""
        if self.stormy and self.host is not None:
            self.open()

    # work ------------------------------------------------------------------------------------

    def write(self) -> None:
        for host in self.hosts:
            if self.writing and host.alive and host.client is not None:
                for _ in range(self.rng.choice((1, 1, 1, 3))):
                    size = self.rng.choice((40, 100, 300, 1500))
                    if (len(host.log) + START + size) % 8192 == 0:
                        size += 8
                    epoch = host.node.volume.epoch
                    host.send(random.Random(epoch * 1_000_003 + len(host.log)).randbytes(size))

    def make_image(self) -> None:
        """The coalescer has stopped cleanly, at some LSN that is durable."""
        host = self.host
        if host is None or not host.mount.is_writable or not host.mount.full_lanes():
            return
        vdl = host.node.volume.vdl
        redo = max(START, vdl - self.rng.choice((0, 0, 500, 5000)))
        newest = host.pages.newest()
        if newest is not None and redo <= newest.redo:
            return
        self.images += 1
        source = self.root / f"coalescer-{self.images}"

        def make() -> None:
            self.disk.make_directory(source / "base")
            self.disk.create(source / "base" / "pages", page_of(redo), 64)
            self.disk.create(source / "base" / "catalog", b"same", 64)
            try:
                host.pages.keep(host.maker, source, ImagePoint(redo, vdl), 1)
            except (QuorumLostError, OSError, StorageError):
                return

        host.later(0.0, make)

    def scrub(self) -> None:
        host = self.host
        if host is not None and host.mount.is_writable:
            host.later(0.0, lambda: self._scrub(host))

    def _scrub(self, host: Host) -> None:
        try:
            host.scrubbing.run()
        except (OSError, StorageError, LookupError):
            return

    # troubles --------------------------------------------------------------------------------

    @property
    def members(self) -> tuple[SegmentId, ...]:
        """Of whichever membership is the newest on any disk."""
        newest = Membership()
        for az in AZS:
            for name in self.disk.names_of(f"az-{az}"):
                state = self.inspector.state_of(f"az-{az}/{name}")
                if state is not None and state.membership.version > newest.version:
                    newest = state.membership
        return newest.segments

    @property
    def away(self) -> set[str]:
        """Segments that do not answer, or soon will not."""
        places = (*self.disk.refusals, *self.refusing_soon)
        return {*self.faults, *(place.partition("/")[2] for place in places)}

    @property
    def rereading(self) -> bool:
        """Whether one that answers may hold less than it did."""
        self.note_repair()
        return self.wound is not None

    def trouble(self) -> None:
        """A segment or a zone does not answer, or a disk refuses; or that ends."""
        rng = self.rng
        if not self.stormy or rng.random() < 0.4:
            self.heal()
            return
        budget = AWAY_MAX - len(self.away) - (self.wound is not None)
        members = [each for each in self.members if each not in self.away]
        kind = rng.choice(("partition", "zone", "disk", "disk", "disk"))
        if kind == "disk":
            self.refuse(soon=rng.choice((0, 40)))
            return
        if kind == "zone":
            az = rng.choice(AZS)
            hit = [each for each in members if az_of(each) == az]
        else:
            hit = [rng.choice(members)] if members else []
        if not hit or len(hit) > budget:
            return
        for segment in hit:
            self.faults[segment] = Fault.parse("partition")
            self.tell_hosts(segment, fails=True)

    def refuse(self, soon: int) -> None:
        """A disk is full, read-only or failing, within so many changes of any disk."""
        rng = self.rng
        members = [each for each in self.members if each not in self.away]
        if not members or len(self.away) + (self.wound is not None) >= AWAY_MAX:
            return
        place = place_of(rng.choice(members))
        code = rng.choice((errno.ENOSPC, errno.EROFS, errno.EIO))
        self.refusing_soon[place] = code
        self.disk.plan(rng.randrange(soon) if soon else 0, partial(self.begin_refusing, place))

    def begin_refusing(self, place: str) -> None:
        code = self.refusing_soon.pop(place, None)
        if code is not None:
            self.disk.refusals[place] = code

    def heal(self) -> None:
        if self.stormy and self.away and self.rng.random() < 0.4:
            self.end_in_order(soon=40)  # while those that come back catch up
        self.disk.refusals.clear()
        self.refusing_soon.clear()
        for segment in list(self.faults):
            del self.faults[segment]
            self.tell_hosts(segment, fails=False)

    def tell_hosts(self, segment: SegmentId, *, fails: bool) -> None:
        for host in self.hosts:
            if host.alive:
                host.later(0.0, partial(self._tell, host, segment, fails))

    def _tell(self, host: Host, segment: SegmentId, fails: bool) -> None:
        if segment not in host.mount.members:
            host.mount.faults.pop(segment, None)
        elif fails:
            host.faults.inject(f"segment:{segment}", "partition", None)
        else:
            host.faults.heal(f"segment:{segment}")

    def damage(self) -> None:
        """Rot in one segment's files, or their loss; never a second one before that is repaired."""
        if not self.stormy or self.rereading or len(self.away) >= AWAY_MAX:
            return
        segment = self.rng.choice(self.members)
        place = place_of(segment)
        paths = self.disk.paths(place)
        if not paths:
            return
        kind = self.rng.random()
        self.wound, self.excused = place, len(self.promised)
        self.wounded_below = self.inspector.held_by(place).end
        if kind < 0.15:
            self.disk.lose(place)
        elif kind < 0.3:
            self.disk.lose(self.rng.choice(paths))
        else:
            others = [path for path in paths if not path.endswith(".log")]
            path = self.rng.choice(paths if self.rng.random() < 0.6 or not others else others)
            if self.rng.random() < 0.2:
                self.disk.truncate(path)
            else:
                self.disk.rot(path)

    def note_repair(self) -> None:
        """The wound is healed once its segment is whole again, or belongs to the volume no more."""
        if self.wound is None:
            return
        segment = self.wound.partition("/")[2]
        if segment not in self.members or (
            self.is_whole(self.wound) and not self.works_with_lost_files(segment)
        ):
            self.wound = None

    def works_with_lost_files(self, segment: str) -> bool:
        """Whether a process still takes files for a segment's that have no name any more."""
        lane = self.host.mount.lane(SegmentId(segment)) if self.host is not None else None
        with self.disk.refusing_nobody():
            return lane is not None and not lane.store.is_there

    def run(self) -> None:
        self.scheduler.run_until(STORM_S)
        self.stormy = False
        self.disk.killed_after = None
        self.disk.forget_plans()
        self.disk.slow.clear()
        self.heal()
        self.wait(CALM_S, lambda: self.is_well)
        self.writing = False
        if self.seed % 4 == 0:
            self.scheduler.run_until(self.scheduler.now + QUIET_S)
        self.wait(CALM_S, lambda: self.is_settled)
        self.check_whole()

    def wait(self, longest: float, until: Callable[[], bool]) -> None:
        """Let time pass, in virtual seconds."""
        end = self.scheduler.now + longest
        while self.scheduler.now < end:
            self.scheduler.run_until(self.scheduler.now + LOOK_S)
            if until():
                return

    @property
    def is_well(self) -> bool:
        host = self.host
        if host is None or not host.mount.is_writable:
            return False
        lanes = [host.mount.lane(each) for each in host.mount.members]
        return all(lane is not None and lane.live for lane in lanes) and not self.rereading

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way any more, or still to be noticed."""
        host = self.host
        if host is None or not self.is_well or host.node.volume.membership.changing:
            return False
        lanes = [host.mount.lane(each) for each in host.mount.members]
        vdl = host.node.volume.vdl
        stores = [lane.store for lane in lanes if lane is not None]
        return all(each.is_there and each.core.scl >= vdl for each in stores)


def create_volume(disk: SimulatedDisk, root: Path, storage_type: StorageType) -> None:
    """Six empty segments, durable with all that is in them."""
    metadata = VolumeMetadata(
        str(VOLUME), 1, START, WAL_SEGMENT_BYTES, "18", storage_type, base="base"
    )
    for segment in SEGMENT_IDS:
        SegmentStore.create(
            root,
            VOLUME,
            segment,
            Mark(0, START, START, 0, 1),
            Membership(),
            direct=True,
            metadata=metadata,
            disk=disk,
        ).close()
    write_volume_file(disk, root, metadata)
    disk.sync_directory(root)


@lru_cache
def _new_volume(storage_type: StorageType) -> Folder:
    """All runs begin with the same files."""
    root = Path("/volume")
    disk = SimulatedDisk(random.Random(0), root)
    create_volume(disk, root, storage_type)
    return disk.take()


def run_disk_seed(
    seed: int, *, trace: Callable[[str], None] | None = None, mutation: str | None = None
) -> int:
    """Run one seed; return how many bytes of log were promised. Raises Violation.

    mutation: the deliberate bug that the product has now (see `mutations.mutated`).
    """
    world = DiskWorld(seed, trace, mutation)
    try:
        world.run()
    except RuntimeError as error:
        world.fail(str(error))
    return len(world.promised)
