"""What is billed of an open volume: what it holds, and the I/O since it was opened."""

from collections.abc import Callable

from cluster_runtime.storage.live.commit.lanes import IoCounts
from cluster_runtime.storage.live.mount import Mount
from cluster_runtime.storage.upkeep.upkeep import VolumeUpkeep


class VolumeMeters:
    """Of one volume. before_close: takes what is to be called before it is closed."""

    def __init__(
        self,
        mount: Mount,
        upkeep: VolumeUpkeep,
        before_close: Callable[[Callable[[], None]], None],
    ) -> None:
        self._mount, self._upkeep = mount, upkeep
        self.before_close = before_close

    @property
    def billed_ios(self) -> tuple[int, int]:
        """Writes and reads since this process opened it, in the units that Aurora bills."""
        counts = self._mount.counts
        return counts.write_ios, counts.read_ios

    @property
    def io(self) -> IoCounts:
        """All that is counted, as it goes on."""
        return self._mount.counts

    @property
    def bytes_used(self) -> int:
        """Pages, and log that is not in them yet, counted once and not six times."""
        image = self._upkeep.pages.newest()
        since = image.lsn if image is not None else self._mount.metadata.start_lsn
        pages = image.size_bytes if image is not None else self._upkeep.directories.base_image_bytes
        return pages + max(0, int(self._mount.node.volume.vdl) - since)
