"""A data directory from a backup: pages of an image, and the log behind it. Verified as read."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import google_crc32c

from cluster_runtime.backup.core.manifests import ImageManifest, Part, StoredFile
from cluster_runtime.backup.core.names import image_name, is_inside, pack_name
from cluster_runtime.backup.core.targets import Plan, log_start
from cluster_runtime.backup.vault.planned_log import PlannedLog
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.engine.control_file import set_system_identifier
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.errors import BackupDamagedError
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.disk.data_directory import write_wal

READ_BYTES = 1 << 20

Progress = Callable[[float], None]
"""Told the share that is done, 0 to 1. What it raises ends the fetch."""


@dataclass(frozen=True, slots=True)
class _Place:
    file: StoredFile
    at: int
    part: Part


def fetch(
    vault: Vault, plan: Plan, directory: Path, user: OsUser, progress: Progress
) -> ImageManifest:
    """Make a data directory of a plan's image, with the WAL files behind it, for `user`.

    Raises BackupDamagedError, which names the object, and what `Bucket` raises; OSError where the
    disk is full. Whoever calls removes the directory then.
    """
    manifest = vault.image(plan.era, plan.image)
    _check_paths(manifest, vault, plan)
    log_bytes = sum(piece.bytes for piece in plan.pieces)
    whole = max(1, manifest.size_bytes + log_bytes)
    _lay_out(manifest, directory, user)
    done = 0
    for pack, places in _by_pack(manifest).items():
        content = vault.read(pack_name(plan.era, pack))
        for place in places:
            _put(directory, place, content, vault, plan.era)
            done += place.part.size
        progress(done / whole)
    _verify(manifest, directory, vault, plan)
    # The pages that a volume began with are a template's, whose identifier is its own.
    set_system_identifier(directory, manifest.system_identifier)
    log = PlannedLog(vault, plan)
    timelines = _timelines(vault, log, plan, manifest)
    start = log_start(plan.image.redo, manifest.wal_segment_bytes)

    def chunks() -> Iterator[bytes]:
        at = start
        for piece, content in log.read(start, partial(vault.piece, plan.era)):
            part = content.wal[at - piece.start : plan.end - piece.start]
            yield part
            at += len(part)
            progress((manifest.size_bytes + at - start) / whole)

    size = manifest.wal_segment_bytes
    write_wal(directory, start, chunks(), timelines, size, user)
    return manifest


def _check_paths(manifest: ImageManifest, vault: Vault, plan: Plan) -> None:
    """A snapshot may have come from anybody: nothing of it is written elsewhere."""
    for path in (*manifest.folders, *(each.path for each in manifest.files)):
        if not is_inside(path):
            name = f"{vault.folder}/{image_name(plan.era, plan.image)}"
            raise BackupDamagedError(
                f"{vault.bucket.where(name)} is damaged: it names a file {path!r}"
            )


def _timelines(vault: Vault, log: PlannedLog, plan: Plan, manifest: ImageManifest) -> Timelines:
    if not plan.pieces:
        return Timelines(manifest.timeline)
    _, last = log.read_at(plan.end - 1, partial(vault.piece, plan.era))
    return Timelines(last.timeline, last.ended)


def _lay_out(manifest: ImageManifest, directory: Path, user: OsUser) -> None:
    for folder in (".", *sorted(manifest.folders)):
        path = directory / folder
        path.mkdir(mode=0o700, exist_ok=True)
        user.own(path)
    for file in manifest.files:
        path = directory / file.path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
        user.own(path)


def _by_pack(manifest: ImageManifest) -> dict[str, list[_Place]]:
    found: dict[str, list[_Place]] = {}
    for file in manifest.files:
        at = 0
        for part in file.parts:
            found.setdefault(part.pack, []).append(_Place(file, at, part))
            at += part.size
    return found


def _put(directory: Path, place: _Place, pack: bytes, vault: Vault, era: int) -> None:
    part = place.part
    content = pack[part.offset : part.offset + part.size]
    if len(content) != part.size:
        name = f"{vault.folder}/{pack_name(era, part.pack)}"
        raise BackupDamagedError(f"{vault.bucket.where(name)} is damaged: it is too short")
    descriptor = os.open(directory / place.file.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        view, at = memoryview(content), place.at
        while view:
            written = os.pwrite(descriptor, view, at)
            view, at = view[written:], at + written
    finally:
        os.close(descriptor)


def _verify(manifest: ImageManifest, directory: Path, vault: Vault, plan: Plan) -> None:
    """Compare each file with the checksum that its segment had of it."""
    for file in manifest.files:
        checksum, size = 0, 0
        with (directory / file.path).open("rb") as opened:
            while content := opened.read(READ_BYTES):
                checksum, size = google_crc32c.extend(checksum, content), size + len(content)
        if (checksum, size) != (file.crc32c, file.size):
            packs = ", ".join(
                vault.bucket.where(f"{vault.folder}/{pack_name(plan.era, each)}")
                for each in sorted({part.pack for part in file.parts})
            )
            raise BackupDamagedError(
                f"file {file.path} of the page image is not what its checksum says; it came from "
                f"{packs or 'the manifest alone'}"
            )
