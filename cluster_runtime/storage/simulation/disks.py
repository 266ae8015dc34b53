"""One seed of the volume over disks: hosts open it, its files suffer, and what must hold holds.

What clients were told is durable stays so, byte by byte; two hosts never tell different things; a
segment claims only what it holds; a volume whose troubles end becomes whole by itself; pages and
the log behind them always make the database.
"""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from cluster_runtime.errors import QuorumLostError, StaleEpochError, StorageError
from cluster_runtime.storage.core.facts import VolumeFacts
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.quorum import WRITE_QUORUM, Membership
from cluster_runtime.storage.core.retention import ImagePoint
from cluster_runtime.storage.core.types import AZS, SEGMENT_IDS, Lsn, SegmentId, StorageType, az_of
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.page_images import PARTIAL, images
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.volume_file import write_volume_file
from cluster_runtime.storage.simulation.disk import KilledError, SimulatedDisk
from cluster_runtime.storage.simulation.host import Host
from cluster_runtime.storage.simulation.inspect import held_by, state_of
from cluster_runtime.storage.simulation.run import Violation
from cluster_runtime.storage.simulation.scheduler import Scheduler

VOLUME = UUID(int=77)
START = Lsn(4096)
ROOT = Path("/volume")
WAL_SEGMENT_BYTES = 4096
STORM_S = 3.0
"""Virtual seconds of a storm."""
CALM_S = 30.0
"""How long a volume may take to become whole once its troubles have ended."""
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


