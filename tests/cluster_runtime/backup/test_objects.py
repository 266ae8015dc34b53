"""Objects: sealed, numbered, and refused where they are not what was written."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster_runtime.backup.core import manifests
from cluster_runtime.backup.core.manifests import (
    ClusterFacts,
    ImageManifest,
    LogPiece,
    NewerFormatError,
    Part,
    SnapshotManifest,
    StoredFile,
)
from cluster_runtime.backup.core.names import Image, Piece, is_inside, is_ours, piece_name
from cluster_runtime.backup.keeping.archive import Archive
from cluster_runtime.backup.vault.bucket import Bucket
from cluster_runtime.backup.vault.keys import KEY_FILE, LocalKey
from cluster_runtime.backup.vault.sealing import UnsealableError, new_key, seal, unseal
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.errors import BackupDamagedError, BackupKeyError, StateDirectoryError

KEY = new_key()
RESOURCE = "cluster-AAAAAAAAAAAAAAAAAAAAAAAAAA"


@given(st.binary(max_size=4096))
def test_what_was_sealed_comes_back(content: bytes) -> None:
    sealed = seal(KEY, "0001/log/x", content)
    assert unseal(KEY, "0001/log/x", sealed) == content
    assert len(content) < 64 or content not in sealed


@given(st.binary(max_size=512), st.data())
@settings(max_examples=200)
def test_a_byte_that_changed_is_damage_and_never_content(
    content: bytes, data: st.DataObject
) -> None:
    sealed = bytearray(seal(KEY, "name", content))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((UnsealableError, NewerFormatError)):
        unseal(KEY, "name", bytes(sealed))


@given(st.binary(max_size=64), st.integers(0, 40))
def test_an_object_that_was_cut_short_is_damage(content: bytes, left: int) -> None:
    with pytest.raises(UnsealableError):
        unseal(KEY, "name", seal(KEY, "name", content)[:left])


def test_no_object_can_stand_in_for_another_one_or_another_cluster_s() -> None:
    sealed = seal(KEY, "0001/log/a", b"log")
    with pytest.raises(UnsealableError):
        unseal(KEY, "0001/log/b", sealed)
    with pytest.raises(UnsealableError):
        unseal(new_key(), "0001/log/a", sealed)


IMAGE = Image(1, 2, 3)
KEPT = (
    ImageManifest(
        IMAGE,
        1,
        42,
        1 << 20,
        "18.6",
        ("base", "base/5"),
        (StoredFile("base/5/1259", 9, 7, 8, (Part("aa", 0, 9, "dd"),)), StoredFile("e", 0, 0, 0)),
        {"aa": 9},
    ),
    SnapshotManifest("s", 1, IMAGE, 9, 8, 1 << 20, {"db_cluster_identifier": "n"}, (("k", "v"),)),
    ClusterFacts({"db_cluster_identifier": "n"}, 1 << 20, 7, deleted_ms=5),
    LogPiece(b"\x00wal" * 9, 2, ((1, 77),)),
)


@pytest.mark.parametrize("kept", KEPT, ids=lambda each: type(each).__name__)
def test_a_manifest_reads_as_it_was_written(kept: ImageManifest) -> None:
    assert type(kept).from_bytes(kept.to_bytes()) == kept


@pytest.mark.parametrize("kept", KEPT[:3], ids=lambda each: type(each).__name__)
def test_a_manifest_of_a_newer_release_is_refused_by_its_number(kept: ImageManifest) -> None:
    listed = json.loads(kept.to_bytes()) | {"format": manifests.FORMAT + 1}
    with pytest.raises(NewerFormatError, match=f"format {manifests.FORMAT + 1}"):
        type(kept).from_bytes(json.dumps(listed).encode())


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    archive = Archive(str(tmp_path / "bucket"), LocalKey.of(tmp_path))
    return archive.vault_for(RESOURCE)


def test_a_folder_is_opened_with_the_key_that_it_was_made_with(
    vault: Vault, tmp_path: Path
) -> None:
    vault.write("facts", KEPT[2].to_bytes())
    again = Archive(str(tmp_path / "bucket"), LocalKey.of(tmp_path))
    assert again.vault(RESOURCE).facts() == KEPT[2]
    assert [name for name, _ in again.all_facts()] == [RESOURCE]
    (tmp_path / "other").mkdir()
    stranger = Archive(str(tmp_path / "bucket"), LocalKey.of(tmp_path / "other"))
    with pytest.raises(BackupKeyError, match="was written with the key"):
        stranger.vault(RESOURCE)
    assert list(stranger.all_facts()) == []


def test_nothing_in_a_bucket_tells_what_is_in_a_cluster(vault: Vault, tmp_path: Path) -> None:
    vault.write("facts", KEPT[2].to_bytes())
    vault.write(piece_name(1, Piece(0, 8, 0, 1)), LogPiece(b"a secret", 1).to_bytes())
    for path in (tmp_path / "bucket").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"a secret" not in content
            assert b"db_cluster_identifier" not in content
            assert vault.key not in content


@pytest.mark.parametrize("harm", ["flipped", "emptied", "swapped"])
def test_a_damaged_object_is_named(vault: Vault, tmp_path: Path, harm: str) -> None:
    first, second = Piece(0, 8, 0, 1), Piece(8, 16, 1, 2)
    for piece in (first, second):
        vault.write(piece_name(1, piece), LogPiece(bytes(8), 1).to_bytes())
    path = tmp_path / "bucket" / vault.folder / piece_name(1, first)
    if harm == "flipped":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    elif harm == "emptied":
        path.write_bytes(b"")
    else:
        path.write_bytes((path.parent / second.name).read_bytes())
    with pytest.raises(BackupDamagedError) as told:
        vault.piece(1, first)
    assert str(path) in str(told.value)
    assert vault.piece(1, second).wal == bytes(8)


def test_a_missing_object_is_named(vault: Vault) -> None:
    with pytest.raises(BackupDamagedError, match=r"0001/images/.* is missing"):
        vault.image(1, IMAGE)


def test_the_key_of_a_state_directory_is_its_owner_s_alone(tmp_path: Path) -> None:
    key = LocalKey.of(tmp_path)
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert LocalKey.read(path).key_id == LocalKey.parse(path.read_text()).key_id == key.key_id
    assert path.read_text().strip() not in repr(key)
    path.write_text("nonsense")
    with pytest.raises(StateDirectoryError, match="holds no backup key"):
        LocalKey.of(tmp_path)
    with pytest.raises(BackupKeyError):
        LocalKey.parse("c2hvcnQ=")


def test_a_local_bucket_keeps_names_with_folders(tmp_path: Path) -> None:
    bucket = Bucket(f"file://{tmp_path}/there")
    assert bucket.names("clusters") == []
    bucket.put("clusters/a/0001/log/x", b"1")
    bucket.put("clusters/a/key", b"22")
    bucket.put("clusters/b/key", b"")
    assert bucket.sizes("clusters/a") == [("0001/log/x", 1), ("key", 2)]
    assert bucket.folders("clusters") == ["a", "b"]
    bucket.delete(["clusters/a/key", "clusters/a/key"])
    assert bucket.names("clusters/a") == ["0001/log/x"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "base/../../x", "base//x", "", "base/./x", "base/"]
)
def test_a_path_that_leaves_its_folder_is_known(path: str) -> None:
    assert not is_inside(path)


@pytest.mark.parametrize("path", [".", "base/5/1259", "pg_xact/0000", "PG_VERSION"])
def test_a_path_of_postgresql_s_is_fine(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize(
    "name", ["../key", "snapshots/../../x", "0001/packs/../x", "0001/other/x", "x", "snapshots/"]
)
def test_a_name_that_nobody_makes_is_none(name: str) -> None:
    assert not is_ours(name)
