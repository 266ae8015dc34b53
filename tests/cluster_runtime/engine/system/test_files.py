"""Copies of directory trees."""

import errno
import fcntl
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system import files
from cluster_runtime.engine.system.files import copy_tree, remove_tree, write_atomically
from cluster_runtime.engine.template import give_to_host
from cluster_runtime.errors import EngineError, InsufficientStorageError
from tests.places import SpentFolders, reachable_folder

NOBODY = 65534
ALL_WAYS = [files._by_read_and_write, files._by_copy_file_range, files._by_reflink]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "below" / "empty").mkdir(parents=True)
    (folder / "below" / "large").write_bytes(os.urandom(3_000_000))
    (folder / "small").write_bytes(b"x")
    (folder / "nothing").touch()
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("ways", [1, 2, 3], ids=["read and write", "copy_file_range", "reflink"])
def test_each_way_copies_the_same(
    source: Path, tmp_path: Path, user: OsUser, ways: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_some(copier: files._Copier, go_on: Callable[[], None]) -> None:
        original(copier, go_on)
        del copier._ways[ways:]

    original = files._Copier.__init__
    monkeypatch.setattr(files._Copier, "__init__", only_some)
    copy_tree(source, tmp_path / "target", user)
    assert contents(tmp_path / "target") == contents(source)
    for path in (tmp_path / "target").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert path.stat().st_uid == user.uid


def test_a_full_disk_is_told_and_leaves_nothing(
    source: Path, tmp_path: Path, user: OsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files._Copier, "__call__", full)
    with pytest.raises(InsufficientStorageError, match="free some space and try again"):
        copy_tree(source, tmp_path / "target", user)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("way", [0, 1, 2], ids=["read and write", "copy_file_range", "reflink"])
def test_a_copy_that_is_to_end_leaves_nothing(
    source: Path, tmp_path: Path, user: OsUser, way: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_one(copier: files._Copier, go_on: Callable[[], None]) -> None:
        original(copier, go_on)
        copier._ways = [ALL_WAYS[way]]

    def go_on() -> None:
        raise InterruptedError

    original = files._Copier.__init__
    monkeypatch.setattr(files._Copier, "__init__", only_one)
    with pytest.raises(InterruptedError):
        copy_tree(source, tmp_path / "target", user, go_on)
    assert not (tmp_path / "target").exists()


def test_an_existing_target_is_not_touched(source: Path, tmp_path: Path, user: OsUser) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine").touch()
    with pytest.raises(FileExistsError):
        copy_tree(source, tmp_path / "target", user)
    assert (tmp_path / "target" / "mine").exists()


@pytest.mark.parametrize("code", [errno.ENOTTY, errno.EOPNOTSUPP, errno.EPERM])
def test_a_file_system_that_cannot_spread_folders_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.fcntl, "ioctl", refuse)
    files.spread_folders(tmp_path)


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder of a file system that may have attributes, as those in memory have none."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.mark.skipif(sys.platform != "linux", reason="an attribute of Linux's file systems")
def test_folders_are_spread_where_the_file_system_can(on_disk: Path) -> None:
    fd = os.open(on_disk, os.O_RDONLY)
    try:
        files.spread_folders(on_disk)
        files.spread_folders(on_disk)
        flags = fcntl.ioctl(fd, files.FS_IOC_GETFLAGS, bytes(struct.calcsize("@l")))
        assert struct.unpack("@l", flags)[0] & files.FS_TOPDIR_FL
    except OSError as error:
        pytest.skip(f"this file system has no attributes: {error}")
    finally:
        os.close(fd)


@pytest.mark.parametrize("planted", ["a link", "a folder", "a folder with a link"])
@pytest.mark.parametrize("name", ["facts", "facts.new"])
def test_a_file_is_written_whatever_a_server_put_in_its_place(
    tmp_path: Path, user: OsUser, name: str, planted: str
) -> None:
    victim, data = tmp_path / "victim", tmp_path / "data"
    victim.mkdir()
    (victim / "kept").write_text("theirs")
    data.mkdir()
    if planted == "a link":
        (data / name).symlink_to(victim / "kept")
    else:
        (data / name).mkdir()
        if planted == "a folder with a link":
            (data / name / "link").symlink_to(victim)
    write_atomically(data / "facts", "ours", user)
    assert (data / "facts").read_text() == "ours"
    assert not (data / "facts").is_symlink()
    assert (victim / "kept").read_text() == "theirs"
    assert [path.name for path in data.iterdir()] == ["facts"]


@pytest.mark.parametrize("planted", ["link", "hard link", "pipe"])
def test_pages_that_lead_elsewhere_are_given_to_nobody(tmp_path: Path, planted: str) -> None:
    victim, pages = tmp_path / "victim", tmp_path / "pages"
    victim.touch(0o644)
    before = victim.stat().st_ctime_ns
    (pages / "base").mkdir(parents=True)
    give_to_host(pages)
    if planted == "link":
        (pages / "base" / "1").symlink_to(victim)
    elif planted == "hard link":
        (pages / "base" / "1").hardlink_to(victim)
        before = victim.stat().st_ctime_ns
    else:
        os.mkfifo(pages / "base" / "1")
    with pytest.raises(EngineError, match="lead elsewhere"):
        give_to_host(pages)
    assert victim.stat().st_ctime_ns == before


def test_a_folder_that_was_closed_to_its_owner_is_removed(spent_folders: SpentFolders) -> None:
    """A host that is not root is the user that its servers run as."""
    folder = reachable_folder()
    closed = folder / "closed"
    (closed / "below" / "deeper").mkdir(parents=True)
    (closed / "below" / "file").touch()
    (closed / "link").symlink_to(folder)
    paths = [closed / "below" / "deeper", closed / "below" / "file", closed / "below", closed]
    for path in (folder, *paths):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        if path != folder:
            path.chmod(0)
    if (child := os.fork()) == 0:
        failed = True
        try:
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            remove_tree(closed)
            failed = False
        finally:
            os._exit(failed)
    assert os.waitpid(child, 0)[1] == 0
    assert folder.exists()
    assert not closed.exists()
    spent_folders.append(folder)
