"""`restore-points.json`: names for LSNs, so that one can return to before something was tried."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster_runtime.storage.disk.filesystem import Disk
from cluster_runtime.storage.disk.sealed import seal, unseal

POINTS_FILE = "restore-points.json"
_KIND = "restore-points"


@dataclass(frozen=True, slots=True)
class Point:
    """time: when it was made, in seconds since 1970."""

    name: str
    lsn: int
    time: float


def read_points(disk: Disk, path: Path) -> list[Point]:
    """In the order in which they were made. Raises OSError, SealBrokenError."""
    if not disk.exists(path):
        return []
    return [Point(**each) for each in json.loads(unseal(_KIND, disk.read(path)))]


def write_points(disk: Disk, path: Path, points: Sequence[Point]) -> None:
    """Have these and no others, durably. Raises OSError."""
    disk.replace(path, seal(_KIND, json.dumps([asdict(each) for each in points]).encode()))
