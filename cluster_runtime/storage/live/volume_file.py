"""What never changes of a volume, its timelines and storage type apart: `volume.json`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.disk.log_files import write_durably
from cluster_runtime.storage.live.node import StorageType

VOLUME_FILE = "volume.json"


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """start_lsn: where the volume's log begins; before it there are only the base image's pages."""

    volume_id: str
    system_identifier: int
    start_lsn: int
    wal_segment_bytes: int
    server_version: str
    storage_type: StorageType
    timelines: Timelines = field(default_factory=Timelines)

    def write(self, directory: Path) -> None:
        """Write it durably, whole or not at all."""
        write_durably(directory / VOLUME_FILE, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, directory: Path) -> "VolumeFacts":
        """Raises StorageError where the file is missing or unreadable."""
        try:
            facts = json.loads((directory / VOLUME_FILE).read_text())
            lines = facts.pop("timelines")
            ended = tuple((int(each), int(lsn)) for each, lsn in lines["ended"])
            return cls(**facts, timelines=Timelines(lines["current"], ended))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{directory} holds no readable volume: {error}") from error
