"""A closed volume in as little of the disk as can be, with every byte that it had.

Nobody has the volume open meanwhile. Each step may end at any instant: what it has done until then
is as good as all of it, and it can be done again.

* Page images: a file that is, byte for byte, one of the pages that the volume began with becomes a
  second name of that one. Nobody writes into the file of an image, or of a template; a template
  that is removed leaves the bytes to who has another name for them. A volume without an image gets
  one made of such names: it needs no template any more.
* Log: what is prepared and not written yet takes no space. A volume that is opened again begins a
  new file, so that no commit is written into a hole.
"""

import filecmp
import os
from contextlib import suppress
from pathlib import Path

from cluster_runtime.engine.control_file import set_system_identifier
from cluster_runtime.engine.system.files import remove_tree
from cluster_runtime.storage.core.types import SegmentId
from cluster_runtime.storage.disk.data_directory import CONTROL_FILE, ControlFile
from cluster_runtime.storage.disk.filesystem import HOST_DISK, NO_LINK
from cluster_runtime.storage.disk.log_files import SUFFIX
from cluster_runtime.storage.disk.page_images import DATA, PARTIAL, fingerprint, images, link_base
from cluster_runtime.storage.disk.segment_store import PAGES
from cluster_runtime.storage.disk.sparse import make_sparse
from cluster_runtime.storage.disk.state_file import STATE_FILE
from cluster_runtime.storage.live.mount import is_full
from cluster_runtime.storage.live.volume_file import find_volume
from cluster_runtime.storage.upkeep.images.coalescer import COALESCER

SHARING = f"sharing{PARTIAL}"
"""A folder beside images in which names are made; a sweep removes it."""


def forget_coalescer(volume: Path) -> None:
    """The next page image begins with the newest one that there is."""
    remove_tree(volume / COALESCER)


def share_images(volume: Path, base_image: Path) -> None:
    """Have page images share what they have in common with the pages that the volume began with.

    Where the file system has no links, or these lie on another one, they stay as they are.
    Raises OSError, StorageError.
    """
    folders = [
        each.parent / PAGES
        for each in sorted(volume.glob(f"az-*/*/{STATE_FILE}"))
        if is_full(SegmentId(each.parent.name))
    ]
    _give_base(volume, base_image, folders)
    for pages in folders:
        for image in images(pages):
            for file in image.files:
                _share(image.directory / DATA / file.path, base_image / file.path, pages)
        remove_tree(pages / SHARING)


def make_logs_sparse(volume: Path) -> None:
    """Have prepared log take no space. Raises OSError."""
    for path in sorted(volume.glob(f"az-*/*/log/*{SUFFIX}")):
        make_sparse(path)


def _give_base(volume: Path, base_image: Path, folders: list[Path]) -> None:
    """Make the pages that a volume began with its first images, where a segment has none.

    Not where one has other pages: who lacks those is given them once the volume is open.
    """
    there = {image.redo for pages in folders for image in images(pages)}
    lacking = [pages for pages in folders if not images(pages)]
    if not lacking or (there and not base_image.exists()):
        return
    control = ControlFile.read(base_image)
    if not there <= {control.redo}:
        return
    metadata = find_volume(HOST_DISK, volume, frozenset()).metadata
    if metadata.base and fingerprint(base_image) != metadata.base:
        return  # it was made again, or is damaged: its pages are no image of this volume
    identifier = metadata.system_identifier

    def make_own(data_directory: Path) -> None:
        path = data_directory / CONTROL_FILE
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        set_system_identifier(data_directory, identifier)

    for pages in lacking:
        pages.mkdir(exist_ok=True)
        link_base(
            base_image, pages, redo=control.redo, timeline=control.timeline, make_own=make_own
        )


def _share(path: Path, base: Path, pages: Path) -> None:
    """Make a file another name of a base file of the same content."""
    try:
        there = base.lstat()
    except FileNotFoundError:
        return
    own = path.lstat()
    if own.st_ino == there.st_ino or not filecmp.cmp(path, base, shallow=False):
        return
    HOST_DISK.sync(base)  # nobody had to, so far: the copies were what had to last
    sharing = pages / SHARING
    sharing.mkdir(exist_ok=True)
    name = sharing / "name"
    with suppress(FileNotFoundError):
        name.unlink()
    try:
        os.link(base, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        return
    name.rename(path)
