"""`volume.json`: which format a volume has, and a copy of its metadata for whoever looks into it.

In format 2 nothing depends on the copy: each segment keeps the metadata. In format 1 it was here
alone; such a volume is opened once with them, and has format 2 from then on. An older release meets
a field here that it does not know, and whose name says what to do.
"""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster_runtime.errors import StorageError
from cluster_runtime.logs import get_logger
from cluster_runtime.moved import renamed
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.types import SegmentId
from cluster_runtime.storage.disk.filesystem import Disk
from cluster_runtime.storage.live.opening import segment_states

VOLUME_FILE = "volume.json"
FORMAT_FIELD = "this volume has format 2: open it with a newer release of Borealis"
COMPLETE, UPGRADING = "complete", "upgrading"

_log = get_logger(__name__)

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, VolumeFacts="VolumeMetadata")


@dataclass(frozen=True, slots=True)
class FoundVolume:
    """format_1: some of its segments may have no checksum over their state yet."""

    metadata: VolumeMetadata
    format_1: bool


def write_volume_file(
    disk: Disk, directory: Path, metadata: VolumeMetadata, *, upgrading: bool = False
) -> None:
    """upgrading: some segment may still have format 1. What says the same already stays."""
    path = directory / VOLUME_FILE
    said = {FORMAT_FIELD: UPGRADING if upgrading else COMPLETE, **metadata.to_dict()}
    content = json.dumps(said, indent=1).encode()
    with suppress(OSError):
        if disk.read(path) == content:
            return
    disk.replace(path, content)


def find_volume(disk: Disk, directory: Path, unreachable: frozenset[SegmentId]) -> FoundVolume:
    """What the segments say of their volume, or in format 1 its file.

    Raises StorageError where neither can be read.
    """
    try:
        found = json.loads(disk.read(directory / VOLUME_FILE))
        state = found.pop(FORMAT_FIELD, None)
        kept = VolumeMetadata.from_dict(found)
        format_1 = state != COMPLETE
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        kept, format_1, unreadable = None, False, error
    states = segment_states(directory, disk, unreachable, accept_format_1=False)
    told = [each.metadata for each in states if each.metadata is not None]
    if told:
        owner, _ = Counter(each.volume_id for each in told).most_common(1)[0]
        own = [each for each in told if each.volume_id == owner]
        if kept is not None and format_1 and kept.volume_id == owner:
            own.append(kept)
        return FoundVolume(max(own, key=lambda each: each.version), format_1)
    if kept is None:
        raise StorageError(
            f"{directory} holds no readable volume: {unreadable}; and none of its segments that "
            "answer says what it is"
        )
    return FoundVolume(kept, format_1)
