"""A volume as `describe` shows it."""

import time
from dataclasses import dataclass, replace

from cluster_runtime.storage.core.growth import allocated_storage_gib, protection_groups
from cluster_runtime.storage.core.scrub import ScrubReport
from cluster_runtime.storage.core.types import (
    Epoch,
    Lsn,
    SegmentId,
    SegmentKind,
    SegmentState,
    az_of,
    kind_of,
)
from cluster_runtime.storage.disk.page_images import PageImage, images
from cluster_runtime.storage.live.mount import Mount, is_full
from cluster_runtime.storage.live.node import IoCounts, StorageType


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
class VolumeDescription:
    """A volume now. LSNs are byte positions in the WAL.

    bytes_used: pages, and log that is not in them yet, counted once and not six times.
    allocated_storage_gib: that in whole GiB (AllocatedStorage). protection_groups: of 10 GiB each.
    io: I/O operations since this process opened the volume, as Aurora bills them.
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


def describe(
    mount: Mount, image: PageImage | None, base_image_bytes: int, scrub: ScrubReport
) -> VolumeDescription:
    """image: the newest one. base_image_bytes: of the pages that stand in while there is none."""
    facts, volume = mount.facts, mount.node.volume
    image_lsn = image.lsn if image is not None else facts.start_lsn
    log_bytes = max(0, volume.vdl - image_lsn)
    used = log_bytes + (image.size_bytes if image is not None else base_image_bytes)
    return VolumeDescription(
        facts.volume_id,
        facts.storage_type,
        volume.epoch,
        volume.vcl,
        volume.vdl,
        not mount.opened.read_only,
        tuple(_describe_segment(mount, each) for each in mount.members),
        Lsn(image_lsn),
        log_bytes,
        used,
        allocated_storage_gib(used),
        protection_groups(used),
        replace(mount.counts),
        scrub,
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
        size += sum(image.size_bytes for image in images(lane.store.pages))
    state = lane.state(time.monotonic())
    if mount.opened.read_only and lane.reachable:
        state = SegmentState.HEALTHY
    return SegmentDescription(
        segment, az_of(segment), kind, state, lane.store.core.scl, size, lane.problem, fault
    )
