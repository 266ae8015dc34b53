"""A snapshot that comes as a file may have been made by anybody, with a key of their own."""

import io
import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cluster_runtime.backup import sharing
from cluster_runtime.backup.core.manifests import ClusterFacts, ImageManifest, SnapshotManifest
from cluster_runtime.backup.core.names import CONTENT_MAX_BYTES, TEXT_MAX_RATIO
from cluster_runtime.backup.vault.sealing import (
    FORMAT,
    MAGIC,
    NONCE_BYTES,
    UnsealableError,
    new_key,
    seal,
    unseal,
)
from cluster_runtime.control.workflows.backups import origins
from cluster_runtime.errors import BackupDamagedError, InvalidParameterError

KEY = new_key()
PACK = "0001/packs/abcd"
FACTS = {
    "db_cluster_identifier": "shared",
    "db_cluster_resource_id": "cluster-AAAAAAAAAAAAAAAAAAAAAAAAAA",
    "status": "available",
    "engine": "aurora-postgresql",
    "engine_version": "18.6",
    "database_name": "postgres",
    "master_username": "postgres",
    "endpoint": "",
    "reader_endpoint": "",
    "port": 0,
    "reader_port": 0,
    "region": "us-east-1",
    "cluster_create_time": datetime.now(UTC).isoformat(),
}


def sealed_as(name: str, packed: bytes) -> bytes:
    """An object whose content was compressed by somebody else."""
    head, nonce = MAGIC + FORMAT.to_bytes(2, "little"), os.urandom(NONCE_BYTES)
    return head + nonce + AESGCM(KEY).encrypt(nonce, packed, head + name.encode())


def frame_that_says(size: int) -> bytes:
    """A frame of zstd with nothing in it, which says that it holds so much (RFC 8878, 3.1.1)."""
    return bytes.fromhex("28b52ffde0") + size.to_bytes(8, "little") + bytes.fromhex("010000")


def file_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    return made, content


@pytest.mark.parametrize(
    "packed",
    [
        zstandard.ZstdCompressor().compress(bytes(CONTENT_MAX_BYTES + 1)),
        frame_that_says(1 << 50),
        frame_that_says(1 << 63),
        zstandard.ZstdCompressor(write_content_size=False).compress(b"of unknown length"),
        b"nothing compressed",
    ],
    ids=["a bomb", "a petabyte", "more than there is", "of unknown length", "nonsense"],
)
def test_an_object_takes_no_more_memory_than_one_of_ours(packed: bytes) -> None:
    with pytest.raises(UnsealableError):
        unseal(KEY, PACK, sealed_as(PACK, packed))


@pytest.mark.parametrize("name", ["facts", "snapshots/s", "0001/images/1-2-3"])
def test_a_text_takes_memory_in_proportion_to_what_is_kept(name: str) -> None:
    text = json.dumps([f"{n:x}" for n in range(200_000)]).encode()
    assert unseal(KEY, name, seal(KEY, name, text)) == text
    bomb = seal(KEY, name, b" " * (1 << 24))
    assert len(bomb) * TEXT_MAX_RATIO < 1 << 23
    with pytest.raises(UnsealableError):
        unseal(KEY, name, bomb)


def test_the_largest_that_is_ever_written_comes_back() -> None:
    assert len(unseal(KEY, PACK, seal(KEY, PACK, bytes(17 << 20)))) == 17 << 20


@pytest.mark.parametrize("kind", [SnapshotManifest, ClusterFacts, ImageManifest])
def test_a_text_that_is_nested_too_deeply_is_damage(kind: Any) -> None:
    with pytest.raises(ValueError, match="nested"):
        kind.from_bytes(b"[" * 200_000)


def test_a_head_that_is_nested_too_deeply_is_no_snapshot(tmp_path: Path) -> None:
    file = file_of(tmp_path / "f", member(sharing.HEAD, b"[" * 200_000))
    with pytest.raises(InvalidParameterError, match="holds no snapshot"):
        sharing.read_head(file)


def test_a_sparse_member_is_refused_before_its_zeros_are_read(tmp_path: Path) -> None:
    """One of a terabyte, in a few hundred bytes (GNU's format 1.0)."""
    made, content = member(PACK, b"0\n".ljust(512, b"\0"))
    made.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": PACK,
        "GNU.sparse.realsize": str(1 << 40),
    }
    file = file_of(tmp_path / "f", (made, content))
    with pytest.raises(BackupDamagedError, match="no plain file"):
        list(sharing.objects(file, KEY))


@pytest.mark.parametrize("name", ["key", "../key", "/etc/passwd", "snapshots/../../x", "probe"])
def test_nothing_is_taken_in_but_objects_of_a_snapshot(tmp_path: Path, name: str) -> None:
    file = file_of(tmp_path / "f", member(name, seal(KEY, name, b"{}")))
    with pytest.raises(BackupDamagedError, match="is no object of a snapshot"):
        list(sharing.objects(file, KEY))


@pytest.mark.parametrize(
    "lie",
    [
        {"engine_version": "/tmp/evil"},
        {"engine_version": "18/../../tmp/evil"},
        {"engine_version": ""},
        {"master_username": "rdsadmin"},
        {"master_username": "rds_superuser"},
        {"master_username": 'x" superuser; --'},
        {"database_name": "rdsadmin"},
        {"database_name": "template0"},
        {"db_cluster_identifier": "a/b"},
        {"storage_type": "elsewhere"},
    ],
    ids=lambda lie: " ".join(map(str, *lie.items())),
)
def test_what_a_cluster_was_is_believed_only_where_it_can_have_been_one(
    lie: dict[str, str],
) -> None:
    assert origins.cluster_in(FACTS, "here").engine_version == "18.6"
    with pytest.raises(BackupDamagedError, match="here"):
        origins.cluster_in(FACTS | lie, "here")


@pytest.mark.parametrize("version", ["18.6", "19devel", "16.4-1.pgdg120+1)"])
def test_every_version_that_a_program_says_is_one(version: str) -> None:
    assert origins.cluster_in(FACTS | {"engine_version": version}, "").engine_version == version


IMAGE = {
    "format": 1,
    "image": {"redo": 1, "lsn": 2, "complete_at": 3},
    "timeline": 1,
    "system_identifier": 42,
    "wal_segment_bytes": 1 << 20,
    "server_version": "18.6",
    "folders": ["base"],
    "files": [["base/1", 9, 7, 8, [["aa", 0, 9, "dd"]]]],
    "packs": {"aa": 9},
}


@pytest.mark.parametrize(
    "lie",
    [
        {"wal_segment_bytes": 0},
        {"wal_segment_bytes": 1 << 60},
        {"wal_segment_bytes": "16 MB"},
        {"files": [["base/1", 9, 7, 8, [["aa", 0, 9, "dd"]] * 1000]]},
        {"files": [["base/1", -9, 7, 8, []]]},
    ],
    ids=str,
)
def test_a_page_image_is_no_larger_than_it_says(lie: dict[str, Any]) -> None:
    assert ImageManifest.from_bytes(json.dumps(IMAGE).encode()).size_bytes == 9
    with pytest.raises(ValueError, match=r"of the size|as large"):
        ImageManifest.from_bytes(json.dumps(IMAGE | lie).encode())
