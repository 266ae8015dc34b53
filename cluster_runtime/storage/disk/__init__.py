"""What keeps: log, state and page images of a segment on a disk, and data directories."""

from typing import TYPE_CHECKING

from cluster_runtime.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "cluster_runtime.storage.disk.device")
