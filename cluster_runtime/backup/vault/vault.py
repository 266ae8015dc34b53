"""The objects of one cluster's backup: sealed with its data key, and listed by what they are.

The data key is made with the first object, and lies beside the others as a key provider wrapped it.
"""

import base64
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

from cluster_runtime.backup.core import names
from cluster_runtime.backup.core.manifests import (
    ClusterFacts,
    ImageManifest,
    LogPiece,
    NewerFormatError,
    SnapshotManifest,
)
from cluster_runtime.backup.core.names import Holdings, Image, Piece
from cluster_runtime.backup.vault.bucket import Bucket, ObjectMissingError
from cluster_runtime.backup.vault.keys import KeyProvider
from cluster_runtime.backup.vault.sealing import UnsealableError, new_key, seal, unseal
from cluster_runtime.errors import BackupDamagedError

KEY_FORMAT = 1
T = TypeVar("T")

Provide = Callable[[str, str], KeyProvider]
"""The provider of a kind, with a key. Raises BackupKeyError for one that is not to be had."""


class Vault:
    """One cluster's folder in a bucket. Blocking."""

    def __init__(self, bucket: Bucket, resource_id: str, key: bytes) -> None:
        self.bucket = bucket
        self.resource_id = resource_id
        self.folder = f"{names.CLUSTERS}/{resource_id}"
        self.key = key

    @classmethod
    def open(cls, bucket: Bucket, resource_id: str, provide: Provide) -> "Vault":
        """That of a cluster that has objects there already.

        Raises ObjectMissingError, BackupDamagedError, BackupKeyError, and what `Bucket` does.
        """
        name = f"{names.CLUSTERS}/{resource_id}/{names.KEY}"
        content = bucket.get(name)
        try:
            listed = json.loads(content)
            number, kind, key_id = listed["format"], listed["provider"], listed["key_id"]
            wrapped = base64.b64decode(listed["wrapped"])
        except (ValueError, KeyError, TypeError) as error:
            raise BackupDamagedError(
                f"{bucket.where(name)} is damaged: it holds no wrapped key"
            ) from error
        if number > KEY_FORMAT:
            raise BackupDamagedError(
                f"{bucket.where(name)} is of a newer release: it has format {number}, this release "
                f"knows up to {KEY_FORMAT}"
            )
        return cls(bucket, resource_id, provide(kind, key_id).unwrap(wrapped, resource_id))

    @classmethod
    def create(
        cls, bucket: Bucket, resource_id: str, provider: KeyProvider, key: bytes | None = None
    ) -> "Vault":
        """Begin one, with a key of its own or one that its objects have already."""
        vault = cls(bucket, resource_id, key or new_key())
        listed = {
            "format": KEY_FORMAT,
            "provider": provider.kind,
            "key_id": provider.key_id,
            "wrapped": base64.b64encode(provider.wrap(vault.key, resource_id)).decode(),
        }
        bucket.put(f"{vault.folder}/{names.KEY}", json.dumps(listed).encode())
        return vault

    @classmethod
    def ensure(
        cls, bucket: Bucket, resource_id: str, provider: KeyProvider, provide: Provide
    ) -> "Vault":
        """That of a cluster, begun where it has none."""
        try:
            return cls.open(bucket, resource_id, provide)
        except ObjectMissingError:
            return cls.create(bucket, resource_id, provider)

    def holdings(self) -> Holdings:
        """What is kept, by names."""
        return names.holdings(self.bucket.names(self.folder))

    def read(self, name: str) -> bytes:
        """The content of an object. Raises BackupDamagedError for a missing or damaged one."""
        return self._read(name)[1]

    def sealed(self, name: str) -> bytes:
        """An object as it is kept, verified. Raises BackupDamagedError as `read` does."""
        return self._read(name)[0]

    def _read(self, name: str) -> tuple[bytes, bytes]:
        path = f"{self.folder}/{name}"
        try:
            sealed = self.bucket.get(path)
            return sealed, unseal(self.key, name, sealed)
        except ObjectMissingError as error:
            raise BackupDamagedError(f"{self.bucket.where(path)} is missing") from error
        except UnsealableError as error:
            raise BackupDamagedError(f"{self.bucket.where(path)} is damaged: {error}") from error
        except NewerFormatError as error:
            raise BackupDamagedError(
                f"{self.bucket.where(path)} is of a newer release: {error}"
            ) from error

    def write(self, name: str, content: bytes) -> None:
        """Keep an object."""
        self.bucket.put(f"{self.folder}/{name}", seal(self.key, name, content))

    def delete(self, found: Sequence[str]) -> None:
        """Remove objects: those that name others before what they name."""
        for _, names_of_a_kind in groupby(found, key=lambda name: name.rpartition("/")[0]):
            self.bucket.delete([f"{self.folder}/{name}" for name in names_of_a_kind])

    def delete_all(self) -> None:
        """Remove the folder; its key last."""
        found = self.bucket.names(self.folder)
        self.delete([name for name in found if name != names.KEY])
        self.delete([names.KEY])

    def image(self, era: int, image: Image) -> ImageManifest:
        """The manifest of an image. Raises BackupDamagedError."""
        return self._read_as(names.image_name(era, image), ImageManifest.from_bytes)

    def piece(self, era: int, piece: Piece) -> LogPiece:
        """A piece of log. Raises BackupDamagedError."""
        name = names.piece_name(era, piece)
        found = self._read_as(name, LogPiece.from_bytes)
        if len(found.wal) != piece.bytes:
            raise BackupDamagedError(
                f"{self.bucket.where(f'{self.folder}/{name}')} is damaged: it holds "
                f"{len(found.wal)} bytes of log, not {piece.bytes}"
            )
        return found

    def snapshot(self, identifier: str) -> SnapshotManifest:
        """A snapshot. Raises BackupDamagedError."""
        return self._read_as(names.snapshot_name(identifier), SnapshotManifest.from_bytes)

    def facts(self) -> ClusterFacts:
        """What the cluster is. Raises BackupDamagedError."""
        return self._read_as(names.FACTS, ClusterFacts.from_bytes)

    def _read_as(self, name: str, kind: Callable[[bytes], T]) -> T:
        content = self.read(name)
        try:
            return kind(content)
        except NewerFormatError as error:
            raise BackupDamagedError(
                f"{self.bucket.where(f'{self.folder}/{name}')} is of a newer release: {error}"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BackupDamagedError(
                f"{self.bucket.where(f'{self.folder}/{name}')} is damaged: {error!r}"
            ) from error
