"""What must hold of a volume over disks, whatever befalls it."""

from pathlib import Path
from typing import NoReturn
from uuid import UUID

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.faults import FaultKind
from cluster_runtime.storage.core.quorum import WRITE_QUORUM
from cluster_runtime.storage.core.types import Lsn, SegmentId, az_of
from cluster_runtime.storage.disk.page_images import PARTIAL, images
from cluster_runtime.storage.disk.segment_store import PROMISED_FILE
from cluster_runtime.storage.simulation.disk import SimulatedDisk
from cluster_runtime.storage.simulation.host import Host
from cluster_runtime.storage.simulation.inspect import Inspector
from cluster_runtime.storage.simulation.run import Violation
from cluster_runtime.storage.simulation.scheduler import Scheduler

VOLUME = UUID(int=77)
START = Lsn(4096)
WAL_SEGMENT_BYTES = 4096


class Invariants:
    """promised: the log that clients were told is durable. wound: the segment whose files were
    damaged and are not whole again; excused: how much was promised before that.
    """

    seed: int
    mutation: str | None
    scheduler: Scheduler
    root: Path
    disk: SimulatedDisk
    inspector: Inspector
    promised: bytearray
    hosts: list[Host]
    wound: str | None
    excused: int
    wounded_below: int

    @property
    def host(self) -> Host | None:
        """The process that opened the volume last, if it lives."""
        return self.hosts[-1] if self.hosts and self.hosts[-1].alive else None

    @property
    def away(self) -> set[str]:
        """Segments that do not answer."""
        raise NotImplementedError

    @property
    def rereading(self) -> bool:
        """Whether one that answers may hold less than it did."""
        raise NotImplementedError

    def kill(self, host: Host) -> None:
        host.kill()

    def is_whole(self, place: str) -> bool:
        held = self.inspector.held_by(place)
        # What it had beyond what was promised was rotten too, and may have been acknowledged.
        if held.state is None or held.end < max(START + len(self.promised), self.wounded_below):
            return False
        if self.disk.inode(f"{place}/{PROMISED_FILE}") is None:
            return False
        if (
            held.wal[: START + len(self.promised) - held.start]
            != self.promised[held.start - START :]
        ):
            return False
        return self.images_whole(place)

    def images_whole(self, place: str) -> bool:
        """Whether every image of a segment is what its manifest says, and one is there if any."""
        with self.disk.refusing_nobody():
            found = {path.split("/")[3] for path in self.disk.paths(f"{place}/pages")}
            whole = [
                each
                for each in images(self.root / place / "pages", self.disk)
                if not each.damaged()
            ]
            return len(whole) == len([each for each in found if not each.endswith(PARTIAL)])

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
            if unnoticed or self.inspector.held_by(place).end >= end:
                good.append(segment)
        if not membership.has_quorum(good, WRITE_QUORUM):
            self.fail(f"{START + len(self.promised)} was called durable, and {good} hold it")

    def check_recovered(self, host: Host) -> None:
        """A host has opened the volume: everything promised is there, from pages and log."""
        mount = host.mount
        self.check_claims(host)
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
        host.log = self.log_before(oldest) + found

    def log_before(self, oldest: int) -> bytearray:
        """The log that was collected: durable, but a client need not have been told so before
        the process died, or the volume was opened for reading alone.
        """
        known = (self.promised, *(each.log for each in reversed(self.hosts)))
        log = next((each for each in known if START + len(each) >= oldest), None)
        if log is None:
            self.fail(f"log up to {oldest} was collected, and no host ever had it")
        return log[: oldest - START]

    def check_claims(self, host: Host) -> None:
        """What each segment says that it holds, it holds, unless it was damaged."""
        for lane in host.node.lanes:
            store = lane.store
            place = place_of(store.id)
            if place != self.wound and store.core.scl > (end := self.inspector.held_by(place).end):
                self.fail(f"{store.id} claims {store.core.scl} and holds {end}")

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
            held = self.inspector.held_by(place_of(segment))
            if held.state is None:
                self.fail(f"the state of {segment} is damaged, and nobody wrote it again")
            if lane.store.core.scl > held.end:
                self.fail(f"{segment} claims {lane.store.core.scl} and holds {held.end}")
            if held.end < node.volume.vdl:
                self.fail(f"{segment} holds {held.end} of {node.volume.vdl}")
        if self.rereading:
            self.fail(f"what was damaged of {self.wound} is still there")
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


def place_of(segment: str) -> str:
    return f"az-{az_of(SegmentId(segment))}/{segment}"


def page_of(redo: int) -> bytes:
    """What the pages at an LSN are."""
    return b"pages at %d" % redo
