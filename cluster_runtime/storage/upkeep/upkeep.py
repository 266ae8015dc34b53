"""All that keeps an open volume whole, and the two threads that do it beside the commits.

One makes log files and begins page images, both soon; the other repairs, replaces, verifies and
copies, which may take long.
"""

import time
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.storage.core.policy.replacement import ReplacementPolicy
from cluster_runtime.storage.live.mount import Mount, Upkeep
from cluster_runtime.storage.upkeep.branches import Branches
from cluster_runtime.storage.upkeep.data_directories import DataDirectories
from cluster_runtime.storage.upkeep.faults import FaultInjection
from cluster_runtime.storage.upkeep.holders import Holders
from cluster_runtime.storage.upkeep.images.coalescing import Coalescing
from cluster_runtime.storage.upkeep.images.pages import Pages
from cluster_runtime.storage.upkeep.log_files import FilePreparation
from cluster_runtime.storage.upkeep.past.past import Past
from cluster_runtime.storage.upkeep.repair import Repair
from cluster_runtime.storage.upkeep.replacement import Replacing
from cluster_runtime.storage.upkeep.scrub import Scrubbing
from cluster_runtime.storage.upkeep.standbys import Standbys
from cluster_runtime.storage.upkeep.worker import Jobs, Worker

LOOK_EVERY_S = 2.0
TICK_EVERY_S = 1.0


class VolumeUpkeep:
    """Made over a mount that is not open yet: what that asks for is `asked`."""

    def __init__(self, mount: Mount, base_image: Path, user: OsUser) -> None:
        """base_image: the pages that the volume began with. user: of its servers."""
        self._mount = mount
        self._quick = Worker("borealis-files", self._tick)
        self._slow = Worker("borealis-repair", self._look)
        self._files = files = FilePreparation(mount, self._quick)
        self._repair = repair = Repair(mount, self._slow)
        self.holders = Holders()
        self.directories = DataDirectories(mount, base_image, user)
        self.past = Past(mount, self.holders, lambda: self.directories.base_redo)
        self.pages = Pages(mount, files, self.directories, self._slow, self.holders, self.past)
        self.coalescing = Coalescing(self.pages.is_due, self.pages.coalesce)
        self.standbys = Standbys(mount, self.directories, self.pages, self.holders)
        self.branches = Branches(mount, self.directories, self.pages, self.past)
        self.faults = FaultInjection(mount, self._bring_back)
        self.scrubbing = Scrubbing(mount, repair, self.pages)
        self._replacing = Replacing(mount, repair, self.pages, ReplacementPolicy())
        self._ticks = Jobs(files.note_ends, self.past.tick)
        self._looks = Jobs(
            self._replacing.look,
            self.coalescing.look,
            self.pages.keep_base,
            self.pages.give_missing,
            self.past.expire,
        )
        self._look_at = 0.0
        self.asked = Upkeep(
            self._file_begun,
            repair.catch_up,
            repair.repair_damage,
            lambda writer, error: self._quick.put(lambda: writer.lost(error)),
        )

    def start(self) -> None:
        """Start both threads, once the volume is open."""
        self.past.open()
        self._quick.start()
        self._slow.start()

    def require_rebuildable(self) -> None:
        """Raises StorageError where no data directory could be made from the volume now.

        QuorumLostError where too few segments answer for a writer.
        """
        with self._mount.changing:
            self._mount.require_writable()
            if self.pages.whole() is None:
                self.directories.check_base()

    def close(self) -> None:
        """Wait for what both are at. Their work may wait for `mount.changing`."""
        self._quick.close()
        self._slow.close()
        self.standbys.close()

    def _bring_back(self) -> None:
        self._repair.bring_back()
        self._slow.put(self._replacing.look)

    def _file_begun(self, position: int) -> None:
        """On the node's thread: half a log file has come since the last time."""
        self._files.prepare_file(position)
        self._quick.put(self.coalescing.look)

    def _tick(self) -> float:
        """Note what changes all the time. Returns the seconds until the next time."""
        # Not while the volume is opened again: the files of its segments are closed then.
        if self._mount.changing.acquire(blocking=False):
            try:
                self._ticks.do()
            finally:
                self._mount.changing.release()
        return TICK_EVERY_S

    def _look(self) -> float:
        """Look after the segments. Returns the seconds until the next time."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._looks.do()
        return min(self.scrubbing.step(), max(0.0, self._look_at - time.monotonic()))
