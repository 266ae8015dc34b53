"""Members that are gone are replaced, and members that come back are taken in, while commits go on.

Each look at the segments takes the next step of what is under way. When to begin, and when to go
back, is decided in `replacement`; a crash between any two steps leaves a volume that opens.
"""

from cluster_runtime.logs import get_logger
from cluster_runtime.storage.core.faults import Fault, FaultKind
from cluster_runtime.storage.core.policy.replacement import (
    Abandon,
    Begin,
    Condition,
    ReplacementPolicy,
)
from cluster_runtime.storage.core.quorum import WRITE_QUORUM, Membership
from cluster_runtime.storage.core.segment import Persist
from cluster_runtime.storage.core.types import AZS, SegmentId
from cluster_runtime.storage.disk.segment_store import (
    SegmentAwayError,
    SegmentStore,
    SegmentUnreadableError,
)
from cluster_runtime.storage.live.commit.lanes import Lane
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.live.opening import remove_segment, successor_store
from cluster_runtime.storage.upkeep.images.pages import Pages
from cluster_runtime.storage.upkeep.repair import Repair

_OUT_OF_USE = Fault(FaultKind.CRASH)

_log = get_logger(__name__)


class Replacing:
    """The members of one volume. `look` is called every few seconds, on the thread of repairs."""

    def __init__(
        self, mount: Mount, repair: Repair, pages: Pages, policy: ReplacementPolicy
    ) -> None:
        self._mount = mount
        self._repair = repair
        self._pages = pages
        self._policy = policy
        # Their files are there, and answer: without this they would be taken for back again.
        self._useless: set[SegmentId] = set()

    def look(self) -> None:
        """See how the members are, and take the next step."""
        mount = self._mount
        with mount.filling:
            if not mount.is_writable:
                return
            for lane in mount.node.lanes:
                (self._useless.add if lane.useless else self._useless.discard)(lane.store.id)
            self._take_in()
            for lane in mount.node.lanes:
                if lane.reachable and not (lane.live or lane.useless or lane.problem):
                    self._repair.catch_up(lane.store.id)
            membership = mount.node.volume.membership
            conditions = {each: self._condition(each) for each in membership.segments}
            for segment, condition in conditions.items():
                if condition is Condition.LOST:
                    self._stop_using(segment)
            if membership.candidate is not None and self._finish(membership.candidate):
                return
            if membership.candidate is None:
                self._remove_who_left(membership)
            match self._policy.decide(self._mount.clock(), membership, conditions):
                case Begin(segment):
                    self._begin(segment)
                case Abandon():
                    self._abandon()
                case None:
                    pass
        self._give_pages()

    # how the members are ----------------------------------------------------------------------

    def _condition(self, segment: SegmentId) -> Condition:
        fault = self._mount.faults.get(segment)
        if fault is not None and (fault.unreachable or fault.kind is FaultKind.DISK_FULL):
            return Condition.AWAY
        lane = self._mount.lane(segment)
        if segment in self._useless:
            return Condition.LOST
        if lane is None:
            return self._condition_on_disk(segment)
        try:
            if not lane.store.is_there:
                return Condition.LOST
        except OSError:
            return Condition.AWAY
        return Condition.AWAY if lane.problem else Condition.ANSWERS

    def _condition_on_disk(self, segment: SegmentId) -> Condition:
        try:
            self._open(segment).close()
        except SegmentAwayError:
            return Condition.AWAY
        except SegmentUnreadableError:
            return Condition.LOST
        return Condition.ANSWERS

    def _take_in(self) -> None:
        """Give members that were away when the volume was opened a place in the node."""
        mount = self._mount
        for segment in mount.node.volume.membership.sets[-1]:
            fault = mount.faults.get(segment)
            if segment in self._useless:
                continue
            if mount.lane(segment) is None and (fault is None or not fault.unreachable):
                try:
                    store = self._open(segment)
                except SegmentUnreadableError:
                    continue
                store.metadata = mount.metadata
                mount.put(store, mount.vacant_lane())
                self._repair.catch_up(segment)

    def _stop_using(self, segment: SegmentId) -> None:
        """Files without a name take writes, and keep nothing of them."""
        node, lane = self._mount.node, self._mount.lane(segment)
        if lane is not None and lane.reachable:
            _log.warning("a segment is lost", segment=segment)
            node.call(lambda: node.set_fault(lane, _OUT_OF_USE))
            node.call(lambda: node.volume.lost(segment, lane.store.core.floor))

    # the steps of a replacement ---------------------------------------------------------------

    def _begin(self, segment: SegmentId) -> None:
        """Dual quorums from here on; the successor begins to fill."""
        mount, node = self._mount, self._mount.node
        lane = mount.lane(segment)
        if lane is not None and not node.call(lambda: _is_at_rest(lane)):
            return  # at the next look
        volume = node.volume
        sources = [each.store for each in node.lanes if each.live]
        if not sources:
            return
        membership = node.call(lambda: volume.begin_replacement(segment))
        candidate = membership.candidate
        assert candidate is not None
        _log.warning("a segment is being replaced", segment=segment, successor=candidate)
        self._store(membership)
        source = max(sources, key=lambda each: each.core.scl)
        try:
            store = successor_store(source, candidate, membership, volume.history)
        except OSError as error:
            _log.warning("no successor can be made", segment=segment, error=str(error))
            self._policy.gave_up(self._mount.clock())
            self._abandon()
            return
        mount.put(store, lane if lane is not None else mount.vacant_lane())
        self._repair.catch_up(candidate)

    def _finish(self, candidate: SegmentId) -> bool:
        """The new set alone, once the candidate holds log and pages; whether it came to that."""
        mount, node = self._mount, self._mount.node
        lane, volume = mount.lane(candidate), node.volume
        if lane is None or not lane.live or not self._pages.are_on(lane):
            return False
        core = lane.store.core
        # Nothing may have been written since it caught up, and so nothing acknowledged.
        node.call(lambda: lane.live and volume.acknowledged(candidate, core.scl, volume.epoch))
        self._store(volume.membership)
        replaced = volume.membership.replaced
        finished = node.call(volume.finish_replacement)
        if finished is None or replaced is None:
            return False
        self._store(finished)
        _log.warning("a segment was replaced", segment=replaced, successor=candidate)
        return True

    def _abandon(self) -> None:
        """The old set alone; its segment comes back where it can."""
        mount, node = self._mount, self._mount.node
        candidate, replaced = node.volume.membership.candidate, node.volume.membership.replaced
        assert candidate is not None
        assert replaced is not None
        lane = mount.lane(candidate)
        if lane is not None and not node.call(lambda: _is_at_rest(lane)):
            return
        membership = node.call(node.volume.abandon_replacement)
        self._store(membership)
        if lane is not None:
            node.call(lambda: node.set_fault(lane, _OUT_OF_USE))
        _log.warning("a replacement was taken back", segment=replaced, successor=candidate)
        self._take_in()

    def _give_pages(self) -> None:
        """Copy the newest page image to a full candidate. It may take long, and hinders nobody."""
        candidate = self._mount.node.volume.membership.candidate
        lane = self._mount.lane(candidate) if candidate is not None else None
        if lane is not None and lane.reachable and is_full(lane.store.id):
            self._pages.give(lane)

    def _store(self, membership: Membership) -> None:
        """Tell every segment that answers who the members are now, on its disk."""
        node, volume = self._mount.node, self._mount.node.volume
        for lane in node.lanes:
            store = lane.store
            known = volume.stored.get(store.id, 0) >= membership.version
            if known or not lane.reachable or store.id not in membership.segments:
                continue
            core = store.core
            actions = node.call(lambda core=core: core.change_membership(membership, volume.epoch))  # type: ignore[misc]
            if Persist() not in actions:
                continue  # it does not know of this writer yet
            try:
                store.persist()
            except OSError as error:
                failed, where = error, lane
                node.call(lambda where=where, failed=failed: node.fail(where, failed))  # type: ignore[misc]
                continue
            node.call(lambda id=store.id: volume.membership_stored(id, membership.version))  # type: ignore[misc]

    def _open(self, segment: SegmentId) -> SegmentStore:
        mount = self._mount
        volume = mount.node.lanes[0].store.volume
        return SegmentStore.open(
            mount.directory,
            volume,
            segment,
            direct=True,
            accept_format_1=mount.format_1,
            disk=mount.disk,
        )

    def _remove_who_left(self, membership: Membership) -> None:
        """Delete what no membership names any more, once a write quorum knows of it."""
        mount = self._mount
        left = [
            SegmentId(name)
            for az in AZS
            for name in mount.disk.names(mount.directory / f"az-{az}")
            if name.startswith(az) and name not in membership.segments
        ]
        if not left:
            return
        self._store(membership)
        stored = mount.node.volume.stored
        told = [each for each, version in stored.items() if version >= membership.version]
        if membership.has_quorum(told, WRITE_QUORUM):
            for segment in left:
                mount.faults.pop(segment, None)
                remove_segment(mount.disk, mount.directory, segment)


def _is_at_rest(lane: Lane) -> bool:
    """Whether no write of a segment that is to go is under way any more."""
    lane.live = False
    return not lane.flights
