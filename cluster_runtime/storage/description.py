"""A volume as `describe` shows it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cluster_runtime.storage.core.policy.growth import allocated_storage_gib, protection_groups
from cluster_runtime.storage.core.policy.retention import Holder, HolderKind
from cluster_runtime.storage.core.policy.scrub import ScrubReport
from cluster_runtime.storage.core.types import (
    Epoch,
    Lsn,
    SegmentId,
    SegmentKind,
    SegmentState,
    StorageType,
    az_of,
    kind_of,
)
from cluster_runtime.storage.disk.page_images import PageImage
from cluster_runtime.storage.live.commit.lanes import IoCounts
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.upkeep.images.coalescing import CoalescingReport


@dataclass(frozen=True, slots=True)
class SegmentDescription:
    """One segment. scl: segment complete LSN. bytes: on disk, log and pages.

    problem: what its disk refused. fault: what was injected into it, such as `slow:20`.
    """

    id: SegmentId
    az: str
    kind: SegmentKind
    state: SegmentState
    scl: Lsn
    bytes: int
    problem: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class HolderDescription:
    """Who keeps log, and images: for how long now, and how much log that is, counted once."""

    kind: HolderKind
    name: str
    lsn: Lsn
    age_seconds: float
    log_bytes: int
    with_pages: bool


@dataclass(frozen=True, slots=True)
class CoalescingDescription:
    """The making of page images. log_bound_bytes: an image is due when more log has gathered.

    running: now. images: made since this process opened the volume. last_seconds: what the last
    one took. problem: why the last try failed.
    """

    log_bound_bytes: int
    running: bool
    images: int
    last_seconds: float | None
    problem: str

    @classmethod
    def of(cls, report: CoalescingReport, log_bound_bytes: int) -> "CoalescingDescription":
        """What is shown of a report."""
        return cls(
            log_bound_bytes, report.running, report.images, report.last_seconds, report.problem
        )


@dataclass(frozen=True, slots=True)
class VolumeDescription:
    """A volume now. LSNs are byte positions in the WAL.

    log_bytes_since_image: what is replayed over the newest image. bytes_used: pages, and log that
        is not in them yet, counted once and not six times.
    allocated_storage_gib: that in whole GiB (AllocatedStorage). protection_groups: of 10 GiB each.
    io: I/O operations since this process opened the volume, as Aurora bills them.
    holders: why log is kept, who needs the oldest first.
    throttled: whether the writer is held back until a segment that is far behind has caught up.
    """

    volume_id: str
    storage_type: StorageType
    epoch: Epoch
    vcl: Lsn
    vdl: Lsn
    writable: bool
    segments: tuple[SegmentDescription, ...]
    image_lsn: Lsn
    log_bytes_since_image: int
    bytes_used: int
    allocated_storage_gib: int
    protection_groups: int
    io: IoCounts
    scrub: ScrubReport
    holders: tuple[HolderDescription, ...]
    coalescing: CoalescingDescription
    throttled: bool


def describe(
    mount: Mount,
    image: PageImage | None,
    base_image_bytes: int,
    scrub: ScrubReport,
    holders: Sequence[Holder],
    coalescing: CoalescingDescription,
) -> VolumeDescription:
    """image: the newest one. base_image_bytes: of the pages that stand in while there is none."""
    metadata, volume = mount.metadata, mount.node.volume
    image_lsn = image.lsn if image is not None else metadata.start_lsn
    redo = image.redo if image is not None else metadata.start_lsn
    used = max(0, volume.vdl - image_lsn) + (
        image.size_bytes if image is not None else base_image_bytes
    )
    return VolumeDescription(
        metadata.identity,
        metadata.storage_type,
        volume.epoch,
        volume.vcl,
        volume.vdl,
        not mount.opened.read_only,
        tuple(_describe_segment(mount, each) for each in mount.members),
        Lsn(image_lsn),
        max(0, volume.vdl - redo),
        used,
        allocated_storage_gib(used),
        protection_groups(used),
        replace(mount.counts),
        scrub,
        tuple(_describe_holder(each, volume.vdl) for each in holders),
        coalescing,
        mount.node.intake.throttled,
    )


def _describe_holder(holder: Holder, vdl: Lsn) -> HolderDescription:
    return HolderDescription(
        holder.kind,
        holder.name,
        holder.lsn,
        max(0.0, time.time() - holder.since),
        max(0, vdl - holder.lsn),
        holder.with_pages or holder.kind is HolderKind.RECOVERY,
    )


def _describe_segment(mount: Mount, segment: SegmentId) -> SegmentDescription:
    lane = mount.lane(segment)
    kind = kind_of(segment)
    fault = str(mount.faults.get(segment, ""))
    if lane is None:
        state = SegmentState.SUSPECT if fault else SegmentState.GONE
        return SegmentDescription(segment, az_of(segment), kind, state, Lsn(0), 0, fault=fault)
    size = lane.store.log.size_bytes
    if is_full(segment):
        size += sum(image.size_bytes for image in lane.store.images())
    state = lane.state(time.monotonic())
    if mount.opened.read_only and lane.reachable:
        state = SegmentState.HEALTHY
    return SegmentDescription(
        segment, az_of(segment), kind, state, lane.store.core.scl, size, lane.problem, fault
    )
