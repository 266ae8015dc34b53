"""A snapshot as a file: its objects as they are, behind a head that has their key.

A tar archive. Its first member, `snapshot.json`, says what it is; the others are objects, by their
names within a cluster's folder. The key is wrapped with one made of a passphrase (scrypt), or is
there as it is: then whoever has the file has the data.
"""

import base64
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cluster_runtime.backup.core.manifests import SnapshotManifest
from cluster_runtime.backup.core.names import (
    FACTS,
    KEY,
    image_name,
    is_ours,
    pack_name,
    piece_name,
    snapshot_name,
)
from cluster_runtime.backup.core.targets import Plan
from cluster_runtime.backup.vault.planned_log import PlannedLog
from cluster_runtime.backup.vault.sealing import KEY_BYTES, NONCE_BYTES, UnsealableError, unseal
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.engine.system.files import is_no_space
from cluster_runtime.errors import BackupDamagedError, BackupKeyError, InvalidParameterError

HEAD = "snapshot.json"
FORMAT = 1
HEAD_MAX_BYTES = 1 << 20
SALT_BYTES = 16
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """What the head of a file says. wrapped: where a passphrase opens the key."""

    identifier: str
    key: str
    salt: str = ""

    @property
    def has_passphrase(self) -> bool:
        """Whether a passphrase is needed."""
        return bool(self.salt)


def export(
    vault: Vault,
    identifier: str,
    plan: Plan,
    file: Path,
    passphrase: str | None,
    progress: Progress,
) -> None:
    """Write a snapshot to a file, whole or not at all. Each object is verified on the way.

    Raises InvalidParameterError where something is there already, BackupDamagedError, OSError.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        if is_no_space(error):
            raise
        raise InvalidParameterError(f"{file} cannot be written: {error.strerror}") from error
    try:
        with open(descriptor, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w") as archive:
                head = _head(vault, identifier, passphrase)
                _add(archive, HEAD, json.dumps(head).encode())
                for share, (name, sealed) in _objects_of(vault, identifier, plan):
                    _add(archive, name, sealed)
                    progress(share)
            raw.flush()
            os.fsync(raw.fileno())
        os.link(partial, file)
    except FileExistsError as error:
        raise InvalidParameterError(
            f"{file} is there already; name another file, or remove it"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read_head(file: Path) -> SharedSnapshot:
    """What a file is. Raises InvalidParameterError for one that is none."""
    try:
        with tarfile.open(file, mode="r:") as archive:
            member = archive.next()
            if member is None or member.name != HEAD or member.size > HEAD_MAX_BYTES:
                raise ValueError("it does not begin as a snapshot does")
            listed = json.loads(_content(archive, member))
        if listed["format"] > FORMAT:
            raise ValueError(f"it has format {listed['format']}, this release knows up to {FORMAT}")
        return SharedSnapshot(listed["identifier"], listed["key"], listed.get("salt", ""))
    except OSError as error:
        raise InvalidParameterError(f"{file} cannot be read: {error.strerror}") from error
    except (tarfile.TarError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidParameterError(f"{file} holds no snapshot: {error}") from error


def key_in(shared: SharedSnapshot, passphrase: str | None) -> bytes:
    """The data key. Raises BackupKeyError for a passphrase that is missing, or another one."""
    kept = base64.b64decode(shared.key)
    if not shared.has_passphrase:
        return kept
    if passphrase is None:
        raise BackupKeyError("this snapshot was exported with a passphrase; give it")
    wrapping = AESGCM(_derived(passphrase, base64.b64decode(shared.salt)))
    try:
        return wrapping.decrypt(kept[:NONCE_BYTES], kept[NONCE_BYTES:], None)
    except InvalidTag as error:
        raise BackupKeyError(
            "this is not the passphrase that the snapshot was exported with"
        ) from error


def objects(file: Path, key: bytes) -> Iterator[tuple[str, bytes]]:
    """The objects of a file, by name, as they are kept. Raises BackupDamagedError."""
    try:
        with tarfile.open(file, mode="r:") as archive:
            for member in archive:
                if member.name == HEAD:
                    continue
                # The key of the folder that they come to is the host's, and no object of theirs.
                if not is_ours(member.name) or member.name == KEY:
                    raise tarfile.ReadError(f"{member.name!r} is no object of a snapshot")
                sealed = _content(archive, member)
                unseal(key, member.name, sealed)
                yield member.name, sealed
    except (tarfile.TarError, UnsealableError) as error:
        raise BackupDamagedError(f"{file} is damaged: {error}") from error


def manifest_of(key: bytes, name: str, sealed: bytes) -> SnapshotManifest:
    """The manifest in an object of a file. Raises BackupDamagedError."""
    try:
        return SnapshotManifest.from_bytes(unseal(key, name, sealed))
    except (UnsealableError, ValueError, KeyError, TypeError) as error:
        raise BackupDamagedError(f"the snapshot in this file cannot be read: {error}") from error


def _objects_of(
    vault: Vault, identifier: str, plan: Plan
) -> Iterator[tuple[float, tuple[str, bytes]]]:
    """A snapshot's objects as they are kept, by name; with each the share that is done then."""
    packs = sorted(vault.image(plan.era, plan.image).packs)
    before = [image_name(plan.era, plan.image), *(pack_name(plan.era, pack) for pack in packs)]
    behind = [FACTS, snapshot_name(identifier)]
    whole = len(before) + len(plan.pieces) + len(behind)

    def log() -> Iterator[tuple[str, bytes]]:
        start = plan.pieces[0].start if plan.pieces else plan.end
        read = PlannedLog(vault, plan).read(
            start, lambda piece: vault.sealed(piece_name(plan.era, piece))
        )
        return ((piece_name(plan.era, piece), sealed) for piece, sealed in read)

    plain = ((name, vault.sealed(name)) for name in before)
    rest = ((name, vault.sealed(name)) for name in behind)
    for done, each in enumerate(chain(plain, log(), rest), start=1):
        yield min(1.0, done / whole), each


def _head(vault: Vault, identifier: str, passphrase: str | None) -> dict[str, Any]:
    head: dict[str, Any] = {"format": FORMAT, "identifier": identifier}
    if passphrase is None:
        return head | {"key": base64.b64encode(vault.key).decode()}
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    wrapped = nonce + AESGCM(_derived(passphrase, salt)).encrypt(nonce, vault.key, None)
    return head | {
        "key": base64.b64encode(wrapped).decode(),
        "salt": base64.b64encode(salt).decode(),
    }


def _derived(passphrase: str, salt: bytes) -> bytes:
    scrypt = Scrypt(salt=salt, length=KEY_BYTES, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    return scrypt.derive(passphrase.encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    # A sparse one has zeros that stand nowhere in the file, as many as it says.
    opened = None if member.issparse() else archive.extractfile(member)
    if opened is None:
        raise tarfile.ReadError(f"{member.name} is no plain file")
    content = opened.read()
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut short")
    return content
