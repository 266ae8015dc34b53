"""Faults on purpose: given to a segment, a zone or the writer's connection, and taken back."""

import random
import threading
import time
from collections.abc import Callable

from cluster_runtime.storage.core.faults import (
    WRITER,
    Fault,
    FaultKind,
    check_writer_fault,
    segments_of,
)
from cluster_runtime.storage.core.types import SegmentId
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount

FLIGHT_POLL_S = 0.001


class FaultInjection:
    """The faults of one volume. They live as long as this process has it open."""

    def __init__(self, mount: Mount, healed: Callable[[], None]) -> None:
        """healed: called when a segment may be back that has no place in the node."""
        self._mount = mount
        self._healed = healed
        self._timers: dict[str, threading.Timer] = {}
        self._of_writer: Fault | None = None

    @property
    def any(self) -> bool:
        """Whether something fails now; it ends with the volume's being open."""
        return bool(self._mount.faults) or self._of_writer is not None

    def close(self) -> None:
        """No fault heals by itself any more."""
        for timer in self._timers.values():
            timer.cancel()

    def inject(self, target: str, kind: str, duration: float | None) -> None:
        """duration: seconds after which it heals; None until `heal`.

        Raises InvalidParameterError for a target or kind that there is not.
        """
        fault = Fault.parse(kind)
        with self._mount.changing:
            if target == WRITER:
                check_writer_fault(fault)
                self._of_writer = fault
                self._set_of_writer(fault)
                segments: tuple[SegmentId, ...] = ()
            else:
                segments = segments_of(target, self._mount.members)
                for segment in segments:
                    self._fail(segment, fault)
            self._stop_timer(target)
            if duration is not None:
                timer = threading.Timer(
                    duration, self._heal, (target == WRITER, segments), {"only": fault}
                )
                timer.daemon = True
                self._timers[target] = timer
                timer.start()

    def heal(self, target: str | None) -> None:
        """Take the faults of a target, or all of them; segments catch up from their peers."""
        with self._mount.changing:
            members = self._mount.members
            if target is None:
                self.close()
                self._heal(True, members)
            else:
                self._stop_timer(target)
                segments = () if target == WRITER else segments_of(target, members)
                self._heal(target == WRITER, segments)

    def _heal(
        self, writer: bool, segments: tuple[SegmentId, ...], only: Fault | None = None
    ) -> None:
        """Segments that were replaced meanwhile are passed over.

        only: the fault whose time is over. A later one has a time of its own, also where it came
        by another target or while this waited for the lock.
        """
        mount = self._mount
        with mount.changing:
            if mount.closed:
                return
            if writer and (only is None or self._of_writer is only):
                self._of_writer = None
                self._set_of_writer(None)
            lanes = []
            for segment in segments:
                if only is not None and mount.faults.get(segment) is not only:
                    continue
                if segment in mount.members:
                    mount.faults.pop(segment, None)
                    lanes.append(mount.lane(segment))
            for lane in lanes:
                if lane is not None:
                    self._set(lane, None)
            if lanes and (mount.node.ended or None in lanes):
                self._healed()

    def _stop_timer(self, target: str) -> None:
        timer = self._timers.pop(target, None)
        if timer is not None:
            timer.cancel()

    def _set_of_writer(self, fault: Fault | None) -> None:
        node = self._mount.node
        if not node.ended:
            node.call(lambda: node.set_writer_fault(fault))

    def _fail(self, segment: SegmentId, fault: Fault) -> None:
        lane = self._mount.lane(segment)
        if fault.kind is FaultKind.CORRUPT:
            if lane is not None:
                self._damage(lane)
            return
        self._mount.faults[segment] = fault
        if lane is not None:
            self._set(lane, fault)

    def _set(self, lane: Lane, fault: Fault | None) -> None:
        node = self._mount.node
        if not node.ended:
            node.call(lambda: node.set_fault(lane, fault))

    def _damage(self, lane: Lane) -> None:
        """Turn over some bytes of a segment's log, as a failing disk would: of this one alone.

        A file that other volumes share is given its own content first, and so nothing may be
        writing to it then.
        """
        store, node = lane.store, self._mount.node
        frames = list(store.frames(store.log.start, end=store.end))
        if not frames:
            return
        victim = random.choice(frames)

        def overturn() -> bool:
            file = store.log.file_at(victim.position)
            if lane.flights and store.end < file.end:
                return False
            file = store.log.own(file)
            content = bytes(each ^ 0xFF for each in store.log.read(victim.position + 8, 64))
            store.log.disk.write(file.path, file.offset(victim.position + 8), content)
            return True

        while not (overturn() if node.ended else node.call(overturn)):
            time.sleep(FLIGHT_POLL_S)
