"""How a volume begins: six segments without log, over the pages of a base image."""

import shutil
from pathlib import Path
from uuid import UUID

from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.core.types import SEGMENT_IDS, StorageType
from cluster_runtime.storage.disk.data_directory import ControlFile
from cluster_runtime.storage.disk.filesystem import HOST_DISK
from cluster_runtime.storage.disk.log_files import Mark
from cluster_runtime.storage.disk.page_images import fingerprint
from cluster_runtime.storage.disk.segment_store import SegmentStore
from cluster_runtime.storage.live.volume_file import write_volume_file


def create_volume(
    directory: Path,
    volume_id: UUID,
    base_image: Path,
    *,
    system_identifier: int,
    server_version: str,
    wal_segment_bytes: int,
    storage_type: StorageType,
) -> None:
    """Make the files of a volume whose pages are those of `base_image`.

    Raises FileExistsError where the directory is there already; where anything else fails, nothing
    of it stays.
    """
    control = ControlFile.read(base_image)
    start = control.redo - control.redo % wal_segment_bytes
    directory.mkdir(parents=True)
    try:
        metadata = VolumeMetadata(
            str(volume_id),
            system_identifier,
            start,
            wal_segment_bytes,
            server_version,
            storage_type,
            Timelines(control.timeline),
            fingerprint(base_image),
        )
        mark = Mark(0, start, start, 0, control.timeline)
        for segment in SEGMENT_IDS:
            SegmentStore.create(
                directory,
                volume_id,
                segment,
                mark,
                Membership(),
                direct=False,
                metadata=metadata,
                sparse=True,
            ).close()
        write_volume_file(HOST_DISK, directory, metadata)
        HOST_DISK.sync_directory(directory.parent)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
