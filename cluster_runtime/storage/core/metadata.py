"""What a volume knows of itself: each segment keeps it beside its log, so that six copies agree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.core.types import Epoch, StorageType

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class VolumeMetadata:
    """start_lsn: where the volume's log begins; before it there are only the base image's pages.

    volume_id: every frame of the log names it. A volume that was cut from another one shares log
        with it, and so this too, as it shares the system identifier, which every page of WAL names.
    own_id: what tells such a volume from all others; empty for one that was not cut from any.
    base: checksum of that base image (see `page_images.fingerprint`); empty where nobody noted it.
    version: (epoch of the writer that changed them, how often it had); the highest one counts.
    """

    volume_id: str
    system_identifier: int
    start_lsn: int
    wal_segment_bytes: int
    server_version: str
    storage_type: StorageType
    timelines: Timelines = field(default_factory=Timelines)
    base: str = ""
    version: Version = (0, 0)
    own_id: str = ""

    @property
    def identity(self) -> str:
        """What no other volume has: data directories, backups and attachments are known by it."""
        return self.own_id or self.volume_id

    def changed_by(self, epoch: Epoch) -> Version:
        """The version of what a writer of this epoch changes next."""
        return (epoch, self.version[1] + 1 if self.version[0] == epoch else 1)

    def to_dict(self) -> dict[str, Any]:
        """The metadata as JSON has it."""
        lines = self.timelines
        return {
            "volume_id": self.volume_id,
            "system_identifier": self.system_identifier,
            "start_lsn": self.start_lsn,
            "wal_segment_bytes": self.wal_segment_bytes,
            "server_version": self.server_version,
            "storage_type": self.storage_type,
            "timelines": {"current": lines.current, "ended": lines.ended},
            "base": self.base,
            "version": self.version,
            **({"own_id": self.own_id} if self.own_id else {}),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "VolumeMetadata":
        """Raises ValueError, KeyError or TypeError where that is no volume's metadata."""
        given = dict(found)
        lines = given.pop("timelines")
        ended = tuple((int(each), int(lsn)) for each, lsn in lines["ended"])
        epoch, count = given.pop("version", (0, 0))
        metadata = cls(
            **given, timelines=Timelines(lines["current"], ended), version=(epoch, count)
        )
        if metadata.storage_type not in get_args(StorageType):
            raise ValueError(f"there is no storage type {metadata.storage_type!r}")
        return metadata