class DiskWorld:
    """Six segments' files, the hosts over them, and what was promised to clients."""

    def __init__(
        self, seed: int, trace: Callable[[str], None] | None = None, mutation: str | None = None
    ) -> None:
        self.seed, self.mutation = seed, mutation
        self.scheduler = Scheduler(seed, trace)
        self.rng = self.scheduler.rng
        self.weather = Weather.of(self.rng)
        self.disk = SimulatedDisk(self.rng, ROOT)
        for segment in SEGMENT_IDS:
            self.disk.slow[place_of(segment)] = self.rng.choice((0.1, 1.0, 1.0, 5.0))
        self.promised = bytearray()
        self.excused = 0
        self.hosts: list[Host] = []
        self.faults: dict[SegmentId, Fault] = {}
        self.wound: str | None = None
        self.images = 0
        self.stormy = self.writing = True
        facts = VolumeFacts(
            str(VOLUME), 1, START, WAL_SEGMENT_BYTES, "18", self._storage_type, base="base"
        )
        for segment in SEGMENT_IDS:
            SegmentStore.create(
                ROOT,
                VOLUME,
                segment,
                Mark(0, START, START, 0, 1),
                Membership(),
                direct=True,
                facts=facts,
                disk=self.disk,
            ).close()
        write_volume_file(self.disk, ROOT, facts)
        self.disk.sync_directory(ROOT)
        self.open()
        every, weather = self.sometimes, self.weather
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

    def sometimes(self, every: float, call: Callable[[], None]) -> None:
        self.scheduler.sometimes(every, call)

    # hosts -----------------------------------------------------------------------------------

    @property
    def host(self) -> Host | None:
        return self.hosts[-1] if self.hosts and self.hosts[-1].alive else None

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
        try:
            host = Host(
                self.scheduler,
                self.disk,
                ROOT,
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
        except OSError:
            return
        finally:
            self.disk.killed_after = None
        self.hosts = [*[each for each in self.hosts if each.alive][-1:], host]
        self.check_recovered(host)
        if not host.mount.opened.read_only:
            host.attach()

    def ensure_open(self) -> None:
        if self.host is None or not self.host.mount.is_writable:
            if self.host is not None:
                self.kill(self.host)
            self.open()

    def kill(self, host: Host) -> None:
        host.kill()

    def cut_power(self) -> None:
        for host in self.hosts:
            if host.alive:
                self.kill(host)
        self.disk.cut_power()

    def end_host(self) -> None:
        """The process is killed, at once or in the middle of what it does next, or power is cut."""
        if not self.stormy or self.host is None:
            return
        if self.rng.random() < 0.4:
            self.disk.killed_after = self.rng.randrange(40)
            return
        if self.rng.random() < 0.6:
            self.cut_power()
        else:
            self.kill(self.host)
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
        source = ROOT / f"coalescer-{self.images}"

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
                state = state_of(self.disk, f"az-{az}/{name}")
                if state is not None and state.membership.version > newest.version:
                    newest = state.membership
        return newest.segments

    @property
    def away(self) -> set[str]:
        """Segments that do not answer."""
        return {*self.faults, *(place.partition("/")[2] for place in self.disk.refusals)}

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
        kind = rng.choice(("partition", "zone", "full", "read-only", "failing"))
        if kind == "zone":
            az = rng.choice(AZS)
            hit = [each for each in members if az_of(each) == az]
        else:
            hit = [rng.choice(members)] if members else []
        if not hit or len(hit) > budget:
            return
        for segment in hit:
            if kind in ("partition", "zone"):
                self.faults[segment] = Fault.parse("partition")
                self.tell_hosts(segment, fails=True)
            else:
                code = {"full": errno.ENOSPC, "read-only": errno.EROFS, "failing": errno.EIO}[kind]
                self.disk.refusals[place_of(segment)] = code

    def heal(self) -> None:
        self.disk.refusals.clear()
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
        if kind < 0.15:
            self.disk.lose(place)
        elif kind < 0.3:
            self.disk.lose(self.rng.choice(paths))
        else:
            others = [path for path in paths if not path.endswith(".log")]
            path = self.rng.choice(paths if self.rng.random() < 0.6 or not others else others)
            self.disk.rot(path)

    def note_repair(self) -> None:
        """The wound is healed once its segment is whole again, or belongs to the volume no more."""
        if self.wound is None:
            return
        segment = self.wound.partition("/")[2]
        if segment not in self.members or self.is_whole(self.wound):
            self.wound = None

    def is_whole(self, place: str) -> bool:
        held = held_by(self.disk, VOLUME, place)
        if held.state is None or held.end < START + len(self.promised):
            return False
        if (
            held.wal[: START + len(self.promised) - held.start]
            != self.promised[held.start - START :]
        ):
            return False
        return self.images_whole(place)

    def images_whole(self, place: str) -> bool:
        """Whether every image of a segment is what its manifest says, and one is there if any."""
        refusals, self.disk.refusals = self.disk.refusals, {}
        try:
            found = {path.split("/")[3] for path in self.disk.paths(f"{place}/pages")}
            whole = [
                each for each in images(ROOT / place / "pages", self.disk) if not each.damaged()
            ]
            return len(whole) == len([each for each in found if not each.endswith(PARTIAL)])
        finally:
            self.disk.refusals = refusals

    # what must hold --------------------------------------------------------------------------

    def became_durable(self, host: Host, lsn: Lsn) -> None:
        """A host tells its client that everything up to `lsn` is durable."""
        log = host.log[: lsn - START]
        common = min(len(log), len(self.promised))
        if len(log) < lsn - START:
            self.fail(f"{lsn} is durable, and the writer wrote {len(host.log) + START} only")
        if log[:common] != self.promised[:common]:
            self.fail("two hosts told their clients different things")
        if len(log) > len(self.promised):
            self.promised = log
            if self.wound is not None and len(log) > self.excused:
                self.check_copies(host)

    def check_copies(self, host: Host) -> None:
        """What became durable after a segment was found to be damaged lies on four others."""
        membership = host.node.volume.membership
        good = []
        for segment in membership.segments:
            lane = host.mount.lane(segment)
            place = place_of(segment)
            end = START + len(self.promised)
            unnoticed = (
                place == self.wound
                and lane is not None
                and lane.store.core.scl >= end
                and (lane.fault is None or lane.fault.kind is not FaultKind.CRASH)
            )
            if unnoticed or held_by(self.disk, VOLUME, place).end >= end:
                good.append(segment)
        if not membership.has_quorum(good, WRITE_QUORUM):
            self.fail(f"{START + len(self.promised)} was called durable, and {good} hold it")

    def check_recovered(self, host: Host) -> None:
        """A host has opened the volume: everything promised is there, from pages and log."""
        mount = host.mount
        vdl, oldest = mount.node.volume.vdl, mount.index.oldest
        if vdl < START + len(self.promised):
            if self.wound is not None and mount.opened.read_only:
                self.kill(host)  # three copies are too few for a loss on top
                return
            self.fail(f"the log ends at {vdl}, {START + len(self.promised)} was promised")
        try:
            found = self.read_from(host, max(oldest, START))
        except (StorageError, OSError) as error:
            if self.away or self.wound is not None:
                host.log = self.promised[:]
                self.kill(host)
                return
            self.fail(f"what is durable cannot be read: {error}")
        self.compare(host, found, oldest)
        host.log = self.promised[: oldest - START] + found

    def read_from(self, host: Host, lsn: int) -> bytearray:
        cursor = host.mount.cursor(lsn)
        found = bytearray()
        while part := cursor.read(1 << 16):
            found += part
        return found

    def compare(self, host: Host, found: bytearray, oldest: int) -> None:
        known = self.promised[oldest - START :]
        if found[: len(known)] != known:
            self.fail("the log holds something else than what was promised")

    def check_whole(self) -> None:
        """The storm is over: by now the volume is whole, with nobody's help."""
        host = self.host
        if host is None or not host.mount.is_writable:
            self.fail("no host can write though nothing is in its way")
        node = host.node
        for segment in host.mount.members:
            lane = host.mount.lane(segment)
            if lane is None or not lane.live:
                self.fail(f"{segment} does not take part again: {lane.problem if lane else 'gone'}")
            held = held_by(self.disk, VOLUME, place_of(segment))
            if held.state is None:
                self.fail(f"the state of {segment} is damaged, and nobody wrote it anew")
            if lane.store.core.scl > held.end:
                self.fail(f"{segment} claims {lane.store.core.scl} and holds {held.end}")
            if held.end < node.volume.vdl:
                self.fail(f"{segment} holds {held.end} of {node.volume.vdl}")
        self.check_database(host)

    def check_database(self, host: Host) -> None:
        """The newest pages, and the log from their redo point on, make the database."""
        image = host.pages.whole()
        redo = image.redo if image is not None else START
        if image is not None:
            content = self.disk.read(image.directory / "data" / "base" / "pages")
            if content != page_of(redo).ljust(64, b"\0"):
                self.fail(f"the image at {redo} holds other pages")
        elif host.mount.index.oldest > START:
            self.fail("log was collected, and there are no pages in its place")
        begin = redo - redo % WAL_SEGMENT_BYTES
        try:
            found = self.read_from(host, max(begin, START))
        except (StorageError, LookupError) as error:
            self.fail(f"the log behind the pages at {redo} is gone: {error}")
        self.compare(host, found, max(begin, START))

    def fail(self, what: str) -> NoReturn:
        mutation = f" --mutation {self.mutation}" if self.mutation else ""
        raise Violation(
            f"seed {self.seed} at {self.scheduler.now:.3f} s: {what}\n"
            "python -m cluster_runtime.storage.simulation --disks "
            f"--seed {self.seed}{mutation} --trace"
        )

    def run(self) -> None:
        self.scheduler.run_until(STORM_S)
        self.stormy = False
        self.disk.killed_after = None
        self.disk.slow.clear()
        self.heal()
        end = STORM_S
        while True:
            end += 1.0
            self.scheduler.run_until(end)
            if self.is_well or end > STORM_S + CALM_S:
                break
        self.writing = False
        self.scheduler.run_until(end + 4.0)
        self.check_whole()

    @property
    def is_well(self) -> bool:
        host = self.host
        if host is None or not host.mount.is_writable:
            return False
        lanes = [host.mount.lane(each) for each in host.mount.members]
        return all(lane is not None and lane.live for lane in lanes) and not self.rereading


def place_of(segment: str) -> str:
    return f"az-{az_of(SegmentId(segment))}/{segment}"


def page_of(redo: int) -> bytes:
    """What the pages at an LSN are."""
    return b"pages at %d" % redo


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
