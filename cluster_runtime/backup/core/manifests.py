"""Texts of a backup's objects: manifests of page images, snapshots and facts. Numbered formats."""

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, TypeVar

from cluster_runtime.backup.core.names import Image

FORMAT = 1
WAL_SEGMENTS_BYTES = tuple(1 << bits for bits in range(20, 31))
"""A mebibyte to a gibibyte (PostgreSQL `xlog_internal.h`, IsValidWalSegSize)."""
T = TypeVar("T")


class NewerFormatError(ValueError):
    """An object of a newer release. The message names its format."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a file: where in which pack it lies. digest: of its content."""

    pack: str
    offset: int
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a page image; `path` is relative to its data directory."""

    path: str
    size: int
    crc32c: int
    modified_ns: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """A page image, and what must be known of its volume to go on from there.

    packs: how many bytes each pack that it uses holds.
    """

    image: Image
    timeline: int
    system_identifier: int
    wal_segment_bytes: int
    server_version: str
    folders: tuple[str, ...]
    files: tuple[StoredFile, ...]
    packs: Mapping[str, int]

    @property
    def size_bytes(self) -> int:
        """The size of all its files."""
        return sum(each.size for each in self.files)

    def to_bytes(self) -> bytes:
        """As it is kept: parts as lists, since there are many."""
        files = [
            [each.path, each.size, each.crc32c, each.modified_ns, [astuple(p) for p in each.parts]]
            for each in self.files
        ]
        listed = {
            "image": asdict(self.image),
            "timeline": self.timeline,
            "system_identifier": self.system_identifier,
            "wal_segment_bytes": self.wal_segment_bytes,
            "server_version": self.server_version,
            "folders": self.folders,
            "files": files,
            "packs": dict(self.packs),
        }
        return _written(listed)

    @classmethod
    def from_bytes(cls, content: bytes) -> "ImageManifest":
        """Raises NewerFormatError, ValueError, KeyError, TypeError."""
        listed = _read(content)
        image = Image(**listed.pop("image"))
        files = tuple(
            StoredFile(path, size, crc, modified, tuple(Part(*each) for each in parts))
            for path, size, crc, modified, parts in listed.pop("files")
        )
        if any(each.size != sum(part.size for part in each.parts) for each in files):
            raise ValueError("the parts of a file are not as large as the file")
        folders = tuple(listed.pop("folders"))
        return cls(image=image, files=files, folders=folders, **listed)


@dataclass(frozen=True, slots=True)
class SnapshotManifest:
    """A snapshot: an LSN of an era, the image below it, and what the cluster was then.

    cluster: the cluster's facts as the catalog keeps them.
    """

    identifier: str
    era: int
    image: Image
    lsn: int
    created_ms: int
    wal_segment_bytes: int
    cluster: Mapping[str, Any]
    tags: tuple[tuple[str, str], ...] = ()
    source_snapshot: str = ""
    kind: str = "manual"

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return _written(asdict(self))

    @classmethod
    def from_bytes(cls, content: bytes) -> "SnapshotManifest":
        """Raises NewerFormatError, ValueError, KeyError, TypeError."""
        listed = _read(content)
        image = Image(**listed.pop("image"))
        tags = tuple((key, value) for key, value in listed.pop("tags"))
        return cls(image=image, tags=tags, **listed)


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What a cluster is. cluster: as the catalog keeps it.

    deleted_ms: when it was deleted; its automated backup goes once its retention period is over.
    """

    cluster: Mapping[str, Any]
    wal_segment_bytes: int
    retention_days: int
    deleted_ms: int | None = None
    automated: bool = field(default=True)

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return _written(asdict(self))

    @classmethod
    def from_bytes(cls, content: bytes) -> "ClusterFacts":
        """Raises NewerFormatError, ValueError, KeyError, TypeError."""
        return cls(**_read(content))


def _written(listed: Mapping[str, Any]) -> bytes:
    return json.dumps({"format": FORMAT, **listed}, default=str).encode()


def _read(content: bytes) -> dict[str, Any]:
    try:
        listed: dict[str, Any] = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    number = listed.pop("format")
    if number > FORMAT:
        raise NewerFormatError(f"it has format {number}, this release knows up to {FORMAT}")
    if listed.get("wal_segment_bytes", WAL_SEGMENTS_BYTES[0]) not in WAL_SEGMENTS_BYTES:
        raise ValueError("PostgreSQL has no WAL files of the size that it says")
    return listed


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A piece of log as it is kept.

    timelines: (timeline, LSN it was left at) of those before `timeline`, where this piece ends.
    """

    wal: bytes
    timeline: int
    ended: tuple[tuple[int, int], ...] = ()

    def to_bytes(self) -> bytes:
        """The length of the head, the head, the log."""
        head = _written({"timeline": self.timeline, "ended": self.ended})
        return b"".join((len(head).to_bytes(4, "little"), head, self.wal))

    @classmethod
    def from_bytes(cls, content: bytes) -> "LogPiece":
        """Raises NewerFormatError, ValueError, KeyError, TypeError."""
        length = int.from_bytes(content[:4], "little")
        listed = _read(content[4 : 4 + length])
        ended = tuple((int(timeline), int(lsn)) for timeline, lsn in listed["ended"])
        return cls(content[4 + length :], listed["timeline"], ended)
