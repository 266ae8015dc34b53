"""The volume of a cluster, for whoever serves it: open while it is used."""

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from cluster_runtime.control.records.model import StorageType
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.engine.template import WAL_SEGMENT_MIB, Template
from cluster_runtime.storage.core.policy.past import Window
from cluster_runtime.storage.upkeep.past.restore_points import Point
from cluster_runtime.storage.volume import StorageVolume

VOLUME, DATA = PARTS = ("volume", "data")
"""What a cluster's directory holds of it: the volume, and the first place's data directory."""
UNDONE = ".undone"
"""Ends the names of what a cluster had before its last rewind."""
GONE = ".gone-"
"""In the names of what nobody returns to any more, and what is still to be removed."""

BASE_IMAGE = "base-image"
"""Link in a cluster's directory to the template that its volume began with."""


class VolumeHost(Protocol):
    """What the volume of a cluster needs of the runtime that hosts it."""

    def begin_upkeep(self, volume: StorageVolume) -> None:
        """Called each time that the volume was opened."""

    def window(self) -> Window:
        """How far back it is to be kept: asked for then, and by `configure`."""

    def tell(self, message: str, *categories: str) -> None:
        """Note an event of the cluster, from any thread."""


class ClusterStorage:
    """The volume of one cluster: open while an instance runs, or an operation looks into it.

    A volume that nobody uses is closed, so that a paused cluster has neither thread nor file open.
    """

    def __init__(
        self,
        directory: Path,
        user: OsUser,
        host: VolumeHost,
    ) -> None:
        """user: of the cluster's servers."""
        self.user = user
        self._host = host
        self._directory = directory
        self._lock = threading.Lock()
        self._volume: StorageVolume | None = None
        self._made: Future[None] | None = None
        self._instances: list[object] = []
        self._operations = 0
        self.closings = 0
        """How often the volume was closed."""

    def tell(self, message: str, *categories: str) -> None:
        """Note an event of its cluster, from any thread."""
        self._host.tell(message, *categories)

    @property
    def opened(self) -> StorageVolume | None:
        """The volume if it is open, else None."""
        return self._volume

    def create(self, template: Template, system_identifier: int) -> StorageVolume:
        """Make the volume of a new cluster, whose pages are the template's."""
        (self._directory / BASE_IMAGE).symlink_to(template.directory)
        return self.create_over(template, system_identifier, WAL_SEGMENT_MIB << 20)

    def create_over(
        self, template: Template, system_identifier: int, wal_segment_bytes: int
    ) -> StorageVolume:
        """The same over pages that its link leads to already."""
        with self._lock:
            self._volume = StorageVolume.create(
                self._directory / VOLUME,
                uuid4(),
                template.directory,
                user=self.user,
                system_identifier=system_identifier,
                server_version=template.installation.version,
                wal_segment_bytes=wal_segment_bytes,
            )
            self._begin()
            return self._volume

    def comes_with(self, made: Future[None]) -> None:
        """Have whoever opens it wait until it is made, and hear why it was not."""
        self._made = made

    def configure(self) -> None:
        """Have the open volume, if it is, keep as much of its past as the cluster wants now."""
        volume = self._volume
        if volume is not None:
            volume.past.wanted = self._host.window()
            volume.past.weigh()

    @property
    def earliest(self) -> datetime | None:
        """How far back the open volume can be rewound."""
        earliest = self._volume.past.reach().earliest if self._volume is not None else None
        if earliest is None:
            return None
        # In whole milliseconds, as RDS tells times, and not before what can be reached.
        return datetime.fromtimestamp(math.ceil(earliest * 1000) / 1000, UTC)

    def open_for(self, instance: object) -> StorageVolume:
        """Open it for an instance, until `rest` or `close`.

        Raises QuorumLostError with fewer than three of six segments.
        """
        with self._lock:
            volume = self._open()
            if instance not in self._instances:
                self._instances.append(instance)
            return volume

    def rest(self, instance: object) -> None:
        """An instance has stopped and will not be back at once."""
        with self._lock:
            if instance in self._instances:
                self._instances.remove(instance)
            self._close_if_unused()

    @contextmanager
    def used(self) -> Iterator[StorageVolume]:
        """The volume for the time of one operation. Raises as `open_for` does."""
        with self._lock:
            volume = self._open()
            self._operations += 1
        try:
            yield volume
        finally:
            with self._lock:
                self._operations -= 1
                self._close_if_unused()

    @contextmanager
    def at_rest(self) -> Iterator[bool]:
        """Whether the volume is closed, for as long: who wants to open it waits."""
        with self._lock:
            yield self._volume is None

    def set_storage_type(self, storage_type: StorageType) -> None:
        """Switch how writes become durable, at once."""
        with self.used() as volume:
            volume.set_storage_type(storage_type)

    def settle(self) -> None:
        """Do what is due on the volume before a pause: no process may run during one."""
        volume = self._volume
        if volume is not None:
            volume.settle()

    def close(self) -> None:
        """Close the volume, where it is open."""
        with self._lock:
            self._instances.clear()
            self._close()

    def _open(self) -> StorageVolume:
        if self._made is not None:
            self._made.result()
        if self._volume is None:
            self._volume = StorageVolume.open(
                self._directory / VOLUME,
                (self._directory / BASE_IMAGE).resolve(),
                user=self.user,
            )
            self._begin()
        return self._volume

    def _begin(self) -> None:
        """Before anything is collected, it is known what is kept."""
        assert self._volume is not None, "it was just opened"
        past = self._volume.past
        past.expired, past.also_expires = self._expired, self._expire_undone
        past.wanted = self._host.window()
        self._host.begin_upkeep(self._volume)

    def remove_gone(self) -> None:
        """Remove what was set aside for that."""
        for path in self._directory.glob(f"*{GONE}*"):
            remove_tree(path)

    def _expire_undone(self) -> None:
        """Remove what the cluster was before its last rewind, once that is out of the window."""
        self.remove_gone()
        before = self._directory / f"{VOLUME}{UNDONE}"
        try:
            age = time.time() - before.stat().st_ctime
        except FileNotFoundError:
            return
        if age > self._host.window().seconds:
            self._host.tell(
                "What was before the last rewind fell out of the backtrack window", "backtrack"
            )
            for part in PARTS:
                remove_tree(self._directory / f"{part}{UNDONE}")

    def _expired(self, point: Point) -> None:
        self._host.tell(f"Restore point {point.name} fell out of the backtrack window", "backtrack")

    def _close_if_unused(self) -> None:
        used = self._instances or self._operations
        if self._volume is not None and not used and not self._volume.must_stay_open:
            self._close()

    def _close(self) -> None:
        if self._volume is not None:
            self._volume.close()
            self._volume = None
            self.closings += 1
