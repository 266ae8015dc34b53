"""The bucket of a host with the key that it wraps others with, and what is in there."""

from collections.abc import Iterator
from contextlib import suppress

from cluster_runtime.backup.core import names
from cluster_runtime.backup.core.manifests import ClusterFacts
from cluster_runtime.backup.vault.bucket import Bucket, ObjectMissingError
from cluster_runtime.backup.vault.keys import KMS, KeyProvider, KmsKey, LocalKey
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.errors import BackupDamagedError, BackupKeyError

PROBE = "probe"


class Archive:
    """A bucket, opened when it is first needed. Blocking, from any thread.

    key: of this host, or a copy of another one's; None: only what KMS wrapped can be opened.
    kms_key_id: of AWS KMS, to wrap the data keys of new backups with.
    """

    def __init__(self, location: str, key: LocalKey | None, kms_key_id: str | None = None) -> None:
        self.location = location
        self._key, self._kms_key_id = key, kms_key_id
        self._bucket: Bucket | None = None

    @property
    def bucket(self) -> Bucket:
        """Raises InvalidParameterError for a location that is none."""
        if self._bucket is None:
            self._bucket = Bucket(self.location)
        return self._bucket

    def vault_for(self, resource_id: str) -> Vault:
        """The folder of a cluster of this host, begun where there is none."""
        return Vault.ensure(self.bucket, resource_id, self._provider(), self._provide)

    def vault(self, resource_id: str) -> Vault:
        """A folder that is there. Raises ObjectMissingError, BackupKeyError."""
        return Vault.open(self.bucket, resource_id, self._provide)

    def adopt(self, resource_id: str, key: bytes) -> Vault:
        """A new folder for objects that have a data key already."""
        return Vault.create(self.bucket, resource_id, self._provider(), key)

    def all_facts(self) -> Iterator[tuple[str, ClusterFacts]]:
        """Every cluster whose backup this archive can open, by resource id."""
        for resource_id in self.bucket.folders(names.CLUSTERS):
            with suppress(ObjectMissingError, BackupKeyError, BackupDamagedError):
                yield resource_id, self.vault(resource_id).facts()

    def bytes_of(self, resource_id: str) -> int:
        """What the objects of a cluster take. Raises what `Bucket` raises."""
        return sum(size for _, size in self.bucket.sizes(f"{names.CLUSTERS}/{resource_id}"))

    def probe(self) -> None:
        """Write, read, list and delete an object. Raises what `Bucket` raises."""
        self._provider().wrap(bytes(32), PROBE)
        self.bucket.put(PROBE, PROBE.encode())
        self.bucket.get(PROBE)
        self.bucket.names(names.CLUSTERS)
        self.bucket.delete([PROBE])

    def _provider(self) -> KeyProvider:
        if self._kms_key_id is not None:
            return KmsKey(self._kms_key_id)
        if self._key is None:
            raise BackupKeyError("no key is given to wrap the data key of a backup with")
        return self._key

    def _provide(self, kind: str, key_id: str) -> KeyProvider:
        if kind == KMS:
            return KmsKey(key_id)
        if self._key is None or self._key.key_id != key_id:
            raise BackupKeyError(
                f"this backup was written with the key {key_id}; give the backup.key of the state "
                "directory that wrote it, or a copy of that"
            )
        return self._key
