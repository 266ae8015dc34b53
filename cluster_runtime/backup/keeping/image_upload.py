"""A page image, uploaded: what did not change since the one before is shared with that."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import google_crc32c

from cluster_runtime.backup.core.manifests import ImageManifest, Part, StoredFile
from cluster_runtime.backup.core.names import Image, image_name, pack_name
from cluster_runtime.backup.core.pacing import is_uploaded_whole
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.storage.disk.page_images import ImageFile

PART_BYTES = 1 << 20
PACK_BYTES = 16 << 20
DIGEST_BYTES = 16
PACK_ID_BYTES = 8


class UploadStoppedError(Exception):
    """Somebody who has the right to asked for an end of an upload."""


@dataclass(frozen=True, slots=True)
class Source:
    """Pages to upload: a cleanly stopped data directory that nobody changes meanwhile.

    files: what it is made of, with checksums. The rest is told in the manifest.
    """

    directory: Path
    files: tuple[ImageFile, ...]
    image: Image
    timeline: int
    system_identifier: int
    wal_segment_bytes: int
    server_version: str


def upload_image(
    vault: Vault, era: int, source: Source, last: ImageManifest | None, between: Callable[[], None]
) -> ImageManifest:
    """Upload an image; it is there once this returns, and not at all before.

    last: the one before, of the same era. between: called after each pack; what it raises ends the
    upload. Raises OSError where the pages cannot be read, ValueError where they are not what their
    checksums say.
    """
    if last is not None and is_uploaded_whole(_live(last), sum(last.packs.values())):
        last = None
    packing = _Packing(vault, era, between)
    known = {each.path: each for each in last.files} if last is not None else {}
    files = tuple(
        packing.add(source.directory, each, known.get(each.path)) for each in source.files
    )
    packing.flush()
    used = {part.pack for each in files for part in each.parts}
    packs = {**(last.packs if last is not None else {}), **packing.packs}
    manifest = ImageManifest(
        source.image,
        source.timeline,
        source.system_identifier,
        source.wal_segment_bytes,
        source.server_version,
        tuple(_folders(source.directory)),
        files,
        {pack: packs[pack] for pack in sorted(used)},
    )
    vault.write(image_name(era, source.image), manifest.to_bytes())
    return manifest


class _Packing:
    """Gathers parts into packs, and uploads each that is full."""

    def __init__(self, vault: Vault, era: int, between: Callable[[], None]) -> None:
        self._vault, self._era, self._between = vault, era, between
        self.packs: dict[str, int] = {}
        self._begin()

    def _begin(self) -> None:
        self._pack = secrets.token_hex(PACK_ID_BYTES)
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, directory: Path, file: ImageFile, before: StoredFile | None) -> StoredFile:
        """A file, by parts that are there already or are packed now."""
        stored = StoredFile(file.path, file.size, file.crc32c, file.modified_ns)
        if before is not None and replace(before, parts=()) == stored:
            return before
        known = dict(enumerate(before.parts)) if before is not None else {}
        parts: list[Part] = []
        size, checksum = 0, 0
        for index, content in enumerate(_parts(directory / file.path)):
            size, checksum = size + len(content), google_crc32c.extend(checksum, content)
            digest = hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()
            old = known.get(index)
            if old is not None and (old.size, old.digest) == (len(content), digest):
                parts.append(old)
            else:
                parts.append(self._packed(content, digest))
        if (size, checksum) != (file.size, file.crc32c):
            raise ValueError(f"{directory / file.path} is not what its checksum says")
        return replace(stored, parts=tuple(parts))

    def _packed(self, content: bytes, digest: str) -> Part:
        if self._bytes and self._bytes + len(content) > PACK_BYTES:
            self.flush()
        part = Part(self._pack, self._bytes, len(content), digest)
        self._parts.append(content)
        self._bytes += len(content)
        return part

    def flush(self) -> None:
        """Upload what has gathered."""
        if self._bytes:
            self._vault.write(pack_name(self._era, self._pack), b"".join(self._parts))
            self.packs[self._pack] = self._bytes
            self._begin()
            self._between()


def _parts(path: Path) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        while content := os.read(descriptor, PART_BYTES):
            while len(content) < PART_BYTES and (
                more := os.read(descriptor, PART_BYTES - len(content))
            ):
                content += more
            yield content
    finally:
        os.close(descriptor)


def _folders(directory: Path) -> Iterator[str]:
    """Those below a directory, also the empty ones, which PostgreSQL looks for."""
    for folder, _, _ in os.walk(directory):
        relative = os.path.relpath(folder, directory)
        if relative != ".":
            yield relative


def _live(manifest: ImageManifest) -> int:
    return sum(part.size for each in manifest.files for part in each.parts)
