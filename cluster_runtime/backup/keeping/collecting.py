"""What nobody can ask for any more is removed from the bucket."""

from cluster_runtime.backup.core.names import Holdings, Image, holdings
from cluster_runtime.backup.core.retention import Held, superfluous
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.logs import get_logger

_log = get_logger(__name__)


class Collecting:
    """Of one cluster's folder. It remembers which packs an image uses."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._packs_of: dict[tuple[int, Image], frozenset[str]] = {}

    def collect(self, since: int | None, wal_segment_bytes: int) -> Holdings:
        """Remove what neither the window nor a snapshot needs; return what is kept then.

        since: the begin of the window, in milliseconds since 1970; None: there is none any more.
        Never while an image is uploaded to this folder. Raises what `Vault` raises: where a
        manifest cannot be read, nothing is removed.
        """
        vault = self._vault
        found = vault.bucket.names(vault.folder)
        kept = holdings(found)
        snapshots = [vault.snapshot(each) for each in kept.snapshots]
        held = [Held(each.era, each.image, each.lsn) for each in snapshots]
        for era in kept.eras:
            for image in era.images:
                if (era.number, image) not in self._packs_of:
                    packs = vault.image(era.number, image).packs
                    self._packs_of[era.number, image] = frozenset(packs)
        gone = superfluous(kept.eras, held, since, wal_segment_bytes, self._packs_of)
        if gone:
            _log.info("backup collected", cluster=vault.resource_id, objects=len(gone))
            vault.delete(gone)
        return holdings(set(found) - set(gone))
