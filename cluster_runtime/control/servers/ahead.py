"""A standby of one cluster in the place of the writer of another one, which is yet to be."""

from cluster_runtime.control.servers.postgres import Reader
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.settings import Settings
from cluster_runtime.storage.core.policy.coalescing import REPLAY_BYTES_PER_S
from cluster_runtime.storage.upkeep.branches import CutVolume
from cluster_runtime.storage.volume import StorageVolume

BEHIND_MAX_BYTES = REPLAY_BYTES_PER_S // 4
"""One that lacks more log than that takes longer than what is gained by it."""
LOST_BYTES = 256 << 20
"""One that lacks more than that is made again: the log that it has not got yet is kept for it."""


class ReaderAhead(Reader):
    """A hot standby that becomes the writer of a branch where the branch is cut off.

    It runs as the branch's user, in the branch's directory, behind the branch's walls. The log
    comes to it through a socket of its own, which is gone before anybody is let in.

    Its storage is that of the cluster that it is a standby of.
    """

    def _lay_out(self, volume: StorageVolume) -> Settings:
        server = self._postmaster
        return volume.standbys.lay_out_ahead(
            server.data_directory, self._wal_sockets, server.user, SUPERUSER
        )

    def is_near(self) -> bool:
        """Whether it runs as its source does, and has nearly all of what is durable now."""
        return self.running and not self._differs() and self._lacks() <= BEHIND_MAX_BYTES

    def is_lost(self) -> bool:
        """Whether it has ended, differs, or is so far behind that a new one is there sooner."""
        return not self.running or self._differs() or self._lacks() > LOST_BYTES

    def _differs(self) -> bool:
        """Whether its source has had other parameters since it began."""
        return self.parameters_wait or dict(self._parameters.of_range()) != self._of_range

    def _lacks(self) -> int:
        """How much of the durable log it does not show. What it never said it may lack all of."""
        volume = self._storage.opened
        return volume.durable_lsn - self.replayed if volume is not None else 0

    def hold_back(self, volume: StorageVolume) -> None:
        """Take no more log than what is durable now, until `give`. Raises StorageError."""
        volume.standbys.hold_back(self._postmaster.data_directory)

    def give(self, volume: StorageVolume, cut: CutVolume) -> None:
        """Take the log up to where a volume was cut off, and no further. Raises StorageError."""
        volume.standbys.give(self._postmaster.data_directory, cut.end)
